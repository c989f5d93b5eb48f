//! Letters as e-mail, through the mail server of the company.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use entrain_domain::alerts::Letter;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};

use super::text::{self, Said};
use super::{Network, mail_server};
use crate::Error;
use crate::http::{Plane, tls_error};

/// A conversation with a mail server takes no longer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How the way to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// Begins in the clear and must be switched to TLS before anything else is said (port 587).
    StartTls,
    /// TLS from the first byte on (port 465).
    Implicit,
    /// None: to this machine only.
    None,
}

/// A mail server, and who writes to whom.
#[derive(Debug, Clone)]
pub struct Email {
    /// Name of the mail server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the way is protected.
    pub tls: MailTls,
    /// User and password, where the server asks for them.
    pub user: Option<(String, SecretString)>,
    /// The sender.
    pub from: String,
    /// The addressees.
    pub to: Vec<String>,
}

impl Email {
    pub(super) async fn send(&self, letter: &Letter, network: &Network) -> Result<(), Error> {
        let message = self.message(letter, network.public_url.as_deref())?;
        let sending = self.transport(network)?;
        // The library's own limit is for each step of the conversation
        match tokio::time::timeout(TIMEOUT * 2, sending.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.told(&error)),
            Err(_) => Err(self.unreachable("no answer in time".to_owned())),
        }
    }

    fn transport(&self, network: &Network) -> Result<AsyncSmtpTransport<Tokio1Executor>, Error> {
        let server = mail_server(&self.host, self.port)?;
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(self.host.as_str())
            .port(self.port)
            .timeout(Some(TIMEOUT));
        if let Some((user, password)) = &self.user {
            builder =
                builder.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
        }
        let tls = match self.tls {
            MailTls::None if server.is_loopback() => Tls::None,
            MailTls::None => {
                return Err(refused(
                    "without TLS a mail server is spoken to on this machine only",
                    "use starttls or implicit",
                ));
            }
            MailTls::StartTls => Tls::Required(self.parameters(network)?),
            MailTls::Implicit => Tls::Wrapper(self.parameters(network)?),
        };
        Ok(builder.tls(tls).build())
    }

    fn parameters(&self, network: &Network) -> Result<TlsParameters, Error> {
        let mut builder = TlsParameters::builder(self.host.clone());
        if let Some(pem) = &network.extra_ca_pem {
            let certificate = Certificate::from_pem(pem).map_err(|_| {
                refused("the extra CA file cannot be read", "give a PEM file with one or more certificates")
            })?;
            builder = builder.add_root_certificate(certificate);
        }
        builder.build().map_err(|_| {
            refused(
                "no TLS connection to a mail server can be made on this host",
                "install the ca-certificates package",
            )
        })
    }

    fn message(&self, letter: &Letter, public_url: Option<&str>) -> Result<Message, Error> {
        let mailbox = |text: &str| {
            text.parse::<Mailbox>()
                .map_err(|_| refused("a sender or addressee is no e-mail address", "write it as name@host"))
        };
        let from = mailbox(&self.from)?;
        let domain = from.email.domain().to_owned();
        let header = |name: &str, value: &str| {
            let name = HeaderName::new_from_ascii(name.to_owned()).expect("a literal");
            HeaderValue::new(name, value.to_owned())
        };
        let mut builder = Message::builder()
            .from(from)
            .subject(letter.subject())
            .date(SystemTime::from(letter.at))
            .message_id(Some(format!("<{}@{domain}>", letter.id)))
            // No out-of-office answers, please (RFC 3834)
            .raw_header(header("Auto-Submitted", "auto-generated"));
        for to in &self.to {
            builder = builder.to(mailbox(to)?);
        }
        let parts = MultiPart::alternative_plain_html(plain(letter, public_url), html(letter, public_url));
        builder
            .multipart(parts)
            .map_err(|_| refused("no e-mail can be made of the letter", "look at from and to"))
    }

    /// Only what kind of error it is: the server's words may repeat what it was told.
    fn told(&self, error: &lettre::transport::smtp::Error) -> Error {
        if let Some(tls) = std::error::Error::source(error).and_then(tls_error) {
            return Error::Tls { context: Box::new(self.context()), reason: tls.to_string() };
        }
        let code = error.status().map(|code| code.to_string());
        match code.as_deref() {
            Some("530" | "534" | "535" | "538") => refused(
                &format!(
                    "the mail server {} refuses user and password ({})",
                    self.host,
                    code.unwrap_or_default()
                ),
                "look at user and password of the channel",
            ),
            Some(code) if error.is_permanent() => refused(
                &format!("the mail server {} refuses the letter ({code})", self.host),
                "look at from and to of the channel, and at the log of the mail server",
            ),
            Some(code) => self.unreachable(format!("it asks to be tried later ({code})")),
            None if error.is_tls() => self.unreachable("no trusted TLS connection".to_owned()),
            None if error.is_timeout() => self.unreachable("no answer in time".to_owned()),
            None if error.is_client() => {
                self.unreachable("it does not offer what is needed: TLS, or a way to sign in".to_owned())
            }
            None => self.unreachable("the connection was refused or lost".to_owned()),
        }
    }

    fn context(&self) -> crate::Context {
        crate::Context {
            plane: Plane::Alerts,
            method: "SMTP".to_owned(),
            endpoint: "",
            object: self.host.clone(),
            request_id: None,
        }
    }

    fn unreachable(&self, reason: String) -> Error {
        Error::Unreachable { context: Box::new(self.context()), attempts: 1, reason }
    }
}

fn refused(what: &str, remedy: &str) -> Error {
    Error::Configuration { what: what.to_owned(), remedy: remedy.to_owned() }
}

fn plain(letter: &Letter, public_url: Option<&str>) -> String {
    let mut lines = Vec::new();
    for notice in &letter.notices {
        let Said { head, sentence, remedy, since, link } = text::said(notice, public_url);
        lines.push(head);
        lines.push(sentence);
        lines.extend(remedy.map(|remedy| format!("What to do: {remedy}")));
        lines.push(since);
        lines.extend(link);
        lines.push(String::new());
    }
    lines.extend(text::more(letter).map(|more| format!("{more}\n")));
    lines.push("-- ".to_owned());
    lines.push(text::foot(letter));
    lines.join("\n") + "\n"
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

fn html(letter: &Letter, public_url: Option<&str>) -> String {
    let mut page = String::from("<!doctype html><html><body style=\"font-family:sans-serif\">\n");
    for notice in &letter.notices {
        let Said { head, sentence, remedy, since, link } = text::said(notice, public_url);
        let _ = write!(page, "<p><strong>{}</strong><br>{}", escaped(&head), escaped(&sentence));
        if let Some(remedy) = remedy {
            let _ = write!(page, "<br>What to do: {}", escaped(&remedy));
        }
        let _ = write!(page, "<br><small>{}</small>", escaped(&since));
        if let Some(link) = link {
            let _ = write!(page, "<br><a href=\"{}\">Look at it</a>", escaped(&link));
        }
        page += "</p>\n";
    }
    for line in text::more(letter).into_iter().chain([text::foot(letter)]) {
        let _ = writeln!(page, "<p><small>{}</small></p>", escaped(&line));
    }
    page + "</body></html>\n"
}
