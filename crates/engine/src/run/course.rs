//! How much a run has to read. A run goes on from the mirrors of both sides when they are whole, recent, and were read
//! for what the rules ask; then an unchanged directory costs two requests and the site none. Everything else is a reason
//! to read in full, and the log says which.

use std::time::Duration;

use entrain_domain::run::{LeftTo, RunReport, RunStatus, Trigger};
use entrain_domain::{Failure, FailureClass, FailureCode};
use jiff::{SignedDuration, Timestamp};

use super::Engine;
use crate::ports::{Basis, Clock, Directory, Ids, MirrorHead, Site, SiteState, Store};

/// How much a run is asked to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Freshness {
    /// What changed since the last run, where that is enough.
    #[default]
    Incremental,
    /// Everything, on both sides.
    Full,
}

/// Who wants a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// Somebody who waits for it, and may just have mended something.
    Person,
    /// The schedule, or a notification of the directory.
    Clock,
}

impl From<Trigger> for Asker {
    fn from(trigger: Trigger) -> Self {
        match trigger {
            Trigger::Schedule | Trigger::Notification => Self::Clock,
            Trigger::Manual | Trigger::SavedPlan | Trigger::SignIn | Trigger::Approval | Trigger::Undo => {
                Self::Person
            }
        }
    }
}

/// As often as this, runs by the clock look whether somebody has mended on the site what they set aside. Less than the
/// usual interval of a schedule, so that only a quicker one skips any.
const LOOKS_AGAIN: Duration = Duration::from_mins(10);

/// Delta links live seven days (microsoft-graph.md 5.3); a day is kept in hand.
const WATERMARK_LIVES: Duration = Duration::from_hours(6 * 24);

/// Rules are only known to plan the same when the same program reads them.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// The way a run reads.
#[derive(Debug, Clone)]
pub(crate) enum Course {
    /// Both sides in full.
    Full,
    /// From the mirrors.
    Onward {
        /// Where they stand.
        head: MirrorHead,
        /// What the last run left.
        left: Left,
    },
}

/// What the last run left to do.
#[derive(Debug, Clone)]
pub(crate) enum Left {
    /// Nothing that a look at the site could mend, as its report says: it converged, or it set aside what waits for a
    /// change in the directory or of the rules.
    Nothing(Box<RunReport>),
    /// Something was held, set aside, or not done, and what stood in the way may have been mended on the site, which no
    /// delta tells.
    Something,
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// What the mirrors of a run that reads in full now are good for.
    pub(crate) fn basis(&self, full_at: Timestamp) -> Basis {
        Basis {
            demand: format!("{PROGRAM} {} {}", self.place, self.rules.demand().fingerprint()),
            rules: format!("{PROGRAM} {}", self.rules.fingerprint()),
            full_at,
        }
    }

    /// How this run reads.
    pub(crate) async fn course(&self, freshness: Freshness, asker: Asker) -> Result<Course, Failure> {
        match self.onward(freshness, asker).await? {
            Ok(course) => Ok(course),
            Err(why) => {
                tracing::info!(why, "both sides are read in full");
                Ok(Course::Full)
            }
        }
    }

    /// The incremental course, or why there is none.
    async fn onward(
        &self,
        freshness: Freshness,
        asker: Asker,
    ) -> Result<Result<Course, &'static str>, Failure> {
        let store = &self.ports.store;
        if freshness == Freshness::Full {
            return Ok(Err("it was asked for"));
        }
        let Some(head) = store.mirror_head(&self.connection).await? else {
            return Ok(Err("nothing was read before"));
        };
        let now = self.ports.clock.now();
        let within = |since: Timestamp, age: Duration| {
            let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
            // An instant that lies ahead says that a clock was set: nothing is known of its age.
            since <= now && now.duration_since(since) < age
        };
        let basis = self.basis(head.basis.full_at);
        if head.basis.demand != basis.demand || head.basis.rules != basis.rules {
            return Ok(Err("the rules have changed"));
        }
        if head.state == SiteState::Writing {
            return Ok(Err("the last run did not get to read back what it wrote"));
        }
        if !within(head.watermark.issued_at, WATERMARK_LIVES) {
            return Ok(Err("the last read is too long ago for the directory to tell what changed"));
        }
        if !within(head.basis.full_at, self.options.full_every) {
            return Ok(Err("it is due by the schedule"));
        }
        if store.unfinished(&self.connection).await?.is_some() {
            return Ok(Err("a run was killed"));
        }
        if !store.open_intents(&self.connection).await?.is_empty() {
            return Ok(Err("it is not known how some calls ended"));
        }
        Ok(match store.last_report(&self.connection).await? {
            Some(report) if doubtful(&report) => Err("the last run failed"),
            // An undo leaves the site as the directory does not say.
            Some(report) if matches!(report.trigger, Trigger::Undo | Trigger::Approval) => {
                Ok(Course::Onward { head, left: Left::Something })
            }
            Some(report) => {
                let nothing_to_look_for = match (report.left_to, asker) {
                    (Some(LeftTo::Directory), _) => true,
                    (Some(LeftTo::Site { looked_at }), Asker::Clock) => within(looked_at, LOOKS_AGAIN),
                    (Some(LeftTo::Site { .. }), Asker::Person) => false,
                    (None, _) => report.status == RunStatus::Converged,
                };
                let left =
                    if nothing_to_look_for { Left::Nothing(Box::new(report)) } else { Left::Something };
                Ok(Course::Onward { head, left })
            }
            None => Err("no run has ended before"),
        })
    }
}

/// Whether a run failed in a way that speaks against the mirrors. A side that did not answer does not.
fn doubtful(report: &RunReport) -> bool {
    report.error.as_ref().is_some_and(|failure| {
        let unanswered = failure.class == FailureClass::Transient
            && !matches!(
                failure.code,
                FailureCode::DirectoryAnswerInvalid | FailureCode::DirectoryStateExpired
            );
        !unanswered && !failure.code.as_str().starts_with("site_") && failure.code != FailureCode::Stopped
    })
}
