//! Reports, as the API gives them and the console shows them: one table each, with the same rows for programs and for
//! spreadsheets.

use jiff::Timestamp;
use serde_json::Value;

/// A report, as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// Who has left and is still active on the site.
    Leavers,
    /// Accounts that belong to nobody, and people without an account.
    Unlinked,
    /// What people did by hand on the site.
    Drift,
    /// Seats of each product.
    Seats,
    /// Who is on the leaver ladder.
    Ladder,
    /// When credentials end.
    Credentials,
    /// Who was in a group at a moment.
    Members {
        /// The group, by id on either side or by name.
        group: String,
        /// The moment; now, where none is given.
        at: Option<Timestamp>,
    },
}

/// What a report needs of the clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Both sides are read.
    Clouds,
    /// It says what is remembered.
    Nothing,
}

impl Report {
    /// Names of all of them, in the order in which they are listed.
    pub const NAMES: [&'static str; 7] =
        ["leavers", "unlinked", "drift", "seats", "ladder", "credentials", "members"];

    /// The report of a name; that of members takes a group and perhaps a moment.
    pub fn named(name: &str, group: Option<&str>, at: Option<Timestamp>) -> Option<Self> {
        Some(match name {
            "leavers" => Self::Leavers,
            "unlinked" => Self::Unlinked,
            "drift" => Self::Drift,
            "seats" => Self::Seats,
            "ladder" => Self::Ladder,
            "credentials" => Self::Credentials,
            "members" => Self::Members { group: group?.to_owned(), at },
            _ => return None,
        })
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Leavers => "leavers",
            Self::Unlinked => "unlinked",
            Self::Drift => "drift",
            Self::Seats => "seats",
            Self::Ladder => "ladder",
            Self::Credentials => "credentials",
            Self::Members { .. } => "members",
        }
    }

    /// Whether making it asks the clouds.
    pub fn asks(&self) -> Asks {
        match self {
            Self::Leavers | Self::Unlinked | Self::Drift | Self::Seats => Asks::Clouds,
            Self::Ladder | Self::Credentials | Self::Members { .. } => Asks::Nothing,
        }
    }
}

/// A report that was made.
#[derive(Debug, Clone, Default)]
pub struct Reported {
    /// Names of its columns.
    pub header: Vec<&'static str>,
    /// Its rows, as texts.
    pub rows: Vec<Vec<String>>,
    /// The same for spreadsheets; no cell is taken for a formula (quality.md H-04).
    pub csv: String,
    /// The same for programs.
    pub json: Value,
}

/// Form of an export of the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportForm {
    /// One JSON object per line.
    Jsonl,
    /// For spreadsheets.
    Csv,
}

/// A part of an export, and after which entry the next begins; nothing where it was the last.
#[derive(Debug, Clone)]
pub struct ExportPart {
    /// The text.
    pub text: String,
    /// Where the next part begins.
    pub next: Option<i64>,
}

/// A moment as people write it: a day means its end in UTC.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(at) = text.parse() {
        return Some(at);
    }
    let day: jiff::civil::Date = text.parse().ok()?;
    let end = day.at(23, 59, 59, 999_000_000).to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(end.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_report() {
        for name in Report::NAMES {
            let report = Report::named(name, Some("Jira users"), None).unwrap();
            assert_eq!(report.name(), name);
        }
        assert_eq!(Report::named("members", None, None), None);
        assert_eq!(Report::named("audit", None, None), None);
    }

    #[test]
    fn a_day_means_its_end() {
        assert_eq!(moment("2026-11-01").unwrap().to_string(), "2026-11-01T23:59:59.999Z");
        assert_eq!(moment("2026-11-01T08:00:00Z").unwrap().to_string(), "2026-11-01T08:00:00Z");
        assert_eq!(moment("yesterday"), None);
    }
}
