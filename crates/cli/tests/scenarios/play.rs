//! Playing a page: the emulated company, the connection, commands with what they print, and what is to be seen of the
//! site and of the requests.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use entrain_emulator::control::WorldChange;
use entrain_emulator::{Options, WorldSource};
use regex::Regex;

use crate::page::{Block, parse, render};
use crate::support::Bench;

/// The page as it is when it is played now.
pub(crate) fn play(name: &str, text: &str) -> String {
    let counted = BTreeMap::new();
    let mut stage = Stage { name: name.to_owned(), page: text.to_owned(), bench: None, counted };
    let blocks = parse(text)
        .into_iter()
        .map(|block| match block {
            Block::Fenced { word, text } => {
                let text = stage.act(&word, text);
                Block::Fenced { word, text }
            }
            prose @ Block::Prose(_) => prose,
        })
        .collect::<Vec<_>>();
    render(&blocks)
}

struct Stage {
    name: String,
    /// The page itself: ids that its world does not name are made up, in the order in which calls came.
    page: String,
    bench: Option<Bench>,
    /// Requests by surface when they were last shown.
    counted: BTreeMap<String, u64>,
}

impl Stage {
    fn bench(&self) -> &Bench {
        self.bench.as_ref().unwrap_or_else(|| panic!("{}: a world comes first", self.name))
    }

    /// Plays one block and says what it shows; blocks that only do something stay as they are.
    fn act(&mut self, word: &str, text: String) -> String {
        match word {
            "toml world" => self.begin(&text),
            "toml connection" => self.connect(&text),
            "json change" => self.change(&text),
            "json settings" => self.settings(&text),
            "console" => return self.console(&text),
            "text site" => return self.site(&text),
            "text requests" => return self.requests(),
            other => panic!("{}: a block called “{other}” means nothing", self.name),
        }
        text
    }

    fn begin(&mut self, world: &str) {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        std::fs::write(file.path(), world).unwrap();
        let world = WorldSource::File(file.path().to_owned());
        self.bench = Some(Bench::of(Options { world, ..Options::default() }));
    }

    /// The company's own document with these sections behind it; a second one is a new version.
    fn connect(&mut self, sections: &str) {
        let bench = self.bench();
        let base = bench.document("");
        let base = base.split("[scope]").next().unwrap();
        let company = bench.company();
        let organization = format!(
            "[site.organization]\nid = \"{}\"\napi_key = \"{}\"\nurl = \"{}\"\n",
            company.organization_id, company.api_key, company.organization_url
        );
        let sections = sections.replace("[site.organization]\n", &organization);
        let path = bench.file("connection.toml", &format!("{base}{sections}"));
        let stored = bench.entrain(&["connection", "list", "--json"]).expect(0).json();
        let verb = if stored.as_array().unwrap().is_empty() { "add" } else { "set" };
        bench.entrain(&["connection", verb, path.to_str().unwrap()]).expect(0);
    }

    fn change(&mut self, text: &str) {
        let changes: Vec<WorldChange> =
            serde_json::from_str(text).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        for change in changes {
            let told = format!("{change:?}");
            self.bench()
                .emulator
                .state()
                .change(change)
                .unwrap_or_else(|e| panic!("{}: {told}: {e}", self.name));
        }
    }

    /// Settings of the emulator, as its control address takes them.
    fn settings(&mut self, text: &str) {
        let bench = self.bench();
        let answer = bench.runtime.block_on(async {
            let url = format!("{}/settings", bench.company().control_url);
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            client
                .put(url)
                .header("content-type", "application/json")
                .body(text.to_owned())
                .send()
                .await
                .unwrap()
        });
        assert!(answer.status().is_success(), "{}: the settings are refused", self.name);
    }

    /// Each line after a dollar sign is run; what it prints follows, and an exit code other than 0.
    fn console(&mut self, text: &str) -> String {
        let mut shown = String::new();
        for line in text.lines().filter(|line| line.starts_with("$ ")) {
            let words =
                words(line.strip_prefix("$ entrain ").unwrap_or_else(|| panic!("{line}: not entrain")));
            let args: Vec<&str> = words.iter().map(String::as_str).collect();
            let ran = self.bench().entrain_with(&args, &[("NO_COLOR", "1")]);
            let code = ran.output.status.code().unwrap();
            let mut out = ran.out();
            if out.trim().is_empty() {
                out = ran.err();
            }
            writeln!(shown, "{line}").unwrap();
            shown.push_str(&self.without_made_up_ids(&steady(&out)));
            if code != 0 {
                writeln!(shown, "[exit {code}]").unwrap();
            }
        }
        shown
    }

    fn without_made_up_ids(&self, text: &str) -> String {
        let world = self.page.split("```toml world").nth(1).and_then(|rest| rest.split("\n```").next());
        let id = Regex::new(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap();
        let named = |id: &str| world.is_some_and(|world| world.contains(id));
        let shown = |found: &regex::Captures<'_>| {
            if named(&found[0]) { found[0].to_owned() } else { "[id]".to_owned() }
        };
        id.replace_all(text, shown).into_owned()
    }

    /// The groups that the block names, each with its members; all that have members when it names none.
    fn site(&mut self, text: &str) -> String {
        let named: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split(": ").next())
            .map(|n| n.trim_end_matches(':'))
            .collect();
        let world = self.bench().emulator.state().world();
        let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for group in world.atlassian.groups.values() {
            let members = group.members.iter().map(|id| {
                let account = &world.atlassian.accounts[id];
                account.email.as_deref().unwrap_or(&account.display_name)
            });
            let mut members: Vec<&str> = members.collect();
            members.sort_unstable();
            groups.insert(&group.name, members);
        }
        let mut shown = String::new();
        if named.is_empty() {
            for (name, members) in groups.iter().filter(|(_, members)| !members.is_empty()) {
                writeln!(shown, "{name}: {}", members.join(", ")).unwrap();
            }
        }
        for name in named {
            match groups.get(name) {
                Some(members) => writeln!(shown, "{name}: {}", members.join(", ")).unwrap(),
                None => writeln!(shown, "{name}: (no such group)").unwrap(),
            }
        }
        shown.lines().fold(String::new(), |all, line| all + line.trim_end() + "\n")
    }

    /// Requests since they were last shown, by cloud.
    fn requests(&mut self) -> String {
        let now = self.bench().emulator.state().log.counts().by_surface;
        let mut shown = String::new();
        for surface in ["authority", "graph", "site", "organization"] {
            let count = now.get(surface).copied().unwrap_or(0);
            let before = self.counted.insert(surface.to_owned(), count).unwrap_or(0);
            writeln!(shown, "{surface}: {}", count - before).unwrap();
        }
        shown
    }
}

/// Words as a shell splits them, with double quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// Without what differs from run to run.
fn steady(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, with) in [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[run]"),
        (r"\b\d+(\.\d+)? (ms|s)\b", "[time]"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?( ?UTC|Z)?", "[moment]"),
        (r"\b\d{4}-\d\d-\d\d\b", "[day]"),
        (r"127\.0\.0\.1:\d+", "[address]"),
        (r"[ \t]+\n", "\n"),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, with).into_owned();
    }
    if !text.ends_with('\n') && !text.is_empty() {
        text.push('\n');
    }
    text
}
