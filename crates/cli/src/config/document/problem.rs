//! What is wrong with a document: which key, on which line, and what to write instead.

use std::fmt;

use entrain_domain::{Failure, FailureClass, FailureCode};

/// One thing wrong with a document. Never quotes a value: it may be a secret in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Dotted path of the key, such as `site.api_token`; empty for the document as a whole.
    pub(crate) key: String,
    /// Line, counted from 1.
    pub(crate) line: usize,
    /// What is wrong, to be read after the key.
    pub(crate) what: String,
    /// What to do.
    pub(crate) remedy: String,
    /// Whether a secret is missing rather than the document wrong.
    pub(crate) kind: ProblemKind,
}

/// What kind of mistake it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProblemKind {
    /// The document itself.
    Document,
    /// A secret that it refers to is not there.
    Secret,
}

/// A document that is refused, with everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) struct DocumentError {
    /// Where the document came from: a file's name, or “stored document of …”.
    pub(crate) origin: String,
    /// At least one.
    pub(crate) problems: Vec<Problem>,
}

impl DocumentError {
    /// The message for one problem.
    pub(crate) fn sentence(&self, problem: &Problem) -> String {
        if problem.key.is_empty() {
            format!("{}, line {}: {}", self.origin, problem.line, problem.what)
        } else {
            format!("{}, line {}: {} {}", self.origin, problem.line, problem.key, problem.what)
        }
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            f.write_str(&self.sentence(problem))?;
        }
        Ok(())
    }
}

impl From<DocumentError> for Failure {
    fn from(error: DocumentError) -> Self {
        let secret = error.problems.iter().all(|p| p.kind == ProblemKind::Secret);
        let code = if secret { FailureCode::SecretUnavailable } else { FailureCode::DocumentInvalid };
        let remedies: Vec<&str> = error.problems.iter().map(|p| p.remedy.as_str()).collect();
        let failure = Failure::new(code, FailureClass::Local, error.to_string(), remedies.join("; "));
        match error.problems.first() {
            Some(first) if !first.key.is_empty() => failure.of(first.key.clone()),
            _ => failure,
        }
    }
}
