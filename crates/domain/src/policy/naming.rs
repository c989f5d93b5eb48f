//! Names of site groups: the template, and what a name must not be.

/// The template for names of site groups, with `{name}` for the directory group's display name.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct GroupNames {
    template: String,
}

impl Default for GroupNames {
    fn default() -> Self {
        Self { template: "{name}".into() }
    }
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

impl GroupNames {
    /// Parses a template.
    pub fn parse(template: &str) -> Result<Self, NameProblem> {
        if template.contains("{name}") {
            Ok(Self { template: template.to_owned() })
        } else {
            Err(NameProblem::NoPlaceholder)
        }
    }

    /// The site name of a directory group; blanks around it are dropped.
    pub fn name(&self, display_name: &str) -> String {
        self.template.replace("{name}", display_name.trim()).trim().to_owned()
    }
}

/// What stands against creating a site group of this name (atlassian-cloud.md 4.2, names: the site documents no rule,
/// this is its advice). Existing groups may bear such names; only creating them is refused.
pub fn site_name_problem(name: &str) -> Option<NameProblem> {
    let invisible = |c: char| {
        c.is_control()
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
    };
    if name.trim().is_empty() {
        Some(NameProblem::Empty)
    } else if name.chars().count() > 255 {
        Some(NameProblem::TooLong)
    } else if name.chars().any(invisible) {
        Some(NameProblem::Invisible)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_wraps_the_trimmed_name() {
        assert_eq!(GroupNames::default().name("  Jira users "), "Jira users");
        assert_eq!(GroupNames::parse("entra-{name}").unwrap().name("QA"), "entra-QA");
        assert_eq!(GroupNames::parse("all"), Err(NameProblem::NoPlaceholder));
    }

    #[test]
    fn names_that_a_site_should_not_bear_are_refused() {
        assert_eq!(site_name_problem("Jira users"), None);
        assert_eq!(site_name_problem("Entwicklung München"), None);
        assert_eq!(site_name_problem(" "), Some(NameProblem::Empty));
        assert_eq!(site_name_problem(&"x".repeat(256)), Some(NameProblem::TooLong));
        assert_eq!(site_name_problem("a\u{202E}b"), Some(NameProblem::Invisible));
        // Advised against, but the site's to refuse: the directory's name is what people know
        assert_eq!(site_name_problem("R&D / Ops"), None);
    }
}
