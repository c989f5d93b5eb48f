//! The vendors' OpenAPI 3.0 documents, and what they say of one request and of one answer.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::rc::Rc;

use entrain_emulator::Surface;
use entrain_emulator::tape::Exchange;
use jsonschema::Validator;
use serde_json::{Value, json};

/// File, the surface it describes, and what its server's address adds to the paths.
const FILES: [(&str, Surface, &str); 4] = [
    ("graph-subset", Surface::Graph, "/v1.0"),
    ("jira-cloud-v3-subset", Surface::Site, ""),
    ("atlassian-admin-organizations", Surface::Organization, "/admin"),
    ("atlassian-admin-user-management", Surface::Organization, ""),
];

/// All documents.
pub(crate) struct Documents(Vec<Document>);

struct Document {
    surface: Surface,
    prefix: &'static str,
    /// As in the file, but with `nullable` in the words of JSON Schema.
    root: Value,
    validators: RefCell<HashMap<String, Rc<Validator>>>,
}

/// One operation of a document.
#[derive(Clone, Copy)]
pub(crate) struct Operation<'d> {
    document: &'d Document,
    /// `surface METHOD /template`, by which lists name it.
    template: &'d str,
    method: &'d str,
    item: &'d Value,
    value: &'d Value,
}

impl Documents {
    /// The documents of `ENTRAIN_SPECS`, or of the folder `shared/specs` beside the workspace; nothing when there is none.
    pub(crate) fn load() -> Option<Self> {
        let folder = std::env::var_os("ENTRAIN_SPECS").map_or_else(
            || {
                let here = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
                here.join("../../../shared/specs")
            },
            PathBuf::from,
        );
        if !folder.is_dir() {
            return None;
        }
        let read = |(name, surface, prefix): (&str, Surface, &'static str)| {
            let path = folder.join(format!("{name}.openapi.json"));
            let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let root: Value = serde_json::from_str(&text).unwrap();
            Document { surface, prefix, root: without_nullable(root), validators: RefCell::default() }
        };
        Some(Self(FILES.into_iter().map(read).collect()))
    }

    /// The names of all operations: `graph GET /users/{user-id}`.
    pub(crate) fn operations(&self) -> Vec<String> {
        let all = self.0.iter().flat_map(Document::operations);
        all.map(|operation| operation.name()).collect()
    }

    /// The operation that an exchange calls.
    pub(crate) fn operation(&self, exchange: &Exchange) -> Option<Operation<'_>> {
        let mut path = exchange.path.as_str();
        let mut surface = exchange.surface;
        // The gateway serves the same Jira under another host.
        if let Some(rest) = path.strip_prefix("/ex/jira/") {
            path = &rest[rest.find('/')?..];
            surface = Surface::Site;
        }
        // `/delta` is short for `/microsoft.graph.delta()`: microsoft-graph.md 5.1.
        let path =
            path.replace("/microsoft.graph.delta()", "/delta").replace("/microsoft.graph.delta", "/delta");
        let fits = self.0.iter().filter(|document| document.surface == surface).flat_map(|document| {
            let path = path.strip_prefix(document.prefix).unwrap_or("");
            document.operations().filter(move |o| o.method == exchange.method && matches(o.template, path))
        });
        // `/users/delta` rather than `/users/{user-id}`.
        fits.min_by_key(|o| o.template.matches('{').count())
    }

    /// What is wrong with the request of an exchange.
    pub(crate) fn request(&self, exchange: &Exchange) -> Vec<String> {
        let Some(operation) = self.operation(exchange) else {
            return vec![format!(
                "{} {} {}: this method and path are not documented",
                exchange.surface.name(),
                exchange.method,
                exchange.path
            )];
        };
        let mut wrong = operation.wrong_parameters(exchange);
        wrong.extend(operation.wrong_body(exchange));
        wrong.into_iter().map(|what| format!("{}: {what}", operation.name())).collect()
    }

    /// What is wrong with the answer of an exchange.
    pub(crate) fn answer(&self, exchange: &Exchange) -> Vec<String> {
        let Some(operation) = self.operation(exchange) else { return Vec::new() };
        let wrong = operation.wrong_answer(exchange);
        wrong.into_iter().map(|what| format!("{}: {}: {what}", operation.name(), exchange.status)).collect()
    }
}

/// Exchanges with the requests inside of batches as exchanges of their own.
pub(crate) fn unfolded(exchanges: Vec<Exchange>) -> Vec<Exchange> {
    let mut all = Vec::new();
    for exchange in exchanges {
        if exchange.path == "/v1.0/$batch" {
            let requests: Value = serde_json::from_slice(&exchange.body).unwrap_or_default();
            let answers: Value = serde_json::from_slice(&exchange.answer).unwrap_or_default();
            for answer in answers["responses"].as_array().into_iter().flatten() {
                let mut asked = requests["requests"].as_array().into_iter().flatten();
                let asked = asked.find(|r| r["id"] == answer["id"]).expect("an answer has a request");
                all.push(of_item(&exchange, asked, answer));
            }
        }
        all.push(exchange);
    }
    all
}

fn of_item(batch: &Exchange, asked: &Value, answer: &Value) -> Exchange {
    let headers = |of: &Value| -> BTreeMap<String, String> {
        let pairs = of["headers"].as_object().into_iter().flatten();
        pairs.map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap_or("?").to_owned())).collect()
    };
    let body = |of: &Value| match &of["body"] {
        Value::Null => Vec::new(),
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    };
    let url = asked["url"].as_str().unwrap_or_default();
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    Exchange {
        surface: batch.surface,
        method: asked["method"].as_str().unwrap_or_default().to_owned(),
        path: format!("/v1.0{path}"),
        query: query.to_owned(),
        headers: headers(asked),
        body: body(asked).into(),
        status: answer["status"].as_u64().and_then(|s| s.try_into().ok()).unwrap_or_default(),
        content_type: headers(answer).remove("content-type"),
        answer: body(answer).into(),
    }
}

/// A schema of OpenAPI 3.0 in the words of JSON Schema: `nullable: true` is a choice with null.
fn without_nullable(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut map: serde_json::Map<_, _> =
                map.into_iter().map(|(k, v)| (k, without_nullable(v))).collect();
            if let Some(Value::String(pattern)) = map.get_mut("pattern") {
                // A pattern of the User management document ends with a line break.
                *pattern = pattern.trim().to_owned();
            }
            if map.get("nullable") == Some(&Value::Bool(true)) {
                map.remove("nullable");
                return json!({"anyOf": [map, {"type": "null"}]});
            }
            map.into()
        }
        Value::Array(list) => list.into_iter().map(without_nullable).collect(),
        other => other,
    }
}

/// Whether a path is of a template: `/servicePrincipals(appId='{appId}')`.
fn matches(template: &str, path: &str) -> bool {
    let (asked, documented): (Vec<_>, Vec<_>) = (path.split('/').collect(), template.split('/').collect());
    asked.len() == documented.len()
        && asked.iter().zip(documented).all(|(asked, documented)| match documented.split_once('{') {
            None => *asked == documented,
            Some((before, rest)) => {
                let after = rest.split_once('}').map_or("", |(_, after)| after);
                let inner = asked.strip_prefix(before).and_then(|asked| asked.strip_suffix(after));
                // A key in brackets is another template's.
                inner.is_some_and(|inner| !inner.is_empty() && !inner.contains('('))
            }
        })
}

impl Document {
    fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        self.root["paths"].as_object().into_iter().flatten().flat_map(move |(template, item)| {
            let all = item.as_object().into_iter().flatten();
            all.filter(|(method, _)| ["get", "post", "put", "patch", "delete"].contains(&method.as_str()))
                .map(move |(method, value)| {
                    let method = match method.as_str() {
                        "get" => "GET",
                        "post" => "POST",
                        "put" => "PUT",
                        "patch" => "PATCH",
                        _ => "DELETE",
                    };
                    Operation { document: self, template, method, item, value }
                })
        })
    }

    fn deref<'v>(&'v self, value: &'v Value) -> &'v Value {
        match value["$ref"].as_str() {
            Some(pointer) => {
                self.root.pointer(pointer.trim_start_matches('#')).expect("a reference leads somewhere")
            }
            None => value,
        }
    }

    /// What a schema has against a value.
    fn check(&self, schema: &Value, value: &Value) -> Vec<String> {
        let key = schema.to_string();
        let built = self.validators.borrow().get(&key).cloned();
        let validator = built.unwrap_or_else(|| {
            let whole = json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "allOf": [schema],
                "components": self.root["components"],
            });
            let built = jsonschema::validator_for(&whole).unwrap_or_else(|e| panic!("{schema}: {e}"));
            let built = Rc::new(built);
            self.validators.borrow_mut().insert(key, Rc::clone(&built));
            built
        });
        validator.iter_errors(value).map(|e| short(&format!("{}: {e}", e.instance_path()))).collect()
    }
}

fn short(text: &str) -> String {
    let mut text: String = text.chars().take(400).collect();
    if text.len() == 400 {
        text.push('…');
    }
    text
}

/// A text as its schema reads it.
fn typed(text: &str, schema: &Value) -> Value {
    let parsed = match schema["type"].as_str() {
        Some("integer") => text.parse().ok().map(|n: i64| n.into()),
        Some("number") => text.parse().ok().map(|n: f64| n.into()),
        Some("boolean") => text.parse().ok().map(|b: bool| b.into()),
        _ => None,
    };
    parsed.unwrap_or_else(|| text.into())
}

fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

impl Operation<'_> {
    pub(crate) fn name(&self) -> String {
        format!("{} {} {}", self.document.surface.name(), self.method, self.template)
    }

    fn wrong_parameters(&self, exchange: &Exchange) -> Vec<String> {
        let mut wrong = Vec::new();
        let lists = [&self.item["parameters"], &self.value["parameters"]];
        let documented = lists.into_iter().flat_map(|list| list.as_array().into_iter().flatten());
        let mut asked: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(exchange.query.as_bytes()) {
            asked.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        for parameter in documented.map(|p| self.document.deref(p)) {
            let name = parameter["name"].as_str().unwrap_or_default();
            let given = match parameter["in"].as_str() {
                Some("query") => {
                    // Both spellings of the token names are served: microsoft-graph.md 2.
                    let key = asked
                        .keys()
                        .find(|k| *k == name || name.contains("token") && k.eq_ignore_ascii_case(name));
                    key.cloned().and_then(|key| asked.remove(&key))
                }
                Some("header") => exchange.headers.get(&name.to_lowercase()).map(|value| vec![value.clone()]),
                _ => continue,
            };
            let Some(given) = given else {
                if parameter["required"] == true {
                    wrong.push(format!("the parameter {name} is missing"));
                }
                continue;
            };
            let schema = self.document.deref(&parameter["schema"]);
            let value = if schema["type"] == "array" {
                let given = given.iter().flat_map(|value| {
                    if parameter["explode"] == false {
                        value.split(',').collect()
                    } else {
                        vec![value.as_str()]
                    }
                });
                let items = self.document.deref(&schema["items"]);
                given.map(|value| typed(value, items)).collect()
            } else if let [one] = given.as_slice() {
                typed(one, schema)
            } else {
                wrong.push(format!("the parameter {name} is given {} times", given.len()));
                continue;
            };
            wrong
                .extend(self.document.check(schema, &value).iter().map(|e| format!("parameter {name}: {e}")));
        }
        wrong.extend(asked.keys().map(|name| format!("the parameter {name} is not documented")));
        wrong
    }

    fn wrong_body(&self, exchange: &Exchange) -> Vec<String> {
        let documented = self.document.deref(&self.value["requestBody"]);
        if documented.is_null() {
            let none = exchange.body.is_empty();
            return if none { Vec::new() } else { vec!["a body is not documented".into()] };
        }
        if exchange.body.is_empty() {
            return if documented["required"] == true {
                vec!["the body is missing".into()]
            } else {
                Vec::new()
            };
        }
        let given = exchange.headers.get("content-type").map_or("none", |kind| essence(kind));
        self.wrong_content(&documented["content"], given, &exchange.body)
    }

    fn wrong_content(&self, content: &Value, given: &str, body: &[u8]) -> Vec<String> {
        let Some(documented) = content.get(given).or_else(|| content.get("*/*")) else {
            return vec![format!("the content type {given} is not documented")];
        };
        let schema = &documented["schema"];
        if schema.is_null() {
            return Vec::new();
        }
        let value = if given == "application/json" {
            match serde_json::from_slice(body) {
                Ok(value) => value,
                Err(error) => return vec![format!("the body is not JSON: {error}")],
            }
        } else {
            typed(&String::from_utf8_lossy(body), self.document.deref(schema))
        };
        self.document.check(schema, &value)
    }

    fn wrong_answer(&self, exchange: &Exchange) -> Vec<String> {
        let responses = &self.value["responses"];
        let status = exchange.status;
        let family = format!("{}XX", status / 100);
        let response =
            [&status.to_string(), &family, "default"].into_iter().find_map(|key| responses.get(key));
        let Some(response) = response else { return vec!["this status is not documented".into()] };
        let content = &self.document.deref(response)["content"];
        let given = exchange.content_type.as_deref().map_or("none", essence);
        let empty = exchange.answer.is_empty();
        match (content.as_object(), status) {
            (Some(_), _) if empty => vec!["the body is missing".into()],
            (Some(_), _) => self.wrong_content(content, given, &exchange.answer),
            (None, ..400) if !empty => vec!["a body is not documented".into()],
            // Jira's errors have no schema where they stand, but one form: atlassian-cloud.md 5.
            (None, 400..) if self.document.surface == Surface::Site && given == "application/json" => {
                let schema = json!({"$ref": "#/components/schemas/ErrorCollection"});
                let value = serde_json::from_slice(&exchange.answer).unwrap_or_default();
                self.document.check(&schema, &value)
            }
            (None, _) => Vec::new(),
        }
    }
}
