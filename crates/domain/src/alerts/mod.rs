//! What people must be told without having asked: concerns, computed from what runs left behind, and the letters in
//! which they reach people. When something is told, and how often, is the engine's to say (`engine::alerts`).

mod concerns;
mod letter;

pub use concerns::{DRAWN_OUT, Facts, PLENTY_PERCENT, Standing, concerns};
pub use letter::{IN_FULL, Letter, Notice, Occasion, one_line};

/// What a concern is about.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ConcernKind {
    /// A plan, or a part of it, waits for a person's approval.
    Held,
    /// The last run failed, or none can begin.
    Failed,
    /// So much failed that the connection makes careful runs only.
    Quarantine,
    /// A product has no seat left, or hardly any.
    Seats,
    /// People wait for a seat.
    Waiting,
    /// A credential has ended, or is about to.
    Credential,
    /// The directory's change notifications have stopped.
    Notifications,
    /// People changed by hand what Entrain manages.
    Drift,
    /// A channel of alerts does not take messages.
    Channel,
}

impl ConcernKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Held,
        Self::Failed,
        Self::Quarantine,
        Self::Seats,
        Self::Waiting,
        Self::Credential,
        Self::Notifications,
        Self::Drift,
        Self::Channel,
    ];

    /// The word of documents, stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Quarantine => "quarantine",
            Self::Seats => "seats",
            Self::Waiting => "waiting",
            Self::Credential => "credential",
            Self::Notifications => "notifications",
            Self::Drift => "drift",
            Self::Channel => "channel",
        }
    }

    /// The kind that a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// How pressing a concern is, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Notice,
    /// Needs somebody within days.
    Warning,
    /// Needs somebody now: the connection does not do its work, or is about to stop.
    Critical,
}

impl Severity {
    /// All severities, the least first.
    pub const ALL: [Self; 3] = [Self::Notice, Self::Warning, Self::Critical];

    /// The word printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Something that people must be told.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Concern {
    /// What it is about.
    pub kind: ConcernKind,
    /// How pressing it is.
    pub severity: Severity,
    /// The connection.
    pub connection: String,
    /// What of the connection: a product, the key of a credential, guards; empty for the connection as a whole.
    pub object: String,
    /// What there is, in a sentence without a full stop.
    pub sentence: String,
    /// What to do, in a sentence without a full stop.
    pub remedy: String,
    /// Where in the console it can be looked at: a path from `/` on.
    pub link: String,
}

/// Names a concern over time: the same kind of thing of the same object is one concern, however often it is found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ConcernKey(String);

impl ConcernKey {
    /// As stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Concern {
    /// Its name over time. Neither its words nor its severity are part of it.
    pub fn key(&self) -> ConcernKey {
        ConcernKey(format!("{}/{}/{}", self.kind.as_str(), self.connection, self.object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back() {
        for kind in ConcernKind::ALL {
            assert_eq!(ConcernKind::from_word(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert!(Severity::ALL.is_sorted());
    }

    #[test]
    fn a_key_names_the_thing_and_not_the_words_for_it() {
        let concern = |severity, object: &str, sentence: &str| Concern {
            kind: ConcernKind::Seats,
            severity,
            connection: "Azure AD".into(),
            object: object.into(),
            sentence: sentence.into(),
            remedy: String::new(),
            link: "/".into(),
        };
        let first = concern(Severity::Warning, "jira-software", "two seats are left");
        assert_eq!(first.key(), concern(Severity::Critical, "jira-software", "no seat is left").key());
        assert_ne!(first.key(), concern(Severity::Warning, "confluence", "two seats are left").key());
    }
}
