//! What the rules ask of the directory: which part of it has to be read, and which attributes of people.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::{Rules, Scope};

/// What has to be read of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// The scope.
    pub scope: Scope,
    /// Attributes of users beyond those that every user is read with, by their names in Graph.
    pub attributes: BTreeSet<String>,
}

impl Demand {
    /// Tells demands apart: a mirror that was read for one demand cannot be brought up to date for another.
    pub fn fingerprint(&self) -> String {
        fingerprint(&format!("{self:?}"))
    }
}

fn fingerprint(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

impl Rules {
    /// Tells rules apart: what was planned under one set of rules says nothing of another.
    pub fn fingerprint(&self) -> String {
        fingerprint(&format!("{self:?}"))
    }

    /// What these rules ask of the directory.
    pub fn demand(&self) -> Demand {
        Demand { scope: self.scope.clone(), attributes: self.attributes.names() }
    }
}
