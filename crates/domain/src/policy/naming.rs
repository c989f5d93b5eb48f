//! Names of site groups: rewriting, the template, and what a name must not be.
//!
//! The directory's name, without the blanks around it, goes through the rewritings in their order, then into the
//! template; what comes out must be a name that a site can bear. Names are compared without regard to case, to blanks
//! around them and to how accents are encoded (NFC); nothing else is folded.

use regex::{Regex, RegexBuilder};

/// How names of site groups are made.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct GroupNames {
    rewritings: Vec<Rewriting>,
    template: String,
}

impl Default for GroupNames {
    fn default() -> Self {
        Self { rewritings: Vec::new(), template: "{name}".into() }
    }
}

/// A regular expression and what takes the place of what it finds.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Rewriting {
    #[serde(serialize_with = "as_text")]
    pattern: Regex,
    with: String,
}

fn as_text<S: serde::Serializer>(pattern: &Regex, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(pattern.as_str())
}

impl PartialEq for Rewriting {
    fn eq(&self, other: &Self) -> bool {
        self.pattern.as_str() == other.pattern.as_str() && self.with == other.with
    }
}
impl Eq for Rewriting {}

/// Why a rewriting cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRewriting {
    /// Not a regular expression, or one that would take too much memory.
    #[error("the pattern is no regular expression that can be used: {0}")]
    Pattern(String),
    /// It would put its text between any two characters.
    #[error("the pattern finds nothing at all in every name, so its text would be put everywhere")]
    MatchesNothing,
    /// The replacement names a group that the pattern does not have; it would silently be empty.
    #[error(
        "the replacement names ${0}, and the pattern has no such group (write ${{1}}x for group 1 before an x)"
    )]
    UnknownGroup(String),
}

impl Rewriting {
    /// Parses a regular expression (time linear in the name, no look-around or back references) and a replacement with
    /// `$1` or `$name` for its groups.
    pub fn parse(pattern: &str, with: &str) -> Result<Self, InvalidRewriting> {
        let unusable = |error: regex::Error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            InvalidRewriting::Pattern(last.trim_start_matches("error: ").to_owned())
        };
        let pattern = RegexBuilder::new(pattern).size_limit(1 << 20).build().map_err(unusable)?;
        if pattern.as_str().is_empty() {
            return Err(InvalidRewriting::MatchesNothing);
        }
        if let Some(unknown) = references(with).find(|name| !has_group(&pattern, name)) {
            return Err(InvalidRewriting::UnknownGroup(unknown.to_owned()));
        }
        Ok(Self { pattern, with: with.to_owned() })
    }
}

fn has_group(pattern: &Regex, name: &str) -> bool {
    match name.parse::<usize>() {
        Ok(number) => number < pattern.captures_len(),
        Err(_) => pattern.capture_names().flatten().any(|known| known == name),
    }
}

/// The groups that a replacement names, by the grammar of the `regex` crate: `$word`, `${word}`, `$$` for a dollar.
fn references(with: &str) -> impl Iterator<Item = &str> {
    let mut rest = with;
    std::iter::from_fn(move || {
        loop {
            let at = rest.find('$')?;
            let after = &rest[at + 1..];
            if let Some(next) = after.strip_prefix('$') {
                rest = next;
                continue;
            }
            let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            if let Some((name, next)) = braced {
                rest = next;
                return Some(name);
            }
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            rest = &after[end..];
            if end > 0 {
                return Some(&after[..end]);
            }
        }
    })
}

/// Why a template or a name cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameProblem {
    /// The template would give all groups one name.
    #[error("the template does not contain {{name}}")]
    NoPlaceholder,
    /// Nothing is left after trimming.
    #[error("the name is empty")]
    Empty,
    /// Longer than 255 characters.
    #[error("the name is longer than 255 characters")]
    TooLong,
    /// Control or direction characters, which make two names look alike.
    #[error("the name contains control or invisible characters")]
    Invisible,
}

/// Longest name that is given to a site group, in characters.
const LONGEST: usize = 255;

/// Longest name that is rewritten. The directory allows 256; whatever is far beyond is refused for its length and need
/// not be searched.
const LONGEST_REWRITTEN: usize = 4096;

impl GroupNames {
    /// Parses a template.
    pub fn parse(template: &str) -> Result<Self, NameProblem> {
        if template.contains("{name}") {
            Ok(Self { rewritings: Vec::new(), template: template.to_owned() })
        } else {
            Err(NameProblem::NoPlaceholder)
        }
    }

    /// The same with rewritings, applied in their order before the template.
    #[must_use]
    pub fn rewritten(mut self, rewritings: Vec<Rewriting>) -> Self {
        self.rewritings = rewritings;
        self
    }

    /// The site name of a directory group; blanks around it are dropped. Whether the site can bear it is
    /// [`site_name_problem`]'s to say. A name of nothing stays one: the template makes no name of its own text.
    pub fn name(&self, display_name: &str) -> String {
        let mut name = display_name.trim().to_owned();
        for Rewriting { pattern, with } in &self.rewritings {
            if name.len() > LONGEST_REWRITTEN {
                break;
            }
            let rewritten = pattern.replace_all(&name, with.as_str());
            if let std::borrow::Cow::Owned(new) = rewritten {
                name = new;
            }
        }
        let name = name.trim();
        if name.is_empty() { String::new() } else { self.template.replace("{name}", name).trim().to_owned() }
    }
}

/// What stands against creating a site group of this name (atlassian-cloud.md 4.2, names: the site documents no rule,
/// this is its advice). Existing groups may bear such names; only creating them is refused.
pub fn site_name_problem(name: &str) -> Option<NameProblem> {
    if name.trim().is_empty() {
        Some(NameProblem::Empty)
    } else if name.chars().nth(LONGEST).is_some() {
        Some(NameProblem::TooLong)
    } else if name.chars().any(unseen) {
        Some(NameProblem::Invisible)
    } else {
        None
    }
}

/// Characters that nobody sees, or that turn the direction of what follows.
fn unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E0FFF}')
}

/// A name as a sentence quotes it: what nobody sees is shown as `�`, and what is longer than a name may be is cut. For
/// messages; whoever prints still has to make the whole line fit for its own purpose.
pub(crate) fn quoted(name: &str) -> String {
    let mut shown: String =
        name.trim().chars().take(LONGEST).map(|c| if unseen(c) { '\u{FFFD}' } else { c }).collect();
    if name.trim().chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(rules: &[(&str, &str)], name: &str) -> String {
        let rules = rules.iter().map(|(pattern, with)| Rewriting::parse(pattern, with).unwrap()).collect();
        GroupNames::default().rewritten(rules).name(name)
    }

    #[test]
    fn the_template_wraps_the_trimmed_name() {
        assert_eq!(GroupNames::default().name("  Jira users "), "Jira users");
        assert_eq!(GroupNames::parse("entra-{name}").unwrap().name("QA"), "entra-QA");
        assert_eq!(GroupNames::parse("all"), Err(NameProblem::NoPlaceholder));
        assert_eq!(GroupNames::parse("entra-{name}").unwrap().name("   "), "", "no name is made of nothing");
    }

    #[test]
    fn rewritings_are_applied_in_their_order_and_what_they_do_not_find_stays() {
        let rules = [("^GRP-(.+)$", "$1"), ("_", " "), ("(?i)^jira (?<team>.*)$", "${team} (Jira)")];
        assert_eq!(rewritten(&rules, " GRP-JIRA_Quality_and_Test "), "Quality and Test (Jira)");
        assert_eq!(rewritten(&rules, "Payroll"), "Payroll");
        assert_eq!(rewritten(&[("^GRP-", "")], "GRP- "), "", "refused later, as an empty name");
        let names = GroupNames::parse("entra-{name}").unwrap();
        let names = names.rewritten(vec![Rewriting::parse("^GRP-", "").unwrap()]);
        assert_eq!(names.name("GRP-QA"), "entra-QA", "first the rewriting, then the template");
        assert_eq!(names.name("GRP-"), "");
    }

    #[test]
    fn a_rewriting_that_cannot_mean_what_it_says_is_refused() {
        assert!(matches!(Rewriting::parse("(", "x"), Err(InvalidRewriting::Pattern(_))));
        assert!(matches!(Rewriting::parse("(?=x)", "x"), Err(InvalidRewriting::Pattern(_))));
        assert!(matches!(Rewriting::parse("(x{1000}){1000}", ""), Err(InvalidRewriting::Pattern(_))));
        assert_eq!(Rewriting::parse("", "x"), Err(InvalidRewriting::MatchesNothing));
        for with in ["$2", "$1x", "${team}", "a $$ $2"] {
            assert!(
                matches!(Rewriting::parse("(x)", with), Err(InvalidRewriting::UnknownGroup(_))),
                "{with}"
            );
        }
        for with in ["", "$1", "${1}x", "$0", "$$2", "cost: 5 $"] {
            assert!(Rewriting::parse("(x)", with).is_ok(), "{with}");
        }
    }

    #[test]
    fn names_that_a_site_should_not_bear_are_refused() {
        assert_eq!(site_name_problem("Jira users"), None);
        assert_eq!(site_name_problem("Entwicklung München"), None);
        assert_eq!(site_name_problem("❤️ Support"), None);
        assert_eq!(site_name_problem(" "), Some(NameProblem::Empty));
        assert_eq!(site_name_problem(&"x".repeat(255)), None);
        assert_eq!(site_name_problem(&"x".repeat(256)), Some(NameProblem::TooLong));
        assert_eq!(site_name_problem("a\u{202E}b"), Some(NameProblem::Invisible));
        // Advised against, but the site's to refuse: the directory's name is what people know
        assert_eq!(site_name_problem("R&D / Ops"), None);
    }

    #[test]
    fn h_01_whatever_a_name_holds_it_is_made_refused_and_quoted_without_a_control_byte() {
        let names = GroupNames::parse("entra-{name}").unwrap();
        let names = names.rewritten(vec![Rewriting::parse("(a+)+b", "$1").unwrap()]);
        let hostile = [
            "a\rb",
            "a\nb",
            "a\0b",
            "\u{1b}[31mred\u{1b}[0m",
            "a\u{2028}b",
            "a\u{2029}b",
            "\u{202E}txt.exe",
            "a\u{200F}b",
            "a\u{200B}b",
            "\u{FEFF}a",
            "a\u{AD}b",
            "a\u{E0041}b",
            "\u{3164}",
            "a\u{85}b",
            "a\u{7f}b",
        ];
        for name in hostile {
            let made = names.name(name);
            assert_eq!(site_name_problem(&made), Some(NameProblem::Invisible), "{name:?}");
            assert!(!quoted(name).chars().any(unseen), "{name:?}");
        }
        for name in ["", " ", "\t\r\n", "\u{3000}\u{2003}"] {
            assert_eq!(site_name_problem(&names.name(name)), Some(NameProblem::Empty), "{name:?}");
        }
        for length in [10_000, 1_000_000] {
            let name = "a".repeat(length);
            assert_eq!(site_name_problem(&names.name(&name)), Some(NameProblem::TooLong));
            assert_eq!(quoted(&name).chars().count(), LONGEST + 1);
        }
    }
}
