//! What is sent over a channel: one letter for everything that is to be said at a moment. How it looks as e-mail, JSON or
//! chat is the business of `connect::alerts`.

use jiff::Timestamp;

use super::{Concern, Severity};

/// So many notices of one letter are written out; the others are counted.
pub const IN_FULL: usize = 8;

/// Why something is told now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// It is new.
    New,
    /// It was over, and has come back.
    Back,
    /// It has got worse.
    Worse,
    /// It is still so, and nobody has acknowledged it.
    Still,
    /// It is over.
    Over,
    /// Somebody tries the channel out.
    Test,
}

impl Occasion {
    /// The word of JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Back => "back",
            Self::Worse => "worse",
            Self::Still => "still",
            Self::Over => "over",
            Self::Test => "test",
        }
    }

    /// How a line about it begins.
    pub fn words(self) -> &'static str {
        match self {
            Self::New => "New",
            Self::Back => "Back again",
            Self::Worse => "Worse",
            Self::Still => "Still so",
            Self::Over => "Over",
            Self::Test => "Test",
        }
    }
}

/// One thing said in a letter.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Notice {
    /// Id of the alert, with which it is acknowledged.
    pub alert: String,
    /// Why it is told now.
    pub occasion: Occasion,
    /// What it is.
    pub concern: Concern,
    /// Since when.
    pub since: Timestamp,
}

/// A letter over one channel.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Letter {
    /// Id: the same however often it is sent, so that the other side can tell a repetition.
    pub id: String,
    /// The connection.
    pub connection: String,
    /// The channel, as the document names it.
    pub channel: String,
    /// When it was written.
    pub at: Timestamp,
    /// What it says, the most pressing first.
    pub notices: Vec<Notice>,
    /// How many more there were, of which it only says that they are there.
    pub more: usize,
}

impl Letter {
    /// The highest severity of what it says; a letter that only says that things are over is a notice.
    pub fn severity(&self) -> Severity {
        let open = self.notices.iter().filter(|notice| notice.occasion != Occasion::Over);
        open.map(|notice| notice.concern.severity).max().unwrap_or(Severity::Notice)
    }

    /// Its subject: one line, without control characters.
    pub fn subject(&self) -> String {
        let connection = one_line(&self.connection);
        let Some(first) = self.notices.first() else { return format!("Entrain: {connection}") };
        if first.occasion == Occasion::Test {
            return format!("Entrain test: {connection}");
        }
        let said = one_line(&first.concern.sentence);
        let over = if first.occasion == Occasion::Over { "over: " } else { "" };
        let others = self.notices.len() - 1 + self.more;
        let others = if others == 0 { String::new() } else { format!(" (and {others} more)") };
        let mut subject = format!("Entrain {}: {connection}: {over}{said}", self.severity().as_str());
        if let Some((at, _)) = subject.char_indices().nth(160) {
            subject.truncate(at);
            subject.push('…');
        }
        subject + &others
    }
}

/// A text as one line: whatever ends a line, turns writing around or is invisible becomes a blank.
pub fn one_line(text: &str) -> String {
    let shown = |c: char| {
        let hidden = c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}')
            || matches!(c, '\u{2066}'..='\u{2069}' | '\u{FEFF}');
        if hidden { ' ' } else { c }
    };
    text.chars().map(shown).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::ConcernKind;

    fn letter(sentences: &[&str], occasion: Occasion, connection: &str) -> Letter {
        let notice = |sentence: &&str| Notice {
            alert: "a1".into(),
            occasion,
            concern: Concern {
                kind: ConcernKind::Failed,
                severity: Severity::Critical,
                connection: connection.into(),
                object: String::new(),
                sentence: (*sentence).to_owned(),
                remedy: "mend it".into(),
                link: "/".into(),
            },
            since: Timestamp::UNIX_EPOCH,
        };
        Letter {
            id: "m1".into(),
            connection: connection.into(),
            channel: "ops".into(),
            at: Timestamp::UNIX_EPOCH,
            notices: sentences.iter().map(notice).collect(),
            more: 0,
        }
    }

    #[test]
    fn the_subject_says_the_first_thing_and_counts_the_others() {
        let subject = letter(&["the run failed", "no seat is left"], Occasion::New, "Azure AD").subject();
        assert_eq!(subject, "Entrain critical: Azure AD: the run failed (and 1 more)");
        let over = letter(&["the run failed"], Occasion::Over, "Azure AD");
        assert_eq!(over.subject(), "Entrain notice: Azure AD: over: the run failed");
    }

    #[test]
    fn h_01_whatever_a_name_holds_the_subject_is_one_line() {
        for evil in ["a\r\nBcc: x@evil.example", "a\u{2028}b", "a\0b", "\u{202E}gpj", "a\u{85}b"] {
            let subject = letter(&[evil], Occasion::New, evil).subject();
            assert!(!subject.chars().any(char::is_control), "{subject:?}");
            assert!(!subject.contains(['\u{2028}', '\u{202E}']), "{subject:?}");
        }
        assert!(letter(&[&"x".repeat(5000)], Occasion::New, "c").subject().chars().count() < 200);
    }
}
