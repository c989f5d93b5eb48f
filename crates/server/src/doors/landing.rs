//! Where people go on to after the access page: pages of the connection's own site, and nowhere else. Whatever else an
//! address asks for is answered with the site's start page.

use url::Url;

/// Longest path that is taken over.
const LONGEST: usize = 2000;

/// The site that people go on to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination(Url);

impl Destination {
    /// A site by its address; only its origin and path count.
    ///
    /// # Errors
    /// Gives back nothing when it is no address of a web site.
    pub fn new(address: &str) -> Option<Self> {
        let mut url = Url::parse(address).ok()?;
        let web = matches!(url.scheme(), "https" | "http") && url.has_host() && url.username().is_empty();
        url.set_query(None);
        url.set_fragment(None);
        (web && url.password().is_none()).then_some(Self(url))
    }

    /// The start page.
    pub fn start(&self) -> &str {
        self.0.as_str()
    }

    /// The page that was asked for, when it is one of the site; else the start page.
    pub fn page(&self, asked: Option<&str>) -> String {
        asked.and_then(|asked| self.own(asked)).unwrap_or_else(|| self.0.clone()).into()
    }

    fn own(&self, asked: &str) -> Option<Url> {
        // What browsers drop, or read as a slash, is not guessed at
        let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
        if asked.is_empty() || asked.len() > LONGEST || asked.chars().any(odd) {
            return None;
        }
        let url = if asked.starts_with('/') {
            if asked.starts_with("//") {
                return None;
            }
            self.0.join(asked).ok()?
        } else {
            let written = asked.get(..self.0.scheme().len() + 3)?;
            if !written.eq_ignore_ascii_case(&format!("{}://", self.0.scheme())) {
                return None;
            }
            Url::parse(asked).ok()?
        };
        let same = url.origin() == self.0.origin() && url.username().is_empty() && url.password().is_none();
        // A path that begins with two slashes is read as a host by whatever joins it again
        (same && !url.path().starts_with("//")).then_some(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_own_site_are_gone_on_to() {
        let site = Destination::new("https://acme.atlassian.net").unwrap();
        for (asked, page) in [
            ("/browse/ABC-1", "https://acme.atlassian.net/browse/ABC-1"),
            ("/issues/?jql=a%20%3D%20b#x", "https://acme.atlassian.net/issues/?jql=a%20%3D%20b#x"),
            ("https://acme.atlassian.net/browse/ABC-1", "https://acme.atlassian.net/browse/ABC-1"),
            ("https://ACME.atlassian.net:443/x", "https://acme.atlassian.net/x"),
            ("/a/../../b", "https://acme.atlassian.net/b"),
        ] {
            assert_eq!(site.page(Some(asked)), page, "{asked}");
        }
        for evil in [
            "",
            " ",
            "evil.example",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "\\/evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "\t//evil.example",
            " //evil.example",
            "https:evil.example",
            "https:/evil.example",
            "https:///evil.example",
            "https://evil.example",
            "https://evil.example/https://acme.atlassian.net",
            "https://acme.atlassian.net.evil.example/",
            "https://acme.atlassian.net@evil.example/",
            "https://user:pass@acme.atlassian.net/",
            "https://user@acme.atlassian.net/",
            "https://acme.atlassian.net:8443/",
            "http://acme.atlassian.net/",
            "https://acme.atlassian.net\\@evil.example/",
            "https://acme.atlassian.net%2f@evil.example/",
            "https://acme.atlassian.net%00.evil.example/",
            "https://evil.example#acme.atlassian.net",
            "https://evil.example?acme.atlassian.net",
            "https://\u{430}cme.atlassian.net/",
            "https://acme\u{3002}evil.example/",
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "ftp://acme.atlassian.net/",
            "/.//evil.example",
            "/x/..//evil.example",
            "/%09/\u{2028}evil.example",
        ] {
            assert_eq!(site.page(Some(evil)), "https://acme.atlassian.net/", "{evil:?}");
        }
        assert_eq!(site.page(Some(&format!("/{}", "x".repeat(3000)))), site.start());
        assert_eq!(site.page(None), site.start());
    }
}
