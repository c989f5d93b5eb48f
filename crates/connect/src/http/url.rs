//! Addresses: where a client may go, and how ids become part of a path without reaching another endpoint.

use std::fmt;
use std::net::IpAddr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Url};

use crate::{Context, Error};

/// Everything outside RFC 3986 `unreserved`.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A base address: scheme, host, port and an optional path prefix. Plain `http` is accepted for loopback only.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// Parses a base address.
    ///
    /// # Errors
    /// `Error::Configuration` when it is no address, is not `https` (or `http` to loopback), carries user information,
    /// a query or a fragment, or is a literal address of a private, link-local or metadata range (O-03).
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |what: &str| Error::Configuration {
            what: format!("the address {:?} cannot be used: {what}", printable(text)),
            remedy: "Give the address as https://host, without user, query or fragment".to_owned(),
        };
        let url = Url::parse(text).map_err(|error| refuse(&error.to_string()))?;
        let Some(host) = url.host() else { return Err(refuse("it names no host")) };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("it carries a user name or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("it carries a query or a fragment"));
        }
        let loopback = is_loopback(&host);
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => return Err(refuse("plain http is accepted for this machine only")),
            _ => return Err(refuse("the scheme is not https")),
        }
        if let Host::Ipv4(_) | Host::Ipv6(_) = host
            && !loopback
            && is_inner(&host)
        {
            return Err(refuse("it is an address of a private or link-local network"));
        }
        if written_host(text).is_some_and(|written| !written.is_ascii()) {
            return Err(refuse("the host has letters outside ASCII; write its xn-- form if it is meant"));
        }
        Ok(Self(url))
    }

    /// The address of the instance metadata service: the one link-local address that is meant, or loopback in tests.
    ///
    /// # Errors
    /// `Error::Configuration` for anything but `http://169.254.169.254` or a loopback address.
    pub fn metadata(text: &str) -> Result<Self, Error> {
        match Url::parse(text) {
            Ok(url) if url.origin() == Url::parse("http://169.254.169.254").expect("a literal").origin() => {
                Ok(Self(url))
            }
            _ => Self::parse(text).and_then(|base| {
                if base.is_loopback() {
                    return Ok(base);
                }
                Err(Error::Configuration {
                    what: format!("the metadata address {:?} cannot be used", printable(text)),
                    remedy: "Leave it out: it is http://169.254.169.254 on every Azure machine".to_owned(),
                })
            }),
        }
    }

    /// Whether it is this machine: the emulator, or a test.
    pub fn is_loopback(&self) -> bool {
        self.0.host().is_some_and(|host| is_loopback(&host))
    }

    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The host, for messages.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The address as text, without a trailing slash.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// An absolute link of the other side as a target below this address, for `$batch`.
    ///
    /// # Errors
    /// `Error::ForeignLink` when it leads to another origin, or out of the path of this address.
    pub(crate) fn relative(&self, link: &str, context: &Context) -> Result<String, Error> {
        let url = self.resolve(link, context)?;
        let foreign =
            || Error::ForeignLink { context: Box::new(context.clone()), host: printable(self.host()) };
        let rest = url.as_str().strip_prefix(self.as_str()).ok_or_else(foreign)?;
        if rest.starts_with('/') { Ok(rest.to_owned()) } else { Err(foreign()) }
    }

    /// Puts a target under this address, or checks an absolute link against its origin.
    pub(crate) fn resolve(&self, target: &str, context: &Context) -> Result<Url, Error> {
        let unsafe_target = || Error::UnsafeTarget { context: Box::new(context.clone()) };
        if target.starts_with('/') && !target.starts_with("//") {
            let text = format!("{}{target}", self.as_str());
            let url = Url::parse(&text).map_err(|_| unsafe_target())?;
            // The parser resolves `..` and drops tabs: when it changed the path, it is not the one that was written.
            let written = text.split(['?', '#']).next().unwrap_or_default();
            let parsed = url.as_str().split(['?', '#']).next().unwrap_or_default();
            if written != parsed || url.fragment().is_some() || url.origin() != self.0.origin() {
                return Err(unsafe_target());
            }
            return Ok(url);
        }
        let foreign =
            |host: &str| Error::ForeignLink { context: Box::new(context.clone()), host: printable(host) };
        let written = written_host(target).ok_or_else(|| foreign("no host"))?;
        let url = Url::parse(target).map_err(|_| foreign("an address that cannot be read"))?;
        let same = url.scheme() == self.0.scheme()
            && url.host() == self.0.host()
            && url.port_or_known_default() == self.0.port_or_known_default()
            && url.username().is_empty()
            && url.password().is_none()
            // The host must be written as it is configured: no other spelling of an IP address, no look-alike letters.
            && written.eq_ignore_ascii_case(self.host())
            && !target.contains(['\\', '\t', '\n', '\r'])
            && target.trim() == target;
        if same { Ok(url) } else { Err(foreign(url.host_str().unwrap_or("no host"))) }
    }
}

/// The host as it stands in the text between `//` and the port, user information included so that it never matches.
fn written_host(text: &str) -> Option<&str> {
    let rest = text.split_once("://")?.1;
    let authority = rest.split(['/', '?', '#']).next()?;
    if authority.ends_with(']') {
        return Some(authority);
    }
    Some(match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    })
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
    }
}

fn is_inner(host: &Host<&str>) -> bool {
    let ip: IpAddr = match host {
        Host::Ipv4(ip) => IpAddr::V4(*ip),
        Host::Ipv6(ip) => ip.to_ipv4_mapped().map_or(IpAddr::V6(*ip), IpAddr::V4),
        Host::Domain(_) => return false,
    };
    match ip {
        IpAddr::V4(ip) => {
            ip.is_private()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_multicast()
                || ip.is_loopback()
                || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64)
        }
        IpAddr::V6(ip) => {
            ip.is_unspecified()
                || ip.is_multicast()
                || ip.segments()[0] & 0xfe00 == 0xfc00
                || ip.segments()[0] & 0xffc0 == 0xfe80
        }
    }
}

/// Text of the other side made safe for a message: one line, no control characters, at most 120 characters.
pub(crate) fn printable(text: &str) -> String {
    text.chars().take(120).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BaseUrl({})", self.as_str())
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A path and query below a base address, built so that an id can only ever be one segment or one value (H-06).
///
/// An id of `.` or `..` cannot be written as a segment of a URL at all; such a call is refused when it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    text: String,
    query: bool,
}

impl Target {
    /// Begins with a literal path such as `/rest/api/3/group/user`.
    pub fn new(path: &'static str) -> Self {
        Self { text: path.to_owned(), query: false }
    }

    /// Appends one path segment, encoded.
    #[must_use]
    pub fn segment(mut self, value: &str) -> Self {
        self.text.push('/');
        self.text.extend(utf8_percent_encode(value, COMPONENT));
        self
    }

    /// Appends a key such as `(appId='…')` (OData); the value is quoted and encoded, so that it cannot end the quotes.
    #[must_use]
    pub fn key(mut self, name: &'static str, value: &str) -> Self {
        self.text.push('(');
        self.text.push_str(name);
        self.text.push_str("='");
        self.text.extend(utf8_percent_encode(&value.replace('\'', "''"), COMPONENT));
        self.text.push_str("')");
        self
    }

    /// Appends a literal path such as `/members`.
    #[must_use]
    pub fn path(mut self, path: &'static str) -> Self {
        self.text.push_str(path);
        self
    }

    /// Appends a query option; name and value are encoded, except a leading `$` of the name (OData).
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.text.push(if self.query { '&' } else { '?' });
        self.query = true;
        let plain = name.strip_prefix('$').unwrap_or(name);
        if plain.len() < name.len() {
            self.text.push('$');
        }
        self.text.extend(utf8_percent_encode(plain, COMPONENT));
        self.text.push('=');
        self.text.extend(utf8_percent_encode(value, COMPONENT));
        self
    }

    /// The target as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.text
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;
    use crate::http::Plane;

    /// What ids are made of by whoever wants to reach another endpoint.
    const PIECES: [&str; 40] = [
        "/", "?", "#", "%", "%2f", "%2F", "%252f", "..", ".", ";", "\\", "\\\\", "&", "=", "+", " ", "\0",
        "\r\n", "\n", "\t", "\u{7f}", "\u{85}", "\u{2028}", ":", "@", "//", "://", "'", "''", "\"", "$",
        "$filter=", "(", ")", "ü", "／", "．．", "😀", "users", "a",
    ];

    fn context() -> Context {
        Context {
            plane: Plane::Site,
            method: "GET".into(),
            endpoint: "/t",
            object: String::new(),
            request_id: None,
        }
    }

    fn decoded(text: &str) -> String {
        percent_decode_str(text).decode_utf8().unwrap().into_owned()
    }

    #[test]
    fn h_06_whatever_an_id_holds_no_other_endpoint_is_reached() {
        let seed = rand::random::<u64>();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let base = BaseUrl::parse("https://graph.example/v1.0").unwrap();
        for round in 0..20_000 {
            let length = random.random_range(1..6);
            let id: String = (0..length).map(|_| PIECES[random.random_range(0..PIECES.len())]).collect();
            let target = Target::new("/users")
                .segment(&id)
                .path("/manage")
                .query("accountId", &id)
                .query("$filter", &id);
            let url = match base.resolve(target.as_str(), &context()) {
                Ok(url) => url,
                Err(Error::UnsafeTarget { .. }) => {
                    assert!(id == "." || id == "..", "round {round}: {id:?} was refused");
                    continue;
                }
                Err(other) => panic!("round {round}: {id:?}: {other}"),
            };
            assert_eq!(url.origin(), Url::parse("https://graph.example").unwrap().origin(), "{id:?}");
            let segments: Vec<&str> = url.path().split('/').skip(1).collect();
            assert_eq!(segments.len(), 4, "{id:?}: {url}");
            assert_eq!((segments[0], segments[1], segments[3]), ("v1.0", "users", "manage"), "{id:?}: {url}");
            assert_eq!(decoded(segments[2]), id, "{url}");
            assert_eq!(url.fragment(), None);
            let query: Vec<(&str, &str)> =
                url.query().unwrap().split('&').map(|pair| pair.split_once('=').unwrap()).collect();
            assert_eq!(
                query.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
                ["accountId", "$filter"],
                "{id:?}"
            );
            assert!(query.iter().all(|(_, value)| decoded(value) == id), "{id:?}: {url}");

            let keyed = Target::new("/applications").key("appId", &id);
            let url = base.resolve(keyed.as_str(), &context()).unwrap();
            let path = decoded(url.path());
            let inside =
                path.strip_prefix("/v1.0/applications(appId='").and_then(|p| p.strip_suffix("')")).unwrap();
            assert_eq!(
                inside.replace("''", "'").len() + id.matches('\'').count(),
                inside.len(),
                "{id:?}: {url}"
            );
            assert_eq!(inside, id.replace('\'', "''"), "the value cannot end its quotes");
            assert_eq!(url.path().matches('/').count(), 2, "{id:?}: {url}");
        }
    }
}
