//! `$filter` and `$search`: the kinds the directory documents, and a refusal for the rest.

use serde_json::Value;

use super::failure::{Failure, Outcome};
use super::object::{Kind, Object};

/// A parsed filter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    /// `property eq literal`; `ne` is the same under `Not` but needs an advanced query by itself.
    Equals(String, Value),
    In(String, Vec<Value>),
    Starts(String, String),
    Ends(String, String),
    /// `collection/any(x:…)`; inside, the element has the empty name.
    Any(String, Box<Filter>),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Open,
    Close,
    Comma,
    Colon,
}

/// Properties that can be filtered by.
const USER_FILTERS: &[&str] = &[
    "accountEnabled",
    "companyName",
    "createdDateTime",
    "department",
    "displayName",
    "employeeId",
    "givenName",
    "id",
    "jobTitle",
    "mail",
    "mailNickname",
    "otherMails",
    "proxyAddresses",
    "surname",
    "usageLocation",
    "userPrincipalName",
    "userType",
];
const GROUP_FILTERS: &[&str] = &[
    "createdDateTime",
    "description",
    "displayName",
    "groupTypes",
    "id",
    "mail",
    "mailEnabled",
    "mailNickname",
    "proxyAddresses",
    "securityEnabled",
];
const APP_FILTERS: &[&str] =
    &["accountEnabled", "appId", "displayName", "id", "servicePrincipalNames", "servicePrincipalType"];
/// `endswith` is served for these only.
const ENDS: &[&str] = &["mail", "otherMails", "proxyAddresses", "userPrincipalName"];
const COLLECTIONS: &[&str] = &["groupTypes", "proxyAddresses", "otherMails", "servicePrincipalNames"];

/// A filter with whether it needs an advanced query.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parsed {
    pub(super) filter: Filter,
    pub(super) advanced: bool,
}

/// Reads a filter on objects of a kind.
pub(super) fn parse(text: &str, kind: Kind) -> Outcome<Parsed> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, kind, variable: None, advanced: false, depth: 0 };
    let filter = parser.or()?;
    if parser.at != tokens.len() {
        return Err(syntax(text));
    }
    Ok(Parsed { filter, advanced: parser.advanced })
}

/// The ids of `id eq '…' or id eq '…'`, the one filter that delta takes; none for anything else.
pub(super) fn ids(filter: &Filter) -> Option<Vec<String>> {
    match filter {
        Filter::Equals(name, Value::String(id)) if name == "id" => Some(vec![id.clone()]),
        Filter::Or(left, right) => {
            let mut all = ids(left)?;
            all.extend(ids(right)?);
            Some(all)
        }
        _ => None,
    }
}

impl Filter {
    /// Whether an object passes.
    pub(super) fn matches(&self, object: &Object<'_>) -> bool {
        self.holds(&|name| object.value(name).unwrap_or(Value::Null))
    }

    fn holds(&self, value: &dyn Fn(&str) -> Value) -> bool {
        match self {
            Filter::And(left, right) => left.holds(value) && right.holds(value),
            Filter::Or(left, right) => left.holds(value) || right.holds(value),
            Filter::Not(inner) => !inner.holds(value),
            Filter::Equals(name, wanted) => same(&value(name), wanted),
            Filter::In(name, wanted) => {
                let found = value(name);
                wanted.iter().any(|wanted| same(&found, wanted))
            }
            Filter::Starts(name, start) => folded(&value(name)).is_some_and(|found| found.starts_with(start)),
            Filter::Ends(name, end) => folded(&value(name)).is_some_and(|found| found.ends_with(end)),
            Filter::Any(name, inner) => match value(name) {
                Value::Array(items) => items.iter().any(|item| inner.holds(&|_| item.clone())),
                _ => false,
            },
        }
    }
}

fn folded(value: &Value) -> Option<String> {
    value.as_str().map(str::to_lowercase)
}

/// Strings are compared without regard to case.
fn same(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::String(a), Value::String(b)) => a.to_lowercase() == b.to_lowercase(),
        _ => found == wanted,
    }
}

fn syntax(text: &str) -> Failure {
    Failure::new(400, "BadRequest", format!("Invalid filter clause: Syntax error in '{text}'."))
}

fn tokens(text: &str) -> Outcome<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&next) = chars.peek() {
        match next {
            ' ' => {
                chars.next();
            }
            '(' | ')' | ',' | ':' => {
                chars.next();
                tokens.push(match next {
                    '(' => Token::Open,
                    ')' => Token::Close,
                    ',' => Token::Comma,
                    _ => Token::Colon,
                });
            }
            '\'' => {
                chars.next();
                let mut literal = String::new();
                loop {
                    match chars.next() {
                        Some('\'') if chars.peek() == Some(&'\'') => {
                            chars.next();
                            literal.push('\'');
                        }
                        Some('\'') => break,
                        Some(other) => literal.push(other),
                        None => return Err(syntax(text)),
                    }
                }
                tokens.push(Token::Text(literal));
            }
            _ => {
                let mut word = String::new();
                while let Some(&other) = chars.peek() {
                    if other == ' ' || "(),'".contains(other) || (other == ':' && !word.contains('T')) {
                        break;
                    }
                    word.push(other);
                    chars.next();
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    kind: Kind,
    variable: Option<String>,
    advanced: bool,
    depth: usize,
}

impl Parser<'_> {
    fn peek_word(&self) -> Option<&str> {
        match self.tokens.get(self.at) {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn keyword(&mut self, word: &str) -> bool {
        let hit = self.peek_word() == Some(word);
        self.at += usize::from(hit);
        hit
    }

    fn next(&mut self) -> Outcome<Token> {
        let token = self.tokens.get(self.at).cloned().ok_or_else(|| syntax("the end of the filter"))?;
        self.at += 1;
        Ok(token)
    }

    fn expect(&mut self, wanted: &Token) -> Outcome<()> {
        if self.next()? == *wanted { Ok(()) } else { Err(syntax("a function or list")) }
    }

    fn or(&mut self) -> Outcome<Filter> {
        let mut left = self.and()?;
        while self.keyword("or") {
            left = Filter::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Outcome<Filter> {
        let mut left = self.unary()?;
        while self.keyword("and") {
            left = Filter::And(Box::new(left), Box::new(self.unary()?));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Outcome<Filter> {
        self.depth += 1;
        if self.depth > 100 {
            return Err(Failure::unsupported("The filter is nested too deeply."));
        }
        let filter = if self.keyword("not") {
            self.advanced = true;
            Filter::Not(Box::new(self.unary()?))
        } else if self.tokens.get(self.at) == Some(&Token::Open) {
            self.at += 1;
            let inner = self.or()?;
            self.expect(&Token::Close)?;
            inner
        } else {
            self.term()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn term(&mut self) -> Outcome<Filter> {
        let Token::Word(word) = self.next()? else {
            return Err(syntax("a property or function"));
        };
        if self.tokens.get(self.at) == Some(&Token::Open) {
            self.at += 1;
            return self.call(&word);
        }
        let property = self.property(&word, false)?;
        let Token::Word(operator) = self.next()? else {
            return Err(syntax(&word));
        };
        match operator.as_str() {
            "eq" => Ok(Filter::Equals(property, self.literal()?)),
            "ne" => {
                self.advanced = true;
                Ok(Filter::Not(Box::new(Filter::Equals(property, self.literal()?))))
            }
            "in" => {
                self.expect(&Token::Open)?;
                let mut values = vec![self.literal()?];
                loop {
                    match self.next()? {
                        Token::Comma => values.push(self.literal()?),
                        Token::Close => break,
                        _ => return Err(syntax(&word)),
                    }
                }
                Ok(Filter::In(property, values))
            }
            "ge" | "gt" | "le" | "lt" => Err(clause(&property, self.kind)),
            _ => Err(syntax(&word)),
        }
    }

    fn call(&mut self, name: &str) -> Outcome<Filter> {
        if let Some(collection) = name.strip_suffix("/any") {
            let property = self.property(collection, true)?;
            let Token::Word(variable) = self.next()? else {
                return Err(syntax(name));
            };
            self.expect(&Token::Colon)?;
            let outer = self.variable.replace(variable);
            let inner = self.or()?;
            self.variable = outer;
            self.expect(&Token::Close)?;
            return Ok(Filter::Any(property, Box::new(inner)));
        }
        let lower = name.to_lowercase();
        if !["startswith", "endswith"].contains(&lower.as_str()) {
            return Err(Failure::unsupported(format!("Unsupported or invalid query function '{name}'.")));
        }
        let Token::Word(word) = self.next()? else {
            return Err(syntax(name));
        };
        let property = self.property(&word, false)?;
        self.expect(&Token::Comma)?;
        let Token::Text(text) = self.next()? else {
            return Err(syntax(name));
        };
        self.expect(&Token::Close)?;
        if lower == "startswith" {
            return Ok(Filter::Starts(property, text.to_lowercase()));
        }
        if !property.is_empty() && !ENDS.contains(&property.as_str()) {
            return Err(clause(&property, self.kind));
        }
        self.advanced = true;
        Ok(Filter::Ends(property, text.to_lowercase()))
    }

    fn property(&self, word: &str, collection: bool) -> Outcome<String> {
        if self.variable.as_deref() == Some(word) {
            return Ok(String::new());
        }
        let known = match self.kind {
            Kind::User => USER_FILTERS.contains(&word),
            Kind::Group => GROUP_FILTERS.contains(&word),
            Kind::ServicePrincipal => APP_FILTERS.contains(&word),
            Kind::Any => USER_FILTERS.contains(&word) || GROUP_FILTERS.contains(&word),
        };
        if !known || COLLECTIONS.contains(&word) != collection || self.variable.is_some() {
            return Err(clause(word, self.kind));
        }
        Ok(word.to_owned())
    }

    fn literal(&mut self) -> Outcome<Value> {
        match self.next()? {
            Token::Text(text) => Ok(Value::String(text)),
            Token::Word(word) => match word.as_str() {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                "null" => Ok(Value::Null),
                other if other.starts_with(|c: char| c.is_ascii_digit()) => Ok(Value::String(word)),
                _ => Err(syntax(&word)),
            },
            _ => Err(syntax("a literal")),
        }
    }
}

fn clause(property: &str, kind: Kind) -> Failure {
    let resource = match kind {
        Kind::User => "User",
        Kind::Group => "Group",
        Kind::ServicePrincipal => "ServicePrincipal",
        Kind::Any => "DirectoryObject",
    };
    Failure::unsupported(format!(
        "Unsupported or invalid query filter clause specified for property '{property}' of resource '{resource}'."
    ))
}

/// A parsed `$search`: any of several alternatives, each a set of clauses that must all hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Search(Vec<Vec<(String, String)>>);

impl Search {
    /// Reads `"displayName:ann" AND "mail:b"`.
    pub(super) fn parse(text: &str) -> Outcome<Self> {
        let broken = || {
            Failure::bad(format!("Syntax error in the $search query: {text}. Clauses need double quotes."))
        };
        let mut alternatives = vec![Vec::new()];
        let mut rest = text.trim();
        loop {
            let (clause, after) =
                rest.strip_prefix('"').and_then(|r| r.split_once('"')).ok_or_else(broken)?;
            let (property, wanted) = clause.split_once(':').ok_or_else(broken)?;
            if ![
                "displayName",
                "description",
                "mail",
                "userPrincipalName",
                "givenName",
                "surname",
                "mailNickname",
            ]
            .contains(&property)
            {
                return Err(Failure::unsupported(format!("Property '{property}' cannot be searched.")));
            }
            let last = alternatives.last_mut().expect("there is always one alternative");
            last.push((property.to_owned(), wanted.trim().to_lowercase()));
            rest = after.trim_start();
            if rest.is_empty() {
                return Ok(Self(alternatives));
            } else if let Some(more) = rest.strip_prefix("AND ") {
                rest = more.trim_start();
            } else if let Some(more) = rest.strip_prefix("OR ") {
                alternatives.push(Vec::new());
                rest = more.trim_start();
            } else {
                return Err(broken());
            }
        }
    }

    /// Whether an object is found: by the start of a word in names, by the start of the value elsewhere.
    pub(super) fn matches(&self, object: &Object<'_>) -> bool {
        let hit = |(property, wanted): &(String, String)| {
            folded(&object.value(property).unwrap_or(Value::Null)).is_some_and(|found| {
                if ["displayName", "description"].contains(&property.as_str()) {
                    found.match_indices(wanted.as_str()).any(|(at, _)| {
                        found[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric())
                    })
                } else {
                    found.starts_with(wanted.as_str())
                }
            })
        };
        self.0.iter().any(|alternative| alternative.iter().all(hit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::tenant::{EntraGroup, EntraUser};

    fn passes(filter: &str, user: &EntraUser) -> bool {
        parse(filter, Kind::User).unwrap().filter.matches(&Object::User(user))
    }

    fn ann() -> EntraUser {
        EntraUser {
            id: "1".into(),
            display_name: Some("Ann O'Neil".into()),
            mail: Some("ann@example.com".into()),
            other_mails: vec!["ann@home.example".into()],
            ..EntraUser::default()
        }
    }

    #[test]
    fn the_documented_operators_work_and_ignore_case() {
        let ann = ann();
        assert!(passes("displayName eq 'ann o''neil'", &ann));
        assert!(passes("accountEnabled eq true and not (userType eq 'Guest')", &ann));
        assert!(passes("mail in ('x','ANN@example.com') or id eq '2'", &ann));
        assert!(passes("startswith(displayName,'an') and endswith(mail,'@EXAMPLE.com')", &ann));
        assert!(passes("otherMails/any(m:startswith(m,'ann@'))", &ann));
        assert!(passes("department eq null", &ann));
        assert!(!passes("department ne null", &ann));
        assert!(!passes("id eq '1' and (id eq '2' or id eq '3')", &ann));
        let group = EntraGroup { group_types: vec!["Unified".into()], ..EntraGroup::default() };
        let any = parse("groupTypes/any(c:c eq 'Unified')", Kind::Group).unwrap();
        assert!(any.filter.matches(&Object::Group(&group)) && !any.advanced);
    }

    #[test]
    fn ne_not_and_endswith_need_an_advanced_query() {
        let advanced = |text| parse(text, Kind::User).unwrap().advanced;
        assert!(advanced("accountEnabled ne true"));
        assert!(advanced("not startswith(mail,'a')"));
        assert!(advanced("endswith(mail,'a')"));
        assert!(!advanced("accountEnabled eq true or startswith(mail,'a')"));
    }

    #[test]
    fn other_filters_are_refused() {
        for (text, code) in [
            ("createdDateTime ge 2026-01-01T00:00:00Z", "Request_UnsupportedQuery"),
            ("contains(displayName,'a')", "Request_UnsupportedQuery"),
            ("nickName eq 'a'", "Request_UnsupportedQuery"),
            ("otherMails eq 'a'", "Request_UnsupportedQuery"),
            ("endswith(displayName,'a')", "Request_UnsupportedQuery"),
            ("displayName eq 'a", "BadRequest"),
            ("displayName eq 'a' and", "BadRequest"),
            ("displayName like 'a'", "BadRequest"),
            ("", "BadRequest"),
        ] {
            assert_eq!(parse(text, Kind::User).unwrap_err().code, code, "{text}");
        }
    }

    #[test]
    fn delta_takes_ids_only() {
        let of = |text| ids(&parse(text, Kind::Group).unwrap().filter);
        assert_eq!(of("id eq 'a' or id eq 'b'"), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(of("displayName eq 'a'"), None);
        assert_eq!(of("id eq 'a' and id eq 'b'"), None);
    }

    #[test]
    fn a_search_finds_the_start_of_words() {
        let ann = ann();
        let finds = |text| Search::parse(text).unwrap().matches(&Object::User(&ann));
        assert!(finds("\"displayName:nei\""));
        assert!(!finds("\"displayName:eil\""));
        assert!(finds("\"mail:bob\" OR \"displayName:ann\""));
        assert!(!finds("\"mail:bob\" AND \"displayName:ann\""));
        assert!(Search::parse("displayName:ann").is_err());
    }
}
