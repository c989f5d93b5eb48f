//! What `[doors]` means.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use entrain_connect::http::BaseUrl;
use entrain_server::doors::{Contact, Destination};
use secrecy::{ExposeSecret as _, SecretString};

use super::secret::Secret;
use super::sections::{AccessSection, Sections};
use super::values::Reader;

/// Key of the access page's own client secret.
pub(crate) const CLIENT_SECRET: &str = "doors.access.client_secret";
/// Key of the webhook's key.
pub(crate) const WEBHOOK_SECRET: &str = "doors.webhook.secret";
/// Key of the webhook's key before.
pub(crate) const PREVIOUS_SECRET: &str = "doors.webhook.previous_secret";

/// Contrast that white text must have on a colour (WCAG 2.2, 1.4.3).
const CONTRAST: f64 = 4.5;

/// The doors of a document.
#[derive(Debug, Clone, Default)]
pub(crate) struct DoorsMeaning {
    /// `access`
    pub(crate) access: Option<AccessMeaning>,
    /// `token_issuance.client_id`
    pub(crate) token_issuance: Option<String>,
    /// `webhook`
    pub(crate) webhook: Option<WebhookMeaning>,
}

impl DoorsMeaning {
    /// Whether there is any.
    pub(crate) fn is_empty(&self) -> bool {
        self.access.is_none() && self.token_issuance.is_none() && self.webhook.is_none()
    }
}

/// The access page.
#[derive(Debug, Clone)]
pub(crate) struct AccessMeaning {
    /// `client_id`, where it is not that of the directory.
    pub(crate) client_id: Option<String>,
    /// `name`
    pub(crate) name: String,
    /// `accent`, as `#rrggbb`.
    pub(crate) accent: Option<String>,
    /// `contact`
    pub(crate) contact: Option<Contact>,
    /// `destination`
    pub(crate) destination: Destination,
}

/// The signed webhook; its keys are secrets of the document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WebhookMeaning;

/// Reads the section; every mistake is reported.
pub(super) fn read(reader: &mut Reader<'_>, s: &Sections) -> DoorsMeaning {
    let access = s.doors.access.as_ref().and_then(|access| read_access(reader, s, access));
    let token_issuance = s.doors.token_issuance.as_ref().map(|door| {
        client_id(reader, "doors.token_issuance.client_id", &door.client_id);
        door.client_id.clone()
    });
    let webhook = s.doors.webhook.as_ref().map(|door| {
        let previous = door.previous_secret.as_ref().map(|secret| (PREVIOUS_SECRET, secret));
        for (key, secret) in [Some((WEBHOOK_SECRET, &door.secret)), previous].into_iter().flatten() {
            if let Secret::Plain(secret) = secret
                && webhook_key(secret).is_none()
            {
                reader.found(key, NO_KEY, KEY_REMEDY);
            }
        }
        WebhookMeaning
    });
    DoorsMeaning { access, token_issuance, webhook }
}

/// What is wrong with a key that is none.
pub(crate) const NO_KEY: &str = "is not whsec_ with 24 to 64 bytes in base64";
/// What to do about it.
pub(crate) const KEY_REMEDY: &str = "make one: printf 'whsec_%s\\n' \"$(openssl rand -base64 32)\"";

/// The bytes of a webhook's key.
pub(crate) fn webhook_key(secret: &SecretString) -> Option<Vec<u8>> {
    let encoded = secret.expose_secret().trim().strip_prefix("whsec_")?;
    STANDARD.decode(encoded).ok().filter(|key| (24..=64).contains(&key.len()))
}

fn client_id(reader: &mut Reader<'_>, key: &str, id: &str) {
    if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        reader.found(
            key,
            "is not an application id",
            "write the Application (client) ID that the app registration's overview shows",
        );
    }
}

fn read_access(reader: &mut Reader<'_>, s: &Sections, access: &AccessSection) -> Option<AccessMeaning> {
    match (&access.client_id, &access.client_secret) {
        (Some(id), Some(_)) => client_id(reader, "doors.access.client_id", id),
        (Some(_), None) => reader.found(
            CLIENT_SECRET,
            "is missing beside client_id",
            "add client_secret = … below [doors.access], or take client_id out",
        ),
        (None, Some(_)) => reader.found(
            "doors.access.client_id",
            "is missing beside client_secret",
            "add client_id = … below [doors.access], or take client_secret out",
        ),
        (None, None) if s.directory.managed_identity => reader.found(
            "doors.access.client_id",
            "is missing: people cannot sign in to a managed identity",
            "add client_id and client_secret of an app registration below [doors.access]",
        ),
        (None, None) => {}
    }
    let name = access.name.clone().unwrap_or_else(|| s.name.clone());
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        reader.found("doors.access.name", "is blank, or has control characters", "write the company's name");
    }
    let accent = access.accent.as_ref().and_then(|accent| read_accent(reader, accent));
    let contact = access.contact.as_ref().and_then(|contact| {
        let read = read_contact(contact);
        if read.is_none() {
            reader.found(
                "doors.access.contact",
                "is neither an e-mail address, nor an https address, nor a line of text",
                "write it as it-help@acme.example",
            );
        }
        read
    });
    let (key, address) = match &access.destination {
        Some(destination) => ("doors.access.destination", destination.as_str()),
        None => ("site.url", s.site.url.as_str()),
    };
    // The site's own address is judged elsewhere
    let checked = match &access.destination {
        Some(_) => reader.address(key, Some(address)),
        None => BaseUrl::parse(address).ok(),
    }?;
    if access.destination.is_none() && address.contains("/ex/jira/") {
        reader.found(
            "doors.access.destination",
            "is missing: site.url is a gateway address, which people cannot open",
            "add destination = \"https://….atlassian.net\" below [doors.access]",
        );
    }
    Some(AccessMeaning {
        client_id: access.client_id.clone(),
        name: name.trim().to_owned(),
        accent,
        contact,
        destination: Destination::new(checked.as_str())?,
    })
}

fn read_accent(reader: &mut Reader<'_>, accent: &str) -> Option<String> {
    let key = "doors.access.accent";
    let digits =
        accent.strip_prefix('#').filter(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_hexdigit()));
    let Some(digits) = digits else {
        reader.found(key, "is not a colour", "write it as #7a1f57");
        return None;
    };
    let channel = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap_or(u8::MAX);
    let contrast = with_white([channel(0), channel(2), channel(4)]);
    if contrast < CONTRAST {
        reader.found(
            key,
            format!("is too light: white text on it has a contrast of {contrast:.1} to 1"),
            "write a darker colour, with at least 4.5 to 1",
        );
        return None;
    }
    Some(format!("#{}", digits.to_ascii_lowercase()))
}

/// Contrast of white on a colour (WCAG 2.2).
fn with_white(colour: [u8; 3]) -> f64 {
    let linear = |channel: u8| {
        let part = f64::from(channel) / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    let [red, green, blue] = colour.map(linear);
    1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)
}

fn read_contact(text: &str) -> Option<Contact> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        return None;
    }
    if text.starts_with("https://") {
        return url::Url::parse(text).ok().map(|url| Contact::Page(url.into()));
    }
    if text.contains("://") || text.to_ascii_lowercase().starts_with("javascript:") {
        return None;
    }
    match entrain_domain::model::EmailAddress::parse(text) {
        Ok(mail) => Some(Contact::Mail(mail.to_string())),
        Err(_) => Some(Contact::Text(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_that_of_the_guidelines() {
        assert!((with_white([255, 255, 255]) - 1.0).abs() < 0.01);
        assert!((with_white([0, 0, 0]) - 21.0).abs() < 0.01);
        // The grey that is known as the lightest with enough contrast
        assert!(with_white([0x76, 0x76, 0x76]) >= CONTRAST);
        assert!(with_white([0x77, 0x77, 0x77]) < CONTRAST);
    }

    #[test]
    fn keys_of_webhooks_have_a_form_and_a_length() {
        let key = |text: &str| webhook_key(&SecretString::from(text.to_owned())).map(|key| key.len());
        assert_eq!(key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), Some(24));
        for wrong in ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not base64"] {
            assert_eq!(key(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn contacts_are_told_apart() {
        assert_eq!(read_contact("it@acme.example"), Some(Contact::Mail("it@acme.example".into())));
        assert_eq!(read_contact("https://help.acme/x"), Some(Contact::Page("https://help.acme/x".into())));
        assert_eq!(read_contact("Ask Kim, room 12"), Some(Contact::Text("Ask Kim, room 12".into())));
        for wrong in ["", " ", "javascript:alert(1)", "http://help.acme/", "a\nb"] {
            assert_eq!(read_contact(wrong), None, "{wrong}");
        }
    }
}
