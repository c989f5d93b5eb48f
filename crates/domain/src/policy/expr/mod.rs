//! Expressions of administrators, in CEL: filters that hold or do not, and texts for attribute mapping.
//!
//! They see `user.NAME`, the attributes of one person, and `groups`, the names of the groups in scope that hold the
//! person, and of every group that the expression names (`"NAME" in groups`, where an id will do as well). An attribute that is not set reads as `null` (a list of mails as an empty list), and `has(user.NAME)` says
//! whether it is set. Names, functions and types are checked when the expression is compiled; what only shows with a
//! certain person, such as `startsWith` on what is not set, is an error about that person and about nobody else.
//!
//! The crate `cel` breaks its API between minor versions; nothing outside this module sees it.

mod check;
mod growth;
mod person;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{IdedExpr, operators};
use cel::{Context, Env, ExecutionError, Value};
use check::Check;
use person::{EVERYTHING, Read, Variables, value};

use super::GroupSelector;
use crate::model::{AttributeValue, DirectoryUser, property_of};

/// Longest expression, in characters: it stands in one line of a document.
const LENGTH: usize = 4_000;
/// Macros such as `exists` within each other: each multiplies the time.
const NESTED: usize = 2;

/// What every person is read with.
const ALWAYS: [&str; 5] = ["accountEnabled", "displayName", "mail", "userPrincipalName", "userType"];
/// Attributes that are lists.
const LISTS: [&str; 3] = ["businessPhones", "otherMails", "proxyAddresses"];
/// Attributes that are true or false.
const FLAGS: [&str; 1] = ["showInAddressList"];

/// Functions that an expression may call, operators and macros apart.
const FUNCTIONS: [&str; 21] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "charAt",
    "indexOf",
    "lastIndexOf",
    "join",
    "lowerAscii",
    "upperAscii",
    "trim",
    "replace",
    "split",
    "substring",
    "reverse",
];
/// Operators, as the parser writes them, with what people write.
const OPERATORS: [(&str, &str); 19] = [
    (operators::CONDITIONAL, "? :"),
    (operators::LOGICAL_AND, "&&"),
    (operators::LOGICAL_OR, "||"),
    (operators::LOGICAL_NOT, "!"),
    (operators::SUBSTRACT, "-"),
    (operators::ADD, "+"),
    (operators::MULTIPLY, "*"),
    (operators::DIVIDE, "/"),
    (operators::MODULO, "%"),
    (operators::EQUALS, "=="),
    (operators::NOT_EQUALS, "!="),
    (operators::GREATER_EQUALS, ">="),
    (operators::LESS_EQUALS, "<="),
    (operators::GREATER, ">"),
    (operators::LESS, "<"),
    (operators::NEGATE, "-"),
    (operators::INDEX, "[ ]"),
    (operators::NOT_STRICTLY_FALSE, "exists or all"),
    (operators::IN, "in"),
];

/// The functions, made once.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(false);
    env.add_extension(cel::extensions::strings).expect("the extension meets a fresh environment");
    Arc::new(env)
});

/// The person an expression is about.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The person.
    pub user: &'a DirectoryUser,
    /// Names of the groups in scope, and of those that the expression names, that hold the person, directly or through
    /// nesting; as the expression writes them where it does.
    pub groups: &'a [Arc<str>],
}

/// Why an expression cannot be used, or not for this person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExprError {
    /// Line and column, counted from 1, where the error is found when compiling.
    pub position: Option<(usize, usize)>,
    /// What is wrong, in a sentence.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((1, column)) => write!(f, "at character {column}: {}", self.what),
            Some((line, column)) => write!(f, "at line {line}, character {column}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for ExprError {}

/// A compiled expression. Two are equal when they are the same text.
#[derive(Clone)]
pub struct Expr {
    text: Arc<str>,
    tree: Arc<IdedExpr>,
    /// Attributes that it reads, by their names in the expression.
    names: Arc<BTreeSet<&'static str>>,
    /// Groups that it asks for by name or id.
    named_groups: Arc<Vec<GroupSelector>>,
    looks_through_groups: bool,
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expr({:?})", self.text)
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expr {}

impl serde::Serialize for Expr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl Expr {
    /// Compiles an expression.
    ///
    /// # Errors
    /// When it cannot be parsed, names an unknown attribute, variable or function, or uses an operator or function on
    /// what it never fits.
    pub fn compile(text: &str) -> Result<Self, ExprError> {
        let (expr, trial) = Self::compile_and_try(text)?;
        match trial {
            Err(error) if error.is_certain => Err(error.words),
            // Other errors depend on the values: they are shown when they happen.
            _ => Ok(expr),
        }
    }

    /// Compiles an expression that is to hold or not, such as a filter.
    ///
    /// # Errors
    /// As [`Expr::compile`], and when it gives something else than true or false.
    pub fn condition(text: &str) -> Result<Self, ExprError> {
        let (expr, trial) = Self::compile_and_try(text)?;
        match trial {
            Ok(Value::Bool(_)) => Ok(expr),
            Ok(other) => Err(not_a_condition(&other)),
            Err(error) if error.is_certain => Err(error.words),
            Err(_) => Ok(expr),
        }
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The properties of Graph that have to be read for it, beyond those that every user is read with.
    pub fn attributes(&self) -> BTreeSet<String> {
        let further = self.names.iter().filter(|name| !ALWAYS.contains(name));
        further.map(|name| property_of(name).to_owned()).collect()
    }

    /// Whether it looks at `groups`: then it can be evaluated only where these are known.
    pub fn reads_groups(&self) -> bool {
        self.looks_through_groups || !self.named_groups.is_empty()
    }

    /// The groups that it asks for one by one (`"NAME" in groups`): only these have to be known for that.
    pub fn named_groups(&self) -> &[GroupSelector] {
        &self.named_groups
    }

    /// Whether it looks at `groups` in another way, so that all groups in scope have to be known.
    pub fn looks_through_groups(&self) -> bool {
        self.looks_through_groups
    }

    /// Whether it holds for a person.
    ///
    /// # Errors
    /// When it cannot be evaluated for this person; that says nothing about anybody else.
    pub fn holds(&self, facts: &Facts<'_>) -> Result<bool, ExprError> {
        match self.evaluate(facts).map_err(|error| error.words)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(not_a_condition(&other)),
        }
    }

    /// What it says of a person; `None` for null. Numbers come as their text.
    ///
    /// # Errors
    /// When it cannot be evaluated for this person, or gives a list of something else than texts.
    pub fn value(&self, facts: &Facts<'_>) -> Result<Option<AttributeValue>, ExprError> {
        let value = self.evaluate(facts).map_err(|error| error.words)?;
        let text = |value: &Value| {
            Some(Arc::from(match value {
                Value::String(text) => text.as_str().to_owned(),
                Value::Int(number) => number.to_string(),
                Value::UInt(number) => number.to_string(),
                Value::Float(number) => number.to_string(),
                _ => return None,
            }))
        };
        let given = match &value {
            Value::Null => return Ok(None),
            Value::Bool(flag) => Some(AttributeValue::Flag(*flag)),
            Value::List(list) => list.iter().map(text).collect::<Option<_>>().map(AttributeValue::List),
            one => text(one).map(AttributeValue::Text),
        };
        given.map(Some).ok_or_else(|| ExprError {
            position: None,
            what: format!("it gives {}, and a text is needed", called(&value)),
            remedy: "make it a text, a number, true or false, or a list of texts".into(),
        })
    }

    /// What it says of a person as one text; `None` for null.
    ///
    /// # Errors
    /// As [`Expr::value`], and when it gives a list.
    pub fn text(&self, facts: &Facts<'_>) -> Result<Option<String>, ExprError> {
        Ok(match self.value(facts)? {
            None => None,
            Some(AttributeValue::Flag(flag)) => Some(flag.to_string()),
            Some(AttributeValue::Text(text)) => Some(text.to_string()),
            Some(AttributeValue::List(_)) => {
                return Err(ExprError {
                    position: None,
                    what: "it gives a list, and a text is needed".into(),
                    remedy: "join the list with .join(\", \"), or take one element".into(),
                });
            }
        })
    }

    fn compile_and_try(text: &str) -> Result<(Self, Result<Value, Trouble>), ExprError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ExprError {
                position: None,
                what: "the expression is empty".into(),
                remedy: "write one, such as user.department == \"Sales\", or leave it out".into(),
            });
        }
        if text.chars().count() > LENGTH {
            return Err(ExprError {
                position: None,
                what: format!("the expression is longer than {LENGTH} characters"),
                remedy: "put the people into a group, and name the group".into(),
            });
        }
        let program = ENVIRONMENT.compile(text).map_err(|errors| unparsable(&errors))?;
        let mut tree = program.expression().clone();
        let mut check = Check {
            source: program.source_info(),
            names: BTreeSet::new(),
            named_groups: Vec::new(),
            looks_through_groups: false,
            bound: Vec::new(),
            depth: 0,
        };
        check.node(&mut tree)?;
        if growth::most(&tree) > growth::LIMIT {
            return Err(ExprError {
                position: None,
                what: "its texts could become too long: each replace and join lengthens what the one before gave".into(),
                remedy: "use fewer of them within each other".into(),
            });
        }
        let Check { names, named_groups, looks_through_groups, .. } = check;
        let expr = Self {
            text: Arc::from(text),
            tree: Arc::new(tree),
            names: Arc::new(names),
            named_groups: Arc::new(named_groups),
            looks_through_groups,
        };
        let trial = expr.evaluate(&Facts { user: &EVERYTHING, groups: &[Arc::from("1")] });
        Ok((expr, trial))
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Result<Value, Trouble> {
        let variables = Variables(*facts);
        let mut context = Context::with_env(ENVIRONMENT.clone());
        context.set_variable_resolver(&variables);
        Value::resolve(&self.tree, &context).map_err(|error| self.trouble(&error, facts))
    }

    fn trouble(&self, error: &ExecutionError, facts: &Facts<'_>) -> Trouble {
        let unset: Vec<&str> = self
            .names
            .iter()
            .copied()
            .filter(|name| matches!(value(facts.user, name), Some(Read::Unset)))
            .collect();
        let (what, is_certain) = match error {
            ExecutionError::NoSuchOverload(overload) => {
                let kinds: Vec<&str> = overload.argument_types().iter().map(|name| kind_name(name)).collect();
                (format!("{} does not work on {}", written(overload.function()), kinds.join(" and ")), true)
            }
            ExecutionError::FunctionError { function, message } if function == "matches" => {
                (format!("the pattern of matches cannot be used: {}", one_line(message)), true)
            }
            ExecutionError::UndeclaredReference(name) => (format!("“{name}” is not known"), true),
            ExecutionError::IndexOutOfBounds(_) => ("there is no such element in the list".to_owned(), false),
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
                ("it divides by zero".to_owned(), false)
            }
            ExecutionError::Overflow(..) => ("a number becomes too large".to_owned(), false),
            ExecutionError::FunctionError { function, message } => {
                (format!("{} cannot be done: {}", written(function), one_line(message)), false)
            }
            _ => ("it cannot be evaluated".to_owned(), false),
        };
        let (what, remedy) = match unset.as_slice() {
            [] => (what, "correct the expression".to_owned()),
            names => {
                let listed = names.iter().map(|name| format!("user.{name}")).collect::<Vec<_>>().join(", ");
                (
                    format!("{what}; not set for this person: {listed}"),
                    format!("set the attribute in Entra ID, or ask first: has(user.{0}) && …", names[0]),
                )
            }
        };
        Trouble { words: ExprError { position: None, what, remedy }, is_certain }
    }
}

/// An error of an evaluation.
struct Trouble {
    words: ExprError,
    /// It would come whatever the values are, as long as everything is set.
    is_certain: bool,
}

fn not_a_condition(value: &Value) -> ExprError {
    ExprError {
        position: None,
        what: format!("it gives {}, and true or false is needed", called(value)),
        remedy: "compare it with something, such as user.department == \"Sales\"".into(),
    }
}

fn called(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "true or false",
        Value::String(_) => "a text",
        Value::Int(_) | Value::UInt(_) | Value::Float(_) => "a number",
        Value::List(_) => "a list",
        Value::Null => "nothing (null)",
        _ => "something that is neither a text nor a number",
    }
}

fn kind_name(name: &str) -> &str {
    match name {
        "null_type" => "what is not set",
        "string" => "a text",
        "int" | "uint" | "double" => "a number",
        "bool" => "true or false",
        "list" => "a list",
        other => other,
    }
}

fn written(function: &str) -> &str {
    OPERATORS.iter().find(|(name, _)| *name == function).map_or(function, |(_, written)| written)
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(200).collect()
}

fn unparsable(errors: &cel::ParseErrors) -> ExprError {
    let place = |n: isize| usize::try_from(n).unwrap_or(1).max(1);
    let first = errors.errors.first();
    let told = first.map(|error| one_line(&error.msg)).unwrap_or_default();
    ExprError {
        position: first.map(|error| (place(error.pos.0), place(error.pos.1))),
        what: if told.is_empty() { "it is no expression".into() } else { told },
        remedy: "the language is CEL: texts in quotes, == and !=, && and ||, has(user.NAME), \
                 user.NAME.startsWith(\"…\"), \"…\" in groups"
            .into(),
    }
}

#[cfg(test)]
mod tests;
