//! Alerts on a virtual clock: told at once, repeated until acknowledged, told again when worse, over once; no storm, no
//! letter twice among several servers, no channel that holds up another.

#![expect(clippy::unwrap_used, reason = "test code")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use entrain_domain::Failure;
use entrain_domain::alerts::{Concern, ConcernKind, IN_FULL, Letter, Occasion, Severity};
use entrain_domain::run::AuditNote;
use entrain_domain::service::Turn;
use entrain_engine::alerts::{
    Book, Books, Channel, Courier, Looked, Settings, Undelivered, acknowledge, look_after,
};
use entrain_engine::ports::Clock;
use jiff::{SignedDuration, Timestamp};

const DAY: SignedDuration = SignedDuration::from_hours(24);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// A clock, a store and channels, all in memory; written as bytes, as a store would.
struct Town {
    now: Mutex<Timestamp>,
    stored: Mutex<Option<(i64, String)>>,
    notes: Mutex<Vec<AuditNote>>,
    sent: Mutex<Vec<Letter>>,
    broken: Mutex<BTreeSet<String>>,
    settings: Settings,
}

impl Clock for Town {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }
    async fn sleep(&self, _: Duration) {}
}

impl Books for Town {
    async fn book(&self, _: &str) -> Result<Option<(i64, Book)>, Failure> {
        let stored = self.stored.lock().unwrap().clone();
        Ok(stored.map(|(version, text)| (version, serde_json::from_str(&text).unwrap())))
    }
    async fn put(
        &self,
        _: &str,
        before: Option<i64>,
        book: &Book,
        note: Option<AuditNote>,
    ) -> Result<Turn, Failure> {
        let mut stored = self.stored.lock().unwrap();
        if stored.as_ref().map(|(version, _)| *version) != before {
            return Ok(Turn::Anothers);
        }
        *stored = Some((before.unwrap_or(0) + 1, serde_json::to_string(book).unwrap()));
        self.notes.lock().unwrap().extend(note);
        Ok(Turn::Ours)
    }
}

impl Courier for Town {
    async fn send(&self, letter: &Letter) -> Result<(), Undelivered> {
        // Others get their turn in between
        tokio::task::yield_now().await;
        if self.broken.lock().unwrap().contains(&letter.channel) {
            return Err(Undelivered { why: "it does not answer".into() });
        }
        self.sent.lock().unwrap().push(letter.clone());
        Ok(())
    }
}

impl Town {
    fn with(channels: &[&str], per_hour: usize) -> Self {
        let about: BTreeSet<ConcernKind> = ConcernKind::ALL.into_iter().collect();
        let channel = |name: &&str| Channel { name: (*name).to_owned(), about: about.clone() };
        let channels = channels.iter().map(channel).collect();
        Self {
            now: Mutex::new("2026-03-01T08:00:00Z".parse().unwrap()),
            stored: Mutex::default(),
            notes: Mutex::default(),
            sent: Mutex::default(),
            broken: Mutex::default(),
            settings: Settings { repeat_every: DAY, per_hour, channels },
        }
    }

    fn pass(&self, time: SignedDuration) {
        let mut now = self.now.lock().unwrap();
        *now = now.saturating_add(time).unwrap();
    }

    async fn look(&self, found: &[Concern]) -> Looked {
        look_after((self, self, self), "Azure AD", found.to_vec(), &self.settings).await.unwrap()
    }

    /// Letters since the last call: channel and what each said of what.
    fn letters(&self) -> Vec<(String, Vec<(Occasion, String)>)> {
        let letters = std::mem::take(&mut *self.sent.lock().unwrap());
        let said = |letter: Letter| {
            let notices = letter.notices.into_iter().map(|n| (n.occasion, n.concern.object)).collect();
            (letter.channel, notices)
        };
        letters.into_iter().map(said).collect()
    }

    fn said(&self) -> Vec<(Occasion, String)> {
        self.letters().into_iter().flat_map(|(_, said)| said).collect()
    }

    async fn open_ids(&self) -> Vec<String> {
        let (_, book) = self.book("").await.unwrap().unwrap();
        book.alerts().into_iter().filter(|alert| alert.is_open()).map(|alert| alert.id.clone()).collect()
    }
}

fn concern(object: &str, severity: Severity) -> Concern {
    Concern {
        kind: ConcernKind::Seats,
        severity,
        connection: "Azure AD".into(),
        object: object.into(),
        sentence: format!("{object} is short"),
        remedy: "buy seats".into(),
        link: "/connections/azure-ad".into(),
    }
}

fn one(occasion: Occasion, object: &str) -> Vec<(Occasion, String)> {
    vec![(occasion, object.to_owned())]
}

#[tokio::test]
async fn it_is_told_at_once_repeated_until_acknowledged_and_over_once() {
    let town = Town::with(&["mail"], 10);
    let short = [concern("jira", Severity::Warning)];
    town.look(&short).await;
    assert_eq!(town.said(), one(Occasion::New, "jira"));
    // Looked at every minute of a day, it is said no more
    for _ in 0..24 * 60 - 1 {
        town.pass(MINUTE);
        town.look(&short).await;
    }
    assert_eq!(town.said(), []);
    town.pass(MINUTE);
    town.look(&short).await;
    assert_eq!(town.said(), one(Occasion::Still, "jira"));

    let id = town.open_ids().await.remove(0);
    let alert = acknowledge(&town, &town, ("Azure AD", &id), ("ana", "ordered ten")).await.unwrap();
    assert_eq!(alert.acknowledged.unwrap().note, "ordered ten");
    let note = town.notes.lock().unwrap().pop().unwrap();
    assert_eq!((note.actor.as_str(), note.action.as_str()), ("ana", "alert_acknowledged"));
    for _ in 0..30 {
        town.pass(DAY);
        town.look(&short).await;
    }
    assert_eq!(town.said(), [], "somebody has taken it on");

    town.look(&[]).await;
    town.pass(DAY);
    town.look(&[]).await;
    assert_eq!(town.said(), one(Occasion::Over, "jira"));
    let refused = acknowledge(&town, &town, ("Azure AD", &id), ("ana", "")).await.unwrap_err();
    assert!(refused.message.contains("over already"), "{refused}");
    let unknown = acknowledge(&town, &town, ("Azure AD", "ffff"), ("ana", "")).await.unwrap_err();
    assert!(unknown.message.contains("no alert of that id"), "{unknown}");
}

#[tokio::test]
async fn it_is_told_again_when_it_gets_worse_although_somebody_has_it() {
    let town = Town::with(&["mail"], 10);
    town.look(&[concern("jira", Severity::Notice)]).await;
    let id = town.open_ids().await.remove(0);
    acknowledge(&town, &town, ("Azure AD", &id), ("ana", "")).await.unwrap();
    town.letters();
    town.pass(MINUTE);
    town.look(&[concern("jira", Severity::Critical)]).await;
    assert_eq!(town.said(), one(Occasion::Worse, "jira"));
    // Down and up again is no news
    for severity in [Severity::Warning, Severity::Critical] {
        town.pass(MINUTE);
        town.look(&[concern("jira", severity)]).await;
    }
    assert_eq!(town.said(), []);
    town.pass(DAY);
    town.look(&[concern("jira", Severity::Critical)]).await;
    assert_eq!(town.said(), one(Occasion::Still, "jira"), "the worse thing is acknowledged by nobody");
}

#[tokio::test]
async fn what_one_run_brings_comes_in_one_letter_the_most_pressing_first() {
    let town = Town::with(&["mail"], 10);
    let many: Vec<Concern> = (0..50)
        .map(|n| concern(&format!("p{n:02}"), if n == 49 { Severity::Critical } else { Severity::Notice }))
        .collect();
    town.look(&many).await;
    let sent = town.sent.lock().unwrap().clone();
    let [letter] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!((letter.notices.len(), letter.more), (IN_FULL, 50 - IN_FULL));
    assert_eq!(letter.notices[0].concern.object, "p49");
}

#[tokio::test]
async fn what_comes_and_goes_is_no_storm() {
    let town = Town::with(&["mail"], 5);
    let short = [concern("jira", Severity::Warning)];
    for minute in 0..180 {
        town.look(if minute % 2 == 0 { &short } else { &[] }).await;
        town.pass(MINUTE);
    }
    let said = town.said();
    let expected =
        [one(Occasion::New, "jira"), one(Occasion::Over, "jira"), one(Occasion::Back, "jira")].concat();
    assert_eq!(said, expected, "its end is told only when it is quiet for an hour");
    for _ in 0..61 {
        town.look(&[]).await;
        town.pass(MINUTE);
    }
    assert_eq!(town.said(), one(Occasion::Over, "jira"));
}

#[tokio::test]
async fn a_channel_gets_so_many_letters_an_hour_and_the_rest_in_one() {
    let town = Town::with(&["mail"], 3);
    let mut open = Vec::new();
    let mut hours: BTreeMap<i64, usize> = BTreeMap::new();
    for minute in 0..120 {
        open.push(concern(&format!("p{minute:03}"), Severity::Notice));
        town.look(&open).await;
        *hours.entry(minute / 60).or_default() += town.sent.lock().unwrap().len();
        if minute == 60 {
            let sent = town.sent.lock().unwrap().clone();
            let [letter] = sent.as_slice() else { panic!("{sent:?}") };
            assert_eq!(letter.notices.len() + letter.more, 58, "everything that could not be said before");
        }
        town.sent.lock().unwrap().clear();
        town.pass(MINUTE);
    }
    assert_eq!(hours, BTreeMap::from([(0, 3), (1, 3)]));
}

#[tokio::test]
async fn a_channel_that_is_broken_holds_up_no_other_and_is_told_over_them() {
    let town = Town::with(&["mail", "chat"], 10);
    town.broken.lock().unwrap().insert("mail".into());
    let short = [concern("jira", Severity::Warning)];
    let looked = town.look(&short).await;
    assert_eq!(looked.delivered.iter().filter(|delivered| delivered.outcome.is_err()).count(), 1);
    assert_eq!(town.letters(), [("chat".to_owned(), one(Occasion::New, "jira"))]);
    let mut attempts = 1;
    for _ in 0..180 {
        town.pass(MINUTE);
        attempts += town.look(&short).await.delivered.iter().filter(|d| d.outcome.is_err()).count();
    }
    assert!((5..=15).contains(&attempts), "{attempts} attempts in three hours");
    assert_eq!(
        town.letters(),
        [("chat".to_owned(), one(Occasion::New, "mail"))],
        "the other channel says so"
    );
    let (_, book) = town.book("").await.unwrap().unwrap();
    assert_eq!(book.failing().map(|(name, _)| name).collect::<Vec<_>>(), ["mail"]);

    town.broken.lock().unwrap().clear();
    for _ in 0..61 {
        town.pass(MINUTE);
        town.look(&short).await;
    }
    let letters = town.letters();
    assert!(
        letters.contains(&("mail".to_owned(), one(Occasion::New, "jira"))),
        "nothing is lost: {letters:?}"
    );
    assert!(letters.contains(&("chat".to_owned(), one(Occasion::Over, "mail"))), "{letters:?}");
}

#[tokio::test]
async fn r_09_several_servers_over_one_book_send_each_letter_once() {
    let town = Town::with(&["mail", "chat"], 1000);
    let mut open = Vec::new();
    for n in 0..100 {
        open.push(concern(&format!("p{n}"), Severity::Notice));
        tokio::join!(town.look(&open), town.look(&open), town.look(&open));
        town.pass(MINUTE);
    }
    let mut said: Vec<_> = town
        .letters()
        .into_iter()
        .flat_map(|(to, said)| said.into_iter().map(move |s| (to.clone(), s)))
        .collect();
    assert_eq!(said.len(), 200);
    said.sort();
    said.dedup();
    assert_eq!(said.len(), 200, "each once over each channel");
}

#[tokio::test]
async fn a_letter_whose_sender_was_killed_is_sent_by_another_under_the_same_id() {
    let town = Town::with(&["mail"], 10);
    let short = [concern("jira", Severity::Warning)];
    // Killed after it took the letter, before it sent it
    let mut book = Book::default();
    book.look("Azure AD", short.to_vec(), &town.settings, town.now());
    let taken = book.take("Azure AD", &town.settings, town.now());
    town.put("", None, &book, None).await.unwrap();
    town.look(&short).await;
    assert_eq!(town.said(), [], "for a while it is the other's to send");
    town.pass(SignedDuration::from_mins(3));
    town.look(&short).await;
    assert_eq!(town.sent.lock().unwrap().iter().map(|l| &l.id).collect::<Vec<_>>(), [&taken[0].id]);
    town.pass(SignedDuration::from_mins(3));
    town.look(&short).await;
    assert_eq!(town.said(), one(Occasion::New, "jira"), "once");
}

#[tokio::test]
async fn a_channel_hears_only_of_what_it_is_for() {
    let mut town = Town::with(&["mail", "chat"], 10);
    town.settings.channels[1].about = BTreeSet::from([ConcernKind::Failed]);
    town.look(&[concern("jira", Severity::Warning)]).await;
    assert_eq!(town.letters(), [("mail".to_owned(), one(Occasion::New, "jira"))]);
    // Nobody to tell is no reason not to know
    town.settings.channels.clear();
    let looked = town.look(&[concern("jira", Severity::Warning), concern("x", Severity::Critical)]).await;
    assert_eq!((looked.open.len(), looked.delivered.len()), (2, 0));
}

#[tokio::test]
async fn r_12_a_clock_that_was_years_ahead_puts_nothing_off() {
    let town = Town::with(&["mail"], 1);
    let years = SignedDuration::from_hours(24 * 3652);
    town.pass(years);
    let short = [concern("jira", Severity::Warning)];
    town.look(&short).await;
    town.letters();
    town.pass(-years);
    town.look(&short).await;
    town.pass(DAY);
    town.look(&short).await;
    assert_eq!(town.said(), one(Occasion::Still, "jira"));
}
