//! A mail server that delivers to nobody: as much of SMTP (RFC 5321) as a client needs to hand over a message, with
//! sign-in by `PLAIN` and `LOGIN` (RFC 4954), and with TLS as the settings say (RFC 3207, RFC 8314). Every user is let in
//! but one whose password is `wrong`.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Mail, tls};
use crate::settings::{MailSettings, MailTls};
use crate::state::Shared;

/// The longest line, and the longest message.
const LINE: u64 = 4096;
const MESSAGE: usize = 10 * 1024 * 1024;

/// Serves in the background until told to stop.
pub(crate) fn serve_on(
    listener: TcpListener,
    state: Shared,
    mut told: watch::Receiver<bool>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = told.wait_for(|stop| *stop) => return,
            };
            let Ok((stream, _)) = accepted else { continue };
            let (state, mut told) = (state.clone(), told.clone());
            tokio::spawn(async move {
                tokio::select! {
                    // A client that hangs up has said what it had to say
                    _ = talk(stream, &state) => {}
                    _ = told.wait_for(|stop| *stop) => {}
                }
            });
        }
    })
}

/// The way to a client, with TLS or without.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// How the way of a conversation is protected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Clear,
    Tls,
}

/// Why a conversation stops.
#[derive(PartialEq, Eq)]
enum Stop {
    End,
    /// It goes on under TLS, from the beginning.
    Switch,
}

/// One conversation.
struct Talk<'a> {
    stream: BufReader<Box<dyn Wire>>,
    way: Way,
    settings: MailSettings,
    state: &'a Shared,
    user: Option<String>,
    from: Option<String>,
    to: Vec<String>,
}

impl<'a> Talk<'a> {
    fn new(stream: Box<dyn Wire>, way: Way, settings: MailSettings, state: &'a Shared) -> Self {
        let stream = BufReader::new(stream);
        Self { stream, way, settings, state, user: None, from: None, to: Vec::new() }
    }

    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }

    /// A line without its end; `None` when the client has hung up.
    async fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        if (&mut self.stream).take(LINE).read_until(b'\n', &mut line).await? == 0 {
            return Ok(None);
        }
        Ok(Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// A command, or an answer to a question.
    async fn said(&mut self) -> io::Result<Option<String>> {
        let line = self.line().await?;
        if let (Way::Clear, Some(line)) = (self.way, &line) {
            self.state.catcher.in_clear(line.clone());
        }
        Ok(line)
    }

    /// The message up to the line with a single dot; dots that were doubled are single again (RFC 5321, 4.5.2).
    async fn data(&mut self) -> io::Result<Option<String>> {
        let mut data = String::new();
        while let Some(line) = self.line().await? {
            if line == "." {
                return Ok(Some(data));
            }
            data.push_str(line.strip_prefix('.').unwrap_or(&line));
            data.push_str("\r\n");
            if data.len() > MESSAGE {
                return Ok(None);
            }
        }
        Ok(None)
    }

    async fn sign_in(&mut self, how: &str) -> io::Result<()> {
        let decoded = |text: &str| STANDARD.decode(text.trim()).unwrap_or_default();
        let (mechanism, first) = how.split_once(' ').unwrap_or((how, ""));
        let (user, password) = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let first = if first.is_empty() {
                    self.say("334 ").await?;
                    self.said().await?.unwrap_or_default()
                } else {
                    first.to_owned()
                };
                let parts = decoded(&first);
                let mut parts =
                    parts.split(|b| *b == 0).skip(1).map(|p| String::from_utf8_lossy(p).into_owned());
                (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
            }
            "LOGIN" => {
                let mut given = Vec::new();
                for ask in ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"] {
                    self.say(ask).await?;
                    let line = self.said().await?.unwrap_or_default();
                    given.push(String::from_utf8_lossy(&decoded(&line)).into_owned());
                }
                let password = given.pop().unwrap_or_default();
                (given.pop().unwrap_or_default(), password)
            }
            _ => return self.say("504 5.5.4 unrecognized authentication type").await,
        };
        if user.is_empty() || password == "wrong" {
            return self.say("535 5.7.8 authentication credentials invalid").await;
        }
        self.user = Some(user);
        self.say("235 2.7.0 authentication successful").await
    }

    fn reset(&mut self) {
        self.from = None;
        self.to.clear();
    }

    async fn greet(&mut self) -> io::Result<()> {
        self.reset();
        self.say("250-mail.emulator.example").await?;
        self.say("250-8BITMIME").await?;
        self.say("250-SMTPUTF8").await?;
        if self.may_switch() {
            return self.say("250 STARTTLS").await;
        }
        self.say("250 AUTH PLAIN LOGIN").await
    }

    fn may_switch(&self) -> bool {
        self.settings.tls == MailTls::Starttls && self.way == Way::Clear
    }

    async fn converse(&mut self) -> io::Result<Stop> {
        while let Some(line) = self.said().await? {
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => self.greet().await?,
                "HELO" | "RSET" | "NOOP" => {
                    self.reset();
                    self.say("250 OK").await?;
                }
                "STARTTLS" if self.may_switch() => {
                    self.say("220 2.0.0 ready to start TLS").await?;
                    return Ok(Stop::Switch);
                }
                "AUTH" | "MAIL" if self.may_switch() => self.say("530 5.7.0 STARTTLS first").await?,
                "AUTH" => self.sign_in(argument).await?,
                "MAIL" => match address(argument) {
                    Some(from) => {
                        self.reset();
                        self.from = Some(from);
                        self.say("250 2.1.0 OK").await?;
                    }
                    None => self.say("501 5.1.7 bad sender address syntax").await?,
                },
                "RCPT" if self.from.is_none() => self.say("503 5.5.1 MAIL first").await?,
                "RCPT" => match address(argument).filter(|to| !to.is_empty()) {
                    Some(to) if to.starts_with("nobody@") => self.say("550 5.1.1 no such user").await?,
                    Some(to) => {
                        self.to.push(to);
                        self.say("250 2.1.5 OK").await?;
                    }
                    None => self.say("501 5.1.3 bad recipient address syntax").await?,
                },
                "DATA" if self.to.is_empty() => self.say("503 5.5.1 RCPT first").await?,
                "DATA" => {
                    self.say("354 end data with <CR><LF>.<CR><LF>").await?;
                    let Some(data) = self.data().await? else { return Ok(Stop::End) };
                    let from = self.from.take().unwrap_or_default();
                    let (to, user) = (std::mem::take(&mut self.to), self.user.clone());
                    let (at, tls) = (self.state.now(), self.way == Way::Tls);
                    self.state.catcher.mail(Mail { at, tls, user, from, to, data });
                    self.say("250 2.0.0 queued").await?;
                }
                "QUIT" => {
                    self.say("221 2.0.0 bye").await?;
                    return Ok(Stop::End);
                }
                _ => self.say("502 5.5.1 command not implemented").await?,
            }
        }
        Ok(Stop::End)
    }
}

/// The address in `FROM:<a@b> SIZE=1`.
fn address(argument: &str) -> Option<String> {
    let (_, rest) = argument.split_once('<')?;
    Some(rest.split_once('>')?.0.to_owned())
}

async fn talk(stream: TcpStream, state: &Shared) -> io::Result<()> {
    let settings = state.settings().mail;
    let mut talk = if settings.tls == MailTls::Implicit {
        let stream = tls::acceptor(settings.certificate).accept(stream).await?;
        Talk::new(Box::new(stream), Way::Tls, settings, state)
    } else {
        Talk::new(Box::new(stream), Way::Clear, settings, state)
    };
    talk.say("220 mail.emulator.example ESMTP").await?;
    if talk.converse().await? == Stop::Switch {
        // What had come before the switch does not count (RFC 3207, 4.2)
        let stream = tls::acceptor(settings.certificate).accept(talk.stream.into_inner()).await?;
        let mut talk = Talk::new(Box::new(stream), Way::Tls, settings, state);
        talk.converse().await?;
    }
    Ok(())
}
