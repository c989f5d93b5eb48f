//! Patterns in which `*` stands for any text, also for none and for slashes.

/// Whether `text` is like `pattern`. Linear in the text for each star.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_text_and_nothing_else_does() {
        assert!(matches("/v1.0/users", "/v1.0/users"));
        assert!(!matches("/v1.0/users", "/v1.0/users/1"));
        assert!(matches("/v1.0/users*", "/v1.0/users/1"));
        assert!(matches("*", ""));
        assert!(matches("/groups/*/members*", "/groups/a/members/b"));
        assert!(!matches("/groups/*/members", "/groups/a/members/b"));
        assert!(!matches("a*a", "a"));
        assert!(!matches("/v1x0/users", "/v1.0/users"));
    }
}
