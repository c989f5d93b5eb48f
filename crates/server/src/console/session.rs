//! Who is signed in. A browser holds 256 random bits in a cookie that no script and no other host can read; here only
//! their digest is known. From the same bits comes the token that every form carries: whoever cannot read the page
//! cannot send its form (quality.md W-01, W-02).

use axum::http::HeaderMap;
use axum::http::header::{COOKIE, HOST, ORIGIN};
use cookie::{Cookie, SameSite};
use entrain_domain::Failure;
use entrain_domain::accounts::{Account, Session};
use jiff::SignedDuration;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use url::Url;

use super::{Console, Settings};
use crate::accounts::digest;

/// Cookies of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Jar {
    /// The session.
    Session,
    /// What a browser holds before anybody is signed in, for the token of the form that signs in.
    Visitor,
    /// Tells a browser that was signed in before from a stranger's.
    Browser,
    /// Light or dark.
    Theme,
    /// A sign-in with Microsoft that was begun, sealed.
    Microsoft,
}

impl Jar {
    fn name(self, settings: &Settings) -> String {
        let name = match self {
            Self::Session => "entrain",
            Self::Visitor => "entrain-visitor",
            Self::Browser => "entrain-browser",
            Self::Theme => "entrain-theme",
            Self::Microsoft => "entrain-microsoft",
        };
        if secure(settings) { format!("__Host-{name}") } else { name.to_owned() }
    }

    /// The value that a request carries.
    pub(crate) fn read(self, settings: &Settings, headers: &HeaderMap) -> Option<String> {
        let wanted = self.name(settings);
        let mut found =
            headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok()).flat_map(|header| {
                Cookie::split_parse(header).filter_map(Result::ok).filter(|cookie| cookie.name() == wanted)
            });
        let (only, None) = (found.next()?, found.next()) else { return None };
        Some(only.value().to_owned())
    }

    /// A header that sets it.
    pub(crate) fn set(self, settings: &Settings, value: &str) -> String {
        let mut cookie = Cookie::build((self.name(settings), value.to_owned()))
            .path("/")
            .http_only(true)
            .secure(secure(settings))
            .same_site(SameSite::Lax);
        if matches!(self, Self::Browser | Self::Theme) {
            cookie = cookie.max_age(cookie::time::Duration::days(365));
        }
        if self == Self::Microsoft {
            cookie = cookie.max_age(cookie::time::Duration::minutes(10));
        }
        cookie.build().to_string()
    }

    /// A header that takes it back.
    pub(crate) fn forget(self, settings: &Settings) -> String {
        let cookie = Cookie::build((self.name(settings), ""))
            .path("/")
            .http_only(true)
            .secure(secure(settings))
            .same_site(SameSite::Lax)
            .max_age(cookie::time::Duration::ZERO);
        cookie.build().to_string()
    }
}

/// Plain http is for loopback only, and browsers refuse `Secure` cookies there.
fn secure(settings: &Settings) -> bool {
    settings.public_url.scheme() == "https"
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    pub(crate) account: Account,
    pub(crate) session: Session,
}

/// Who holds this cookie, if the session still counts.
pub(crate) async fn who(console: &Console, cookie: &str) -> Result<Option<Who>, Failure> {
    if cookie.len() != 64 {
        return Ok(None);
    }
    let id = digest(cookie);
    let Some(session) = console.service.session(&id).await? else { return Ok(None) };
    let now = console.service.now();
    let idle = SignedDuration::try_from(console.settings.idle).unwrap_or(SignedDuration::MAX);
    if now >= session.ends_at || now.duration_since(session.seen_at) >= idle {
        console.service.end_session(&id).await?;
        return Ok(None);
    }
    let account = console.service.account(&session.account).await?;
    let Some(account) = account.filter(|account| account.disabled_at.is_none()) else { return Ok(None) };
    // To the minute is exact enough, and spares the disk
    if now.duration_since(session.seen_at) >= SignedDuration::from_mins(1) {
        console.service.session_seen(&id).await?;
    }
    Ok(Some(Who { account, session }))
}

/// The token of forms for whoever holds this cookie.
pub(crate) fn token(cookie: &str) -> String {
    let mut hash = Sha256::new();
    hash.update("entrain form\n");
    hash.update(cookie);
    hex::encode(hash.finalize())
}

/// Whether a form's token is the one that this cookie's pages carry.
pub(crate) fn is_ours(given: Option<&str>, cookie: &str) -> bool {
    given.is_some_and(|given| bool::from(given.as_bytes().ct_eq(token(cookie).as_bytes())))
}

/// Whether the browser says that a page of ours sent the request, as far as it says anything.
pub(crate) fn from_here(settings: &Settings, headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let Some(origin) = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok()) else { return false };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let at_host = host.and_then(|host| Url::parse(&format!("{}://{host}", origin.scheme())).ok());
    origin.origin() == settings.public_url.origin()
        || at_host.is_some_and(|at_host| at_host.origin() == origin.origin() && loopback(&origin))
}

/// On the machine itself the service may be called by any of its names.
fn loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn cookies_are_for_this_host_alone() {
        let settings = Settings::new(Url::parse("https://entrain.acme.example").unwrap());
        let set = Jar::Session.set(&settings, "abc");
        assert!(set.starts_with("__Host-entrain=abc;"), "{set}");
        for part in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
            assert!(set.contains(part), "{set}");
        }
        let twice = headers(&[("cookie", "__Host-entrain=a; __Host-entrain=b")]);
        assert_eq!(Jar::Session.read(&settings, &twice), None, "of two sessions none is believed");
        let one = headers(&[("cookie", "x=y; __Host-entrain=a")]);
        assert_eq!(Jar::Session.read(&settings, &one).as_deref(), Some("a"));
    }

    #[test]
    fn w_01_a_foreign_origin_is_none_of_ours() {
        let settings = Settings::new(Url::parse("https://entrain.acme.example").unwrap());
        let ours = |pairs: &[(&'static str, &str)]| from_here(&settings, &headers(pairs));
        assert!(ours(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(ours(&[("origin", "https://entrain.acme.example")]));
        for foreign in ["https://evil.example", "http://entrain.acme.example", "null", "x"] {
            assert!(!ours(&[("origin", foreign), ("host", "entrain.acme.example")]), "{foreign}");
        }
        assert!(!ours(&[("origin", "https://evil.example"), ("host", "evil.example")]));
        for site in ["cross-site", "same-site", "none"] {
            assert!(!ours(&[("sec-fetch-site", site), ("origin", "https://entrain.acme.example")]), "{site}");
        }
    }
}
