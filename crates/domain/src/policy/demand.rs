//! What the rules ask of the directory: which part of it has to be read, and which attributes of people.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::{GroupSelector, Guests, Rules, Scope, UserScope};
use crate::model::{DirectoryGroupId, FURTHER_PROPERTIES, property_of};

/// What has to be read of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// The scope.
    pub scope: Scope,
    /// Properties of users beyond those that every user is read with, by their names in Graph.
    pub attributes: BTreeSet<String>,
    /// Groups whose members have to be known although they do not take part: those that the filter names.
    pub asides: Vec<GroupSelector>,
}

/// Groups that are looked for one by one at most.
const FEW: usize = 50;

impl Demand {
    /// The groups to begin with, where everything asked for is found from there: people come in through groups, and
    /// these are few and named by id or exact name. Then the rest of the tenant needs not be read.
    pub fn few_groups(&self) -> Option<Vec<&GroupSelector>> {
        let named: Vec<&GroupSelector> = self.scope.groups.iter().chain(&self.asides).collect();
        let findable = self.scope.users == UserScope::InGroups
            && named.len() <= FEW
            && !named.iter().any(|selector| selector.is_pattern());
        findable.then_some(named)
    }

    /// Whether the members of a group have to be known.
    pub fn reads(&self, id: &DirectoryGroupId, name: &str) -> bool {
        self.scope.selects(id, name) || self.asides.iter().any(|selector| selector.selects(id, name))
    }

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
        let mapped = self.attributes.names();
        let mapped = mapped.iter().map(|name| property_of(name).to_owned());
        let filtered = self.scope.filter.iter().flat_map(super::Expr::attributes);
        let ranked = self.seats.attributes();
        let further = |name: &String| FURTHER_PROPERTIES.contains(&name.as_str());
        // Who of those that were read takes part is decided afterwards: another filter needs no other reading.
        let scope = Scope { filter: None, guests: Guests::Include, ..self.scope.clone() };
        let asides = self.scope.filter.iter().flat_map(super::Expr::named_groups).cloned().collect();
        Demand { scope, attributes: mapped.chain(filtered).chain(ranked).filter(further).collect(), asides }
    }
}
