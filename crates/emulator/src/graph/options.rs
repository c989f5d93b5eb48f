//! OData query options: read in any case, each at most once, unknown ones refused.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::failure::{Failure, Outcome};

/// The options of a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Options {
    pub(super) select: Option<Vec<String>>,
    pub(super) top: Option<usize>,
    pub(super) skip_token: Option<String>,
    pub(super) delta_token: Option<String>,
    pub(super) filter: Option<String>,
    pub(super) search: Option<String>,
    pub(super) order_by: Option<String>,
    pub(super) count: bool,
    pub(super) expand: Option<Expand>,
    /// All options but the tokens, as they came, for links and bindings.
    pub(super) kept: Vec<(String, String)>,
}

/// `$expand=name($select=a,b)`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expand {
    pub(super) name: String,
    pub(super) select: Option<Vec<String>>,
}

/// What stays as it is in the query of a link.
const LINK: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'$');

impl Options {
    /// Reads a query string.
    pub(super) fn parse(query: &str) -> Outcome<Self> {
        let mut options = Self::default();
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let lower = name.to_ascii_lowercase();
            if !lower.starts_with('$') {
                continue;
            }
            if seen.contains(&lower) {
                return Err(Failure::bad(format!("Query option '{name}' was specified more than once.")));
            }
            seen.push(lower.clone());
            let value = value.trim().to_owned();
            match lower.as_str() {
                "$skiptoken" => options.skip_token = Some(value),
                "$deltatoken" => options.delta_token = Some(value),
                _ => {
                    options.set(&lower, &value)?;
                    options.kept.push((lower, value));
                }
            }
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Outcome<()> {
        match name {
            "$select" => self.select = Some(names(value)?),
            "$top" => {
                let size = value.parse::<i64>().map_err(|_| {
                    Failure::bad(format!("Invalid value '{value}' for $top query option found."))
                })?;
                self.top = Some(usize::try_from(size).unwrap_or(0));
                if !(1..=999).contains(&size) {
                    return Err(Failure::unsupported(format!(
                        "Invalid page size specified: '{size}'. Must be between 1 and 999 inclusive."
                    )));
                }
            }
            "$filter" => self.filter = Some(value.to_owned()),
            "$search" => self.search = Some(value.to_owned()),
            "$orderby" => self.order_by = Some(value.to_owned()),
            "$count" => {
                self.count = match value.to_ascii_lowercase().as_str() {
                    "true" => true,
                    "false" => false,
                    _ => {
                        return Err(Failure::bad(format!(
                            "Invalid value '{value}' for $count query option found."
                        )));
                    }
                }
            }
            "$expand" => self.expand = Some(expand(value)?),
            "$format" => {}
            "$skip" => return Err(Failure::bad("'$skip' is not supported by the service.")),
            other => {
                return Err(Failure::bad(format!("The query parameter '{other}' is not supported.")));
            }
        }
        Ok(())
    }

    /// The options as a query without tokens, ready to be followed by a token; ends in `&` unless empty.
    pub(super) fn link_query(&self) -> String {
        self.kept.iter().fold(String::new(), |mut query, (name, value)| {
            query.push_str(name);
            query.push('=');
            query.extend(utf8_percent_encode(value, LINK));
            query.push('&');
            query
        })
    }

    /// What a request of base cost `base` takes: `$select` and a small `$top` make it cheaper, `$expand` dearer.
    pub(super) fn units(&self, base: u64) -> u64 {
        let small = self.top.is_some_and(|top| top < 20);
        let up = base + u64::from(self.expand.is_some());
        up.saturating_sub(u64::from(self.select.is_some()) + u64::from(small)).max(1)
    }
}

fn names(value: &str) -> Outcome<Vec<String>> {
    let names: Vec<String> = value.split(',').map(|name| name.trim().to_owned()).collect();
    if names.iter().any(String::is_empty) {
        return Err(Failure::new(
            400,
            "BadRequest",
            "Parsing OData Select and Expand failed: Term '' is not valid.",
        ));
    }
    Ok(names)
}

fn expand(value: &str) -> Outcome<Expand> {
    let broken = || {
        Failure::new(
            400,
            "BadRequest",
            format!("Parsing OData Select and Expand failed: '{value}' is not valid."),
        )
    };
    let Some((name, rest)) = value.split_once('(') else {
        if value.contains(',') {
            return Err(Failure::unsupported("Only one property can be expanded in a single request."));
        }
        return Ok(Expand { name: value.to_owned(), select: None });
    };
    let inner = rest.strip_suffix(')').ok_or_else(broken)?;
    let list = inner.trim().strip_prefix("$select=").ok_or_else(broken)?;
    Ok(Expand { name: name.trim().to_owned(), select: Some(names(list)?) })
}
