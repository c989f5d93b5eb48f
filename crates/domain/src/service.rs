//! What people tell the service: who may do what, and whether a connection may write by itself.

/// What somebody may do with the API. Each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks at everything.
    Viewer,
    /// Starts and stops runs.
    Operator,
    /// Approves, rejects and undoes runs.
    Approver,
    /// Changes connections and hands out keys.
    Administrator,
}

impl Role {
    /// All roles, the least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Approver, Self::Administrator];

    /// The word stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Administrator => "administrator",
        }
    }
    /// The role stored under a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

/// What the service does with a connection by itself. What a person starts does not ask for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Plans, and writes nothing.
    #[default]
    Preview,
    /// Plans, and does what no guard holds.
    Apply,
}

impl Mode {
    /// The word stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preview => "preview",
            Self::Apply => "apply",
        }
    }
    /// The mode stored under a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Preview, Self::Apply].into_iter().find(|mode| mode.as_str() == word)
    }
}

/// A connection's name in addresses: lower case, other characters than letters and digits as single `-`.
pub fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.to_lowercase().chars() {
        if c.is_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_letters_and_digits_with_single_hyphens() {
        assert_eq!(slug("Azure AD"), "azure-ad");
        assert_eq!(slug(" Azure -- AD! "), "azure-ad");
        assert_eq!(slug("München 2"), "münchen-2");
    }

    #[test]
    fn words_come_back() {
        assert!(Role::ALL.into_iter().all(|role| Role::from_word(role.as_str()) == Some(role)));
        assert!(
            [Mode::Preview, Mode::Apply].into_iter().all(|mode| Mode::from_word(mode.as_str()) == Some(mode))
        );
    }
}

/// Whose turn it is to start what is due, where several servers look at the same schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The one that asked.
    Ours,
    /// Another was first.
    Anothers,
}
