//! Small parts of pages: times, numbers, icons, words. What is [`HtmlSafe`] writes its own markup and nothing of anybody's.

use std::borrow::Borrow;
use std::fmt::{self, Display, Formatter};

use askama::filters::HtmlSafe;
use entrain_domain::run::{RunStatus, Trigger};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::assets;

/// An instant, told as distance, with the exact time in its title.
#[derive(Debug, Clone, Copy)]
pub(crate) struct When {
    at: Timestamp,
    now: Timestamp,
}

impl When {
    pub(crate) fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { at, now }
    }

    /// `19 minutes ago`, `in 3 days`; beyond a week the date.
    pub(crate) fn words(&self) -> String {
        let seconds = self.at.duration_since(self.now).as_secs();
        let (much, unit) = match seconds.unsigned_abs() {
            0..10 => return "just now".to_owned(),
            s @ 10..60 => (s, "second"),
            s @ 60..3_600 => (s / 60, "minute"),
            s @ 3_600..86_400 => (s / 3_600, "hour"),
            s @ 86_400..604_800 => (s / 86_400, "day"),
            _ => return self.at.strftime("%-d %b %Y").to_string(),
        };
        let unit = if much == 1 { unit.to_owned() } else { format!("{unit}s") };
        if seconds < 0 { format!("{much} {unit} ago") } else { format!("in {much} {unit}") }
    }
}

impl Display for When {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let exact = self.at.strftime("%A %-d %B %Y, %H:%M:%S UTC");
        write!(f, "<time datetime=\"{}\" title=\"{exact}\">{}</time>", self.at, self.words())
    }
}

impl HtmlSafe for When {}

/// The time of day of an instant, with the whole in its title.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(pub(crate) Timestamp);

impl Display for Clock {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let exact = self.0.strftime("%A %-d %B %Y, %H:%M:%S UTC");
        write!(f, "<time datetime=\"{}\" title=\"{exact}\">{}</time>", self.0, self.0.strftime("%H:%M:%S"))
    }
}

impl HtmlSafe for Clock {}

/// An icon by its name in `assets/icons.svg`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Icon(&'static str);

impl Display for Icon {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let file = assets::address("icons.svg");
        write!(f, "<svg class=\"icon\" aria-hidden=\"true\"><use href=\"{file}#i-{}\"/></svg>", self.0)
    }
}

impl HtmlSafe for Icon {}

/// An icon by its name in `assets/icons.svg`.
pub(crate) fn icon(name: &'static str) -> Icon {
    Icon(name)
}

/// A chip: a state with its icon and word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chip {
    /// `ok`, `warn`, `danger`, `info`, or nothing.
    pub(crate) state: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) word: &'static str,
}

impl Display for Chip {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("<span class=\"chip\"")?;
        if !self.state.is_empty() {
            write!(f, " data-state=\"{}\"", self.state)?;
        }
        write!(f, ">{}{}</span>", icon(self.icon), self.word)
    }
}

impl HtmlSafe for Chip {}

impl Chip {
    pub(crate) const fn new(state: &'static str, icon: &'static str, word: &'static str) -> Self {
        Self { state, icon, word }
    }

    /// How a run stands.
    pub(crate) fn of_run(status: RunStatus) -> Self {
        match status {
            RunStatus::Running => Self::new("info", "wait", "running"),
            RunStatus::Converged => Self::new("ok", "ok", "in step"),
            RunStatus::Held => Self::new("warn", "held", "held"),
            RunStatus::Partial => Self::new("warn", "warn", "partly done"),
            RunStatus::Failed => Self::new("danger", "danger", "failed"),
        }
    }
}

/// `1,128`.
pub(crate) fn number(n: impl Borrow<u64>) -> String {
    let digits = n.borrow().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

/// `1 person`, `2,000 people`.
pub(crate) fn count(n: impl Borrow<u64>, one: &str, many: &str) -> String {
    let n = *n.borrow();
    if n == 1 { format!("1 {one}") } else { format!("{} {many}", number(n)) }
}

/// `0.4 s`, `2 min 5 s`.
pub(crate) fn took(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        ms @ 1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        ms => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

/// What started a run, in words.
pub(crate) fn started_by(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Manual => "a person",
        Trigger::SavedPlan => "a saved plan",
        Trigger::Schedule => "schedule",
        Trigger::SignIn => "sign-in",
        Trigger::Notification => "change in Entra",
        Trigger::Approval => "approval",
        Trigger::Undo => "undo",
    }
}

/// A day and time that says when, for headings: `24 Nov, 09:12`.
pub(crate) fn day_and_time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%-d %b, %H:%M").to_string()
}

/// A sentence: begins with a capital and ends with a full stop.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return String::new() };
    // What is quoted may end the sentence itself
    let end = if text.trim_end_matches('”').ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), chars.as_str())
}

/// The first letters of the first and last word of a name.
pub(crate) fn initials(name: &str) -> String {
    let mut words = name.split_whitespace().filter_map(|word| word.chars().next());
    let first = words.next();
    first.into_iter().chain(words.next_back()).flat_map(char::to_uppercase).collect()
}

/// `N of M` as the width of a bar of 100.
pub(crate) fn share(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100).checked_div(whole).map_or(0, |share| share.min(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_times_and_sentences_read_as_people_write_them() {
        assert_eq!(["0", "999", "1,000", "1,234,567"], [0_u64, 999, 1_000, 1_234_567].map(number));
        assert_eq!(count(1_u64, "person", "people"), "1 person");
        assert_eq!([420, 1_640, 125_000].map(took), ["420 ms", "1.6 s", "2 min 5 s"]);
        assert_eq!(sentence("the run has ended"), "The run has ended.");
        assert_eq!(sentence("member through “A”"), "Member through “A”.");
        assert_eq!(sentence("it says “No.”"), "It says “No.”");
        assert_eq!(initials("Marta Anna Lindqvist"), "ML");
        assert_eq!(initials("ana"), "A");
        let now: Timestamp = "2026-11-24T09:12:00Z".parse().unwrap();
        let told = |at: &str| When::new(at.parse().unwrap(), now).words();
        assert_eq!(told("2026-11-24T08:53:00Z"), "19 minutes ago");
        assert_eq!(told("2026-11-24T09:13:00Z"), "in 1 minute");
        assert_eq!(told("2026-11-24T09:11:58Z"), "just now");
        assert_eq!(told("2026-11-10T09:11:58Z"), "10 Nov 2026");
        let html = When::new("2026-11-24T08:53:02Z".parse().unwrap(), now).to_string();
        assert!(html.contains("title=\"Tuesday 24 November 2026, 08:53:02 UTC\""), "{html}");
    }
}
