//! Trying before storing: a whole document, and an expression on one person. Nothing is stored or written, and nobody
//! of the directory is read anew.

use std::collections::BTreeSet;

use entrain_domain::Failure;
use entrain_domain::model::AttributeValue;
use entrain_domain::plan::Person;
use serde_json::{Value, json};

use crate::rulebook::Fault;
use crate::service::Answer;

/// What would come of storing a document.
#[derive(Debug, Clone)]
pub struct DocumentTrial {
    /// What its parser refuses, missing secrets among it; where there is something, nothing was compared.
    pub faults: Vec<Fault>,
    /// What its rules would change, as far as both sides are remembered.
    pub compared: Compared,
}

/// A document's rules beside those in force.
#[derive(Debug, Clone)]
pub enum Compared {
    /// There is nothing to compare with: the connection is new, nothing was read yet, or the document is refused.
    Nothing,
    /// Both could be planned.
    Plans {
        /// The plan under the new rules, as the contract has it.
        plan: Value,
        /// Ids of its steps that the rules in force do not ask for.
        new: BTreeSet<String>,
        /// Ids of steps that the rules in force ask for and these do not.
        gone: BTreeSet<String>,
    },
    /// It could not be found out.
    Failed(Failure),
}

impl DocumentTrial {
    /// As `entrain connection set --dry-run --json` tells it, with what the parser refuses.
    pub(crate) fn json(&self, connection: &str) -> Value {
        let problems: Vec<Value> = self
            .faults
            .iter()
            .map(|fault| {
                json!({ "key": fault.key, "line": fault.line, "problem": fault.what, "remedy": fault.remedy })
            })
            .collect();
        let mut told = json!({ "connection": connection, "result": "not stored", "problems": problems });
        match &self.compared {
            Compared::Nothing => {}
            Compared::Plans { plan, new, gone } => {
                told["what_if"] = plan.clone();
                told["new_steps"] = json!(new);
                told["gone_steps"] = json!(gone);
            }
            Compared::Failed(failure) => told["what_if_failed"] = json!(failure),
        }
        told
    }
}

/// What an expression makes of one person.
#[derive(Debug, Clone)]
pub struct ExpressionTrial {
    /// The person, as last read.
    pub user: Person,
    /// What it gives, nothing for a value that is not there; or why it gives none.
    pub outcome: Result<Option<AttributeValue>, Trouble>,
    /// What is to know about it.
    pub notes: Vec<String>,
}

/// Why an expression gives no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Line and character, from 1, where that can be said.
    pub position: Option<(usize, usize)>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl ExpressionTrial {
    pub(crate) fn json(&self, connection: &str) -> Value {
        let (value, problem) = match &self.outcome {
            Ok(value) => (json!(value), Value::Null),
            Err(trouble) => {
                let position = trouble.position;
                let problem = json!({
                    "line": position.map(|(line, _)| line), "character": position.map(|(_, at)| at),
                    "problem": trouble.what, "remedy": trouble.remedy,
                });
                (Value::Null, problem)
            }
        };
        json!({ "connection": connection, "user": self.user, "value": value, "problem": problem, "notes": self.notes })
    }
}

/// What trying needs from behind the service.
pub trait Trials: Send + Sync {
    /// What would come of storing this text as the document of a connection, which may be new.
    fn try_document<'a>(&'a self, connection: &'a str, document: &'a str) -> Answer<'a, DocumentTrial>;
    /// What an expression makes of one person, named by object id, principal name, address or account id. Bounded: one
    /// that takes too long is a failure.
    fn try_expression<'a>(
        &'a self,
        connection: &'a str,
        expression: &'a str,
        who: &'a str,
    ) -> Answer<'a, ExpressionTrial>;
}
