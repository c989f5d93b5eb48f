//! The OpenAPI 3.1 document, made from the table of routes.

use axum::Json;
use entrain_domain::FailureCode;
use serde_json::{Map, Value, json};

use super::routes::{Field, Need, ROUTES, Repeat, Route, Takes, Verb};
use crate::reports::Report;

/// `/api/v1/openapi.json`, for everybody.
pub(super) async fn document() -> Json<Value> {
    Json(made())
}

/// Answers that are no single JSON document: events as they come, lines of an export, and reports, which are tables too.
const EVENTS: &str = "EventStream";
const LINES: &str = "Lines";
const REPORT: &str = "Report";
/// Longest text that is described by a pattern.
const LONGEST_WITH_PATTERN: usize = 4_000;

/// The document.
pub(crate) fn made() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(format!("/api/v1{}", route.path)).or_insert_with(|| json!({}));
        path[route.method.method().as_str().to_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Entrain",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Keeps users and groups of a Jira Cloud site in step with Microsoft Entra ID.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "key": [] }],
        "tags": tags().into_iter().map(|tag| json!({ "name": tag })).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer", "description":
                "An API key: `entrain admin api-key create`." } },
            "schemas": schemas(),
        },
    })
}

fn tag(route: &Route) -> &'static str {
    route.path.trim_start_matches('/').split('/').next().unwrap_or_default()
}

fn tags() -> Vec<&'static str> {
    let mut tags: Vec<&str> = ROUTES.iter().map(tag).collect();
    tags.dedup();
    tags
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = names_in(route.path).into_iter().map(path_parameter).collect();
    parameters.extend(route.query.iter().map(query_parameter));
    if route.repeat == Repeat::Kept {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "A write that is sent again with the same key within a day gets the answer of the first.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$" },
        }));
    }
    let mut responses = Map::new();
    for (status, what) in route.gives {
        responses.insert(status.to_string(), success(route, *status, what));
    }
    responses.insert("default".into(), json!({
        "description": "It could not be done: problem details with a stable `type`.",
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    }));
    let mut operation = json!({
        "operationId": route.id,
        "summary": route.what,
        "description": format!("Takes the role `{}` or a higher one.", route.role.as_str()),
        "tags": [tag(route)],
        "responses": responses,
    });
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    if !route.body.is_empty() {
        let must: Vec<&str> =
            route.body.iter().filter(|field| field.need == Need::Must).map(|field| field.name).collect();
        let properties: Map<String, Value> =
            route.body.iter().map(|field| (field.name.to_owned(), described(field))).collect();
        let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
        if !must.is_empty() {
            schema["required"] = json!(must);
        }
        operation["requestBody"] = json!({
            "required": !must.is_empty(),
            "content": { "application/json": { "schema": schema } },
        });
    }
    debug_assert!(route.method != Verb::Get || route.body.is_empty());
    operation
}

fn names_in(path: &str) -> Vec<&str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect()
}

fn path_parameter(name: &str) -> Value {
    let what = match name {
        "connection" => "Name of the connection, or its form in addresses: lower case with `-`.",
        "run" => "Id of the run.",
        "report" => "Name of the report.",
        "alert" => "Id of the alert.",
        "version" => "Number of the version, from 1.",
        _ => "Id of the key.",
    };
    let schema = match name {
        "report" => takes(Takes::Word(&Report::NAMES)),
        "version" => json!({ "type": "integer", "minimum": 1 }),
        _ => json!({ "type": "string", "minLength": 1 }),
    };
    json!({ "name": name, "in": "path", "required": true, "description": what, "schema": schema })
}

fn query_parameter(field: &Field) -> Value {
    json!({ "name": field.name, "in": "query", "required": field.need == Need::Must,
        "description": field.what, "schema": takes(field.takes) })
}

fn described(field: &Field) -> Value {
    let mut schema = takes(field.takes);
    schema["description"] = json!(field.what);
    schema
}

fn takes(takes: Takes) -> Value {
    match takes {
        Takes::Text(most) => {
            let mut schema = json!({ "type": "string", "minLength": 1, "maxLength": most });
            // Programs that work with patterns do not take one about a text that long
            if most <= LONGEST_WITH_PATTERN {
                schema["pattern"] = json!("^[^\\u0000]*$");
            }
            schema
        }
        Takes::Word(words) => json!({ "type": "string", "enum": words }),
        Takes::Flag => json!({ "type": "boolean" }),
        Takes::Number(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Takes::Texts(many, most) => json!({ "type": "array", "minItems": 1, "maxItems": many,
            "items": self::takes(Takes::Text(most)) }),
    }
}

fn success(route: &Route, status: u16, what: &str) -> Value {
    let mut response = json!({ "description": what });
    if status == 202 && route.schema == "Run" {
        response["headers"] =
            json!({ "Location": { "description": "Address of the run.", "schema": { "type": "string" } } });
    }
    if status != 204 {
        let text = json!({ "schema": { "type": "string" } });
        let json = || json!({ "schema": { "$ref": format!("#/components/schemas/{}", route.schema) } });
        response["content"] = match route.schema {
            EVENTS => json!({ "text/event-stream": { "schema": { "type": "object", "description":
                "Server-sent events: the name of what happened as `event`, a JSON object as `data`." } } }),
            LINES => json!({ "application/jsonl": text, "text/csv": text }),
            REPORT => json!({ "application/json": json(), "text/csv": text }),
            _ => json!({ "application/json": json() }),
        };
    }
    response
}

#[expect(clippy::needless_pass_by_value, reason = "it is written where it is used")]
fn object(must: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": must, "properties": properties })
}

fn schemas() -> Value {
    let (text, number) = (json!({ "type": "string" }), json!({ "type": "integer" }));
    let instant = json!({ "type": "string", "format": "date-time" });
    let maybe = |schema: &Value| json!({ "anyOf": [schema, { "type": "null" }] });
    let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let codes: Vec<&str> = FailureCode::ALL.iter().map(|code| code.as_str()).collect();
    let steps = json!({
        "type": "object",
        "description": "By kind of step.",
        "additionalProperties": object(&["planned", "done", "failed", "held"],
            json!({ "planned": number, "done": number, "failed": number, "held": number })),
    });
    let status = json!({ "type": "string", "enum": ["running", "converged", "held", "partial", "failed"] });
    json!({
        "Report": object(&["report", "rows"], json!({
            "report": { "type": "string" },
            "rows": { "type": "array", "items": reference("Object") },
        })),
        "Object": { "type": "object", "description": "As `entrain … --json` prints it." },
        "Problem": object(&["type", "title", "status", "detail", "code", "remedy"], json!({
            "type": { "type": "string", "format": "uri", "description": "`urn:entrain:error:` and the code." },
            "title": text, "status": number,
            "detail": { "type": "string", "description": "What happened." },
            "code": { "type": "string", "enum": codes },
            "object": { "type": "string", "description": "To what." },
            "remedy": { "type": "string", "description": "What to do now." },
        })),
        "Connection": object(&["name", "slug", "site", "mode", "version", "quarantined"], json!({
            "name": text, "slug": text, "site": text,
            "mode": { "type": "string", "enum": ["preview", "apply"] },
            "version": number,
            "quarantined": { "type": "boolean" },
            "last_scheduled_at": maybe(&instant), "next_scheduled_at": maybe(&instant),
            "running": maybe(&json!({ "type": "string", "description": "The run under way." })),
            "document": { "type": "string", "description": "TOML, secrets as `sealed`; not in lists." },
        })),
        "Stored": { "anyOf": [reference("Connection"), reference("DocumentTrial")] },
        "DocumentTrial": object(&["connection", "result", "problems"], json!({
            "connection": text, "result": { "type": "string", "enum": ["not stored"] },
            "problems": { "type": "array", "description": "What its parser refuses.", "items": object(
                &["key", "line", "problem", "remedy"],
                json!({ "key": text, "line": number, "problem": text, "remedy": text })) },
            "what_if": { "type": "object", "description": "The plan under the new rules; not where nothing was read yet, or there are problems." },
            "new_steps": { "type": "array", "items": text, "description": "Those that the rules in force do not ask for." },
            "gone_steps": { "type": "array", "items": text, "description": "Those that the rules in force ask for and these do not." },
            "what_if_failed": reference("Object"),
        })),
        "ExpressionTrial": object(&["connection", "user", "value", "problem", "notes"], json!({
            "connection": text, "user": reference("Object"),
            "value": { "description": "Nothing for a value that is not there.",
                "anyOf": [text, { "type": "null" }] },
            "problem": maybe(&object(&["line", "character", "problem", "remedy"],
                json!({ "line": maybe(&number), "character": maybe(&number), "problem": text, "remedy": text }))),
            "notes": { "type": "array", "items": text },
        })),
        "Connections": object(&["connections"], json!({
            "connections": { "type": "array", "items": reference("Connection") },
        })),
        "Run": object(&["status"], json!({
            "run_id": text, "connection": text, "trigger": text, "status": status, "steps": steps,
            "started_at": instant, "duration_ms": number,
            "held": { "type": "array", "items": reference("Object") },
            "set_aside": { "type": "array", "items": reference("Object") },
            "journal": { "type": "array", "items": reference("Object") },
        })),
        "Runs": object(&["runs", "next"], json!({
            "runs": { "type": "array", "items": reference("Run") },
            "next": maybe(&json!({ "type": "string", "description": "`cursor` of the next page." })),
        })),
        "AuditEntries": object(&["entries", "next"], json!({
            "entries": { "type": "array", "items": object(
                &["seq", "at", "actor", "action", "object", "detail", "hash"],
                json!({ "seq": number, "at": instant, "actor": text, "action": text, "object": text,
                    "detail": text, "hash": text })) },
            "next": maybe(&json!({ "type": "string", "description": "`cursor` of the next page." })),
        })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_what_was_agreed() {
        insta::assert_json_snapshot!("openapi", made());
    }

    #[test]
    fn the_document_is_openapi_and_names_each_operation_once() {
        let text = made().to_string();
        let parsed: utoipa::openapi::OpenApi = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed.paths.paths.len(), {
            let paths: std::collections::BTreeSet<&str> = ROUTES.iter().map(|route| route.path).collect();
            paths.len()
        });
        let ids: std::collections::BTreeSet<&str> = ROUTES.iter().map(|route| route.id).collect();
        assert_eq!(ids.len(), ROUTES.len());
        for route in
            ROUTES.iter().filter(|route| !route.schema.is_empty() && ![EVENTS, LINES].contains(&route.schema))
        {
            assert!(made()["components"]["schemas"][route.schema].is_object(), "{}", route.id);
        }
    }

    #[test]
    fn w_01_nothing_that_is_read_has_effects_and_every_name_is_used_once() {
        for route in ROUTES {
            if route.method == Verb::Get {
                assert!(route.body.is_empty() && route.repeat == Repeat::No, "{}", route.id);
            }
            let names: Vec<&str> = route.query.iter().chain(route.body).map(|field| field.name).collect();
            let once: std::collections::BTreeSet<&str> = names.iter().copied().collect();
            assert_eq!(names.len(), once.len(), "{}", route.id);
        }
    }
}
