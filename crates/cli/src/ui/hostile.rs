//! H-01 over everything that is printed: names made of whatever steers a terminal, breaks a line or a file, in every place
//! of every output.

use entrain_domain::model::RunId;
use entrain_domain::plan::explain::{Explanation, Related};
use entrain_domain::run::RunReport;
use entrain_domain::{Failure, FailureClass, FailureCode};
use serde_json::{Value, json};

use super::page::{Page, Style, Tone, table};
use super::{PlanView, explanation};
use super::{csv, json_line, letter, logs, markdown, results};

/// What a terminal, an editor or a reader of lines acts upon.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200B}'..='\u{200F}' | '\u{FEFF}')
}

/// At least five hundred names: each piece at each place, alone, doubled and with the others.
pub(super) fn corpus() -> Vec<String> {
    let mut pieces: Vec<String> =
        (0..=0x1f_u8).chain(0x7f..=0x9f).map(|b| char::from(b).to_string()).collect();
    pieces.extend(
        [
            "\r\n",
            "\u{1b}[2J",
            "\u{1b}[31m",
            "\u{1b}[1;1H",
            "\u{1b}]0;title\u{7}",
            "\u{1b}]8;;http://evil.example\u{1b}\\",
            "\u{1b}P1$r\u{1b}\\",
            "\u{9b}31m",
            "\u{9d}52;c;AAAA\u{9c}",
            "\u{85}",
            "\u{2028}",
            "\u{2029}",
            "\u{200B}",
            "\u{200C}",
            "\u{200D}",
            "\u{200E}",
            "\u{200F}",
            "\u{202A}",
            "\u{202B}",
            "\u{202C}",
            "\u{202D}",
            "\u{202E}",
            "\u{2060}",
            "\u{2066}",
            "\u{2067}",
            "\u{2068}",
            "\u{2069}",
            "\u{061C}",
            "\u{FEFF}",
            "\u{FFF9}",
            "\u{AD}",
            "\u{180E}",
            "\u{FFFD}",
            "e\u{301}\u{302}\u{303}",
            "\u{301}",
            "👩\u{200D}👩\u{200D}👧",
            "🇩🇪",
            "👍🏽",
            "ﷺ",
            "漢字",
            "א",
            "<script>",
            "\"",
            "'",
            "`",
            "|",
            "\\",
            "=1+1",
            "{}",
            "%s",
            "$(id)",
            "../..",
            "\u{10FFFF}",
            "\u{E0041}",
            "\u{3164}",
        ]
        .map(str::to_owned),
    );
    // How a lone surrogate of a JSON answer arrives
    pieces.push(String::from_utf16_lossy(&[0xd800]));
    pieces.push(String::from_utf16_lossy(&[0x41, 0xdc00, 0x42]));
    let mut names = vec![String::new(), " ".into(), "   ".into(), "\u{3000}".into(), "x".repeat(10_000)];
    for piece in &pieces {
        names.extend([piece.clone(), format!("{piece}a"), format!("a{piece}"), format!("a{piece}b{piece}c")]);
    }
    names.extend(pieces.windows(2).map(<[String]>::concat));
    names.push(pieces.concat());
    names.push("\u{1b}[31m".repeat(2_500));
    names
}

fn plan(name: &str) -> Value {
    let person = json!({"name": name, "directory_id": "u", "site_id": "a", "mail": name});
    let group = json!({"name": name, "directory_id": "g", "site_id": "s"});
    let step = |kind: &str| {
        json!({"id": name, "kind": kind, "user": person, "group": group, "new_name": name, "reason": name, "undoable": false,
            "held_by": name, "update": {"part": "property", "values": {name: name}, "before": {name: "x"}}})
    };
    let kinds = [
        "create_user",
        "update_user",
        "create_group",
        "rename_group",
        "adopt_group",
        "add_member",
        "remove_member",
        "suspend_user",
    ];
    json!({
        "connection": name, "status": "held", "steps": kinds.map(step),
        "held": [{"guard": name, "reason": name}],
        "set_aside": [{"object": name, "reason": name, "remedy": name}],
        "notes": [{"object": name, "reason": name, "remedy": name}],
        "drift": [],
        "seats": {name: {"before": 1, "after": 2, "limit": 3}},
    })
}

fn ran(name: &str) -> RunReport {
    let aside = json!({"object": name, "reason": name, "remedy": name});
    let failure = Failure::new(FailureCode::SiteRefused, FailureClass::Object, name, name).of(name);
    serde_json::from_value(json!({
        "run_id": RunId::parse("run-1").unwrap(), "connection": name, "trigger": "manual", "status": "partial", "steps": {},
        "requests": {"directory": 0, "site": 0, "organization": 0, "throttled": 0}, "held": [],
        "set_aside": [aside], "notes": [aside], "quarantine": name,
        "seats": {}, "error": failure, "started_at": "2026-11-02T08:00:00Z", "duration_ms": 1,
    }))
    .unwrap()
}

fn explained(name: &str) -> Explanation {
    Explanation {
        object: name.into(),
        verdict: name.into(),
        chain: Vec::new(),
        ladder: None,
        related: Related::Groups(Vec::new()),
    }
}

/// Every page for people that names appear in.
fn pages(name: &str) -> Vec<(&'static str, Page)> {
    let row = |cells: usize| vec![vec![name.to_owned(); cells]];
    let mut loose = Page::new();
    loose
        .line(name)
        .heading(name)
        .paragraph(Tone::Warn, "  ", name)
        .labelled("what: ", name)
        .parts(&[(Tone::Bad, name), (Tone::Good, name)]);
    let failure = Failure::new(FailureCode::SiteRefused, FailureClass::Object, name, name).of(name);
    vec![
        ("page", loose),
        ("letter", letter(&PlanView::of(&plan(name)), usize::MAX)),
        ("explain", explanation(&explained(name))),
        ("report", results::report(&ran(name))),
        ("failure", results::failure(&failure)),
        ("runs list", results::runs_list(row(6))),
        ("runs show", results::run_detail(&results::report(&ran(name)), &[], &[])),
        ("connection list", results::connection_list(row(4))),
        ("audit list", results::audit_list(row(6))),
        ("table", table(&["a", "b"], row(2))),
    ]
}

#[track_caller]
fn assert_clean(output: &str, name: &str, text: &str) {
    let found = text.chars().find(|c| *c != '\n' && acts(*c));
    assert_eq!(found, None, "{output} of {:?}", name.chars().take(40).collect::<String>());
}

#[test]
fn h_01_no_name_of_the_corpus_steers_a_terminal_in_any_output() {
    let corpus = corpus();
    assert!(corpus.len() >= 500, "{}", corpus.len());
    for name in &corpus {
        for (output, page) in pages(name) {
            let lines = page.render(Style::Plain);
            assert_clean(output, name, &lines);
            let coloured = page.render(Style::Colours);
            let without = without_colours(&coloured);
            assert_clean(output, name, &without);
        }
        // A name adds no line of its own: a table of one row has its header and that row
        if name.chars().count() < 40 {
            assert_eq!(
                table(&["a"], [vec![name.clone()]]).render(Style::Plain).lines().count(),
                2,
                "{name:?}"
            );
        }
        assert_clean("markdown", name, &markdown(&PlanView::of(&plan(name))));
        let table = csv(["name", "why"], [[name.clone(), name.clone()]]).replace("\r\n", "\n");
        assert_clean("csv", name, &table);
    }
}

/// The colours that the printer itself sets, taken out.
fn without_colours(text: &str) -> String {
    ["1", "2", "31", "32", "33", "0"]
        .iter()
        .fold(text.to_owned(), |text, code| text.replace(&format!("\u{1b}[{code}m"), ""))
}

#[test]
fn h_01_json_is_one_object_on_one_line_and_loses_nothing() {
    for name in corpus() {
        for value in [plan(&name), json!({ "error": { "message": name, "object": name } })] {
            let line = json_line(&value);
            assert_eq!(line.matches('\n').count(), 1, "{name:?}");
            assert_clean("json", &name, &line);
            assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
        }
    }
}

#[test]
fn h_01_each_record_of_the_log_is_one_line_and_in_json_one_object() {
    for name in corpus() {
        let text = logs::one_line(&format!("2026-11-02T08:00:00Z  WARN entrain: {name} refused\n"));
        assert_eq!(text.matches('\n').count(), 1, "{name:?}");
        assert!(!text.trim_end_matches('\n').chars().any(char::is_control), "{name:?}");
        let record = json!({"level": "WARN", "fields": {"message": name}}).to_string() + "\n";
        let line = logs::one_line(&record);
        assert_eq!(line.matches('\n').count(), 1, "{name:?}");
        assert!(serde_json::from_str::<Value>(&line).unwrap().is_object(), "{name:?}");
    }
}

#[test]
fn h_01_a_million_characters_are_cut_for_people_and_whole_in_files() {
    let name = "x".repeat(1_000_000);
    for (output, page) in pages(&name) {
        let shown = page.render(Style::Plain);
        assert!(shown.len() < 100_000, "{output}: {}", shown.len());
    }
    assert!(markdown(&PlanView::of(&plan(&name))).len() < 100_000);
    assert!(csv(["name"], [[name.clone()]]).len() > 1_000_000);
}
