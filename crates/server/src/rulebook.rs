//! What the forms of the rules need from behind the service: the parser of documents, earlier versions of a document,
//! and rules tried on people of the mirror.

use entrain_domain::why::Why;
use jiff::Timestamp;

use crate::service::Answer;

/// Something in a document that its parser refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Dotted key; empty for the document as a whole.
    pub key: String,
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong, to be read after the key.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// A version of a connection's document, its secrets sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its number, from 1.
    pub number: i64,
    /// The document; nothing in the version that removed the connection.
    pub document: Option<String>,
    /// Who stored it.
    pub author: String,
    /// When.
    pub at: Timestamp,
    /// Why, where they said it.
    pub why: Option<Why>,
}

/// What is tried on people or groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Who takes part.
    Scope,
    /// How groups are called on the site.
    Groups,
    /// Which values are written for people.
    Attributes,
    /// Who goes first when seats run out.
    Seats,
}

/// How something came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// In, or a value.
    Good,
    /// Out.
    Out,
    /// It cannot be said.
    Unsure,
    /// Nothing to say.
    Plain,
}

/// One person or group that something was tried on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The name.
    pub name: String,
    /// The person's id in the directory; empty for groups.
    pub id: String,
    /// What holds under the rules in force.
    pub before: (Outcome, String),
    /// What would hold.
    pub after: (Outcome, String),
    /// Why, or what is to know; may be empty.
    pub why: String,
}

/// What came of trying rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trial {
    /// Whether anything was read that it could be tried on.
    pub read: bool,
    /// The whole in a sentence.
    pub sum: String,
    /// Some, those that are decided differently in front.
    pub samples: Vec<Sample>,
    /// What is to know about it.
    pub notes: Vec<String>,
}

/// What the forms of the rules need. Nothing of it changes a connection or asks a cloud.
pub trait Rulebook: Send + Sync {
    /// What the parser of documents says of this text as the document of a connection, missing secrets among it.
    fn judge<'a>(&'a self, connection: &'a str, document: &'a str) -> Answer<'a, Vec<Fault>>;
    /// All versions of a connection's document, the newest first.
    fn versions<'a>(&'a self, connection: &'a str) -> Answer<'a, Vec<Version>>;
    /// Tries a valid document on some people or groups of the mirror, or on those whose names hold `find`. Bounded: a
    /// document that takes too long is a failure.
    fn try_out<'a>(
        &'a self,
        connection: &'a str,
        document: &'a str,
        topic: Topic,
        find: &'a str,
    ) -> Answer<'a, Trial>;
}
