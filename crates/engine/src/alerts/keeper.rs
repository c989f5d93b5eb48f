//! Moves the book of a connection between the store and the channels.

use std::future::Future;

use entrain_domain::alerts::{Concern, ConcernKind, Letter, Notice, Occasion, Severity};
use entrain_domain::run::AuditNote;
use entrain_domain::service::Turn;
use entrain_domain::{Failure, FailureClass, FailureCode};
use futures_util::future::join_all;

use super::book::{Alert, Book, Refused, Settings, Undelivered};
use crate::ports::Clock;

/// So often is a change tried that others keep forestalling.
const TRIES: usize = 20;

/// Where books are kept.
pub trait Books: Send + Sync {
    /// The book of a connection with its version, if there is one.
    fn book(&self, connection: &str) -> impl Future<Output = Result<Option<(i64, Book)>, Failure>> + Send;
    /// Puts a book back, unless somebody else has since its version was `before`; with an entry for the audit log where a
    /// person did something.
    fn put(
        &self,
        connection: &str,
        before: Option<i64>,
        book: &Book,
        note: Option<AuditNote>,
    ) -> impl Future<Output = Result<Turn, Failure>> + Send;
}

/// Who carries letters to the channels.
pub trait Courier: Send + Sync {
    /// Sends a letter over its channel; returns when the other side has taken it, or within a minute.
    fn send(&self, letter: &Letter) -> impl Future<Output = Result<(), Undelivered>> + Send;
}

/// What became of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Its channel.
    pub channel: String,
    /// Taken, or why not.
    pub outcome: Result<(), Undelivered>,
}

/// What a look did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looked {
    /// Open alerts by severity.
    pub open: Vec<Severity>,
    /// What became of the letters that were sent.
    pub delivered: Vec<Delivered>,
}

/// Looks once after the book of a connection: writes down what there is, and sends what is to be sent.
pub async fn look_after(
    (books, courier, clock): (&impl Books, &impl Courier, &impl Clock),
    connection: &str,
    found: Vec<Concern>,
    settings: &Settings,
) -> Result<Looked, Failure> {
    let kept = books.book(connection).await?;
    let before = kept.as_ref().map(|(version, _)| *version);
    let book = kept.map(|(_, book)| book).unwrap_or_default();
    let mut next = book.clone();
    let now = clock.now();
    next.look(connection, found, settings, now);
    let letters = next.take(connection, settings, now);
    let alerts = next.alerts().into_iter().filter(|alert| alert.is_open());
    let open = alerts.map(|alert| alert.concern.severity).collect();
    if next != book && books.put(connection, before, &next, None).await? == Turn::Anothers {
        // Another server has looked: it sends what is to be sent
        return Ok(Looked { open, delivered: Vec::new() });
    }
    let sent = letters.iter().map(|letter| async {
        let outcome = courier.send(letter).await;
        settle(books, clock, letter, &outcome).await?;
        Ok::<_, Failure>(Delivered { channel: letter.channel.clone(), outcome })
    });
    let delivered = join_all(sent).await.into_iter().collect::<Result<_, _>>()?;
    Ok(Looked { open, delivered })
}

async fn settle(
    books: &impl Books,
    clock: &impl Clock,
    letter: &Letter,
    outcome: &Result<(), Undelivered>,
) -> Result<(), Failure> {
    change(books, &letter.connection, |book| {
        book.settle(letter, outcome, clock.now());
        Ok(((), None))
    })
    .await
}

/// A person takes an alert on.
pub async fn acknowledge(
    books: &impl Books,
    clock: &impl Clock,
    (connection, id): (&str, &str),
    (by, note): (&str, &str),
) -> Result<Alert, Failure> {
    change(books, connection, |book| {
        let alert = book.acknowledge(id, by, note, clock.now()).map_err(|refused| unknown(id, refused))?;
        let said = if note.is_empty() { String::new() } else { format!(": {note}") };
        let audit = AuditNote {
            actor: by.to_owned(),
            action: "alert_acknowledged".into(),
            object: connection.to_owned(),
            detail: format!("{} ({}){said}", alert.concern.sentence, alert.id),
        };
        Ok((alert.clone(), Some(audit)))
    })
    .await
}

async fn change<T>(
    books: &impl Books,
    connection: &str,
    mut with: impl FnMut(&mut Book) -> Result<(T, Option<AuditNote>), Failure>,
) -> Result<T, Failure> {
    for _ in 0..TRIES {
        let kept = books.book(connection).await?;
        let before = kept.as_ref().map(|(version, _)| *version);
        let mut book = kept.map(|(_, book)| book).unwrap_or_default();
        let (done, note) = with(&mut book)?;
        if books.put(connection, before, &book, note).await? == Turn::Ours {
            return Ok(done);
        }
    }
    Err(Failure::new(
        FailureCode::StoreFailed,
        FailureClass::Local,
        "the alerts of the connection are being changed all the time",
        "try again",
    )
    .of(connection))
}

fn unknown(id: &str, refused: Refused) -> Failure {
    let what = match refused {
        Refused::Unknown => "there is no alert of that id",
        Refused::Over => "the alert is over already",
    };
    Failure::new(
        FailureCode::ObjectUnknown,
        FailureClass::Local,
        what,
        "entrain admin alerts list shows those that are open",
    )
    .of(id)
}

/// The letter with which a person tries a channel out; marked as a test in everything that it says.
pub fn test_letter(connection: &str, channel: &str, by: &str, clock: &impl Clock) -> Letter {
    let now = clock.now();
    let concern = Concern {
        kind: ConcernKind::Channel,
        severity: Severity::Notice,
        connection: connection.to_owned(),
        object: channel.to_owned(),
        sentence: format!("this is a test of the channel {channel}, asked for by {by}"),
        remedy: "nothing has to be done".into(),
        link: "/".into(),
    };
    Letter {
        id: format!("msg_test_{}", now.as_microsecond()),
        connection: connection.to_owned(),
        channel: channel.to_owned(),
        at: now,
        notices: vec![Notice { alert: "test".into(), occasion: Occasion::Test, concern, since: now }],
        more: 0,
    }
}
