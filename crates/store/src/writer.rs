//! The one writer. Callers queue their operations; whatever has queued up while the last transaction was being put
//! on disk goes into the next one together, so that many callers share one wait for the disk. Each caller's answer
//! is sent after the commit.

use std::sync::Arc;

use entrain_domain::memory::MemoryChange;
use entrain_domain::model::RunId;
use entrain_domain::plan::{StepId, StepKind};
use entrain_domain::run::{AuditNote, Decided, Intent, Phase, Relation, RunReport, StepEnd, Trigger};
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::about::Counted;
use crate::accounts::{self, AccountWrite};
use crate::alerts::{self, NewBook};
use crate::audit;
use crate::connections::{self, NewVersion};
use crate::decisions;
use crate::drafts::{self, DraftWrite};
use crate::error::{Error, Result};
use crate::history::Cause;
use crate::identities::{self, IdentityWrite};
use crate::lease::{Fence, Fences};
use crate::memory;
use crate::mirror::{self, MirrorUpdate};
use crate::notifications::{self, NotificationWrite};
use crate::persons::{self, PersonWrite};
use crate::plan_rows::{self, PlanWrite};
use crate::pool::{Pool, Tx};
use crate::presence::{self, Beat};
use crate::replicas::{self, StopAsked};
use crate::rotate;
use crate::runs::{self, Beginning};
use crate::service::{self, ServiceWrite};
use crate::store::Store;
use crate::ticks::{self, NewTicks};

/// One operation, with everything it needs.
pub(crate) enum Write {
    Begin {
        run: RunId,
        connection: String,
        trigger: Trigger,
        at: Timestamp,
    },
    Phase {
        run: RunId,
        phase: Phase,
        plan: Option<String>,
    },
    Intend {
        run: RunId,
        step: StepId,
        kind: StepKind,
        intent: Intent,
        at: Timestamp,
    },
    Settle {
        run: RunId,
        end: StepEnd,
    },
    End {
        report: Box<RunReport>,
        note: AuditNote,
        at: Timestamp,
    },
    /// `since` leaves out what is about people who were synced after the gate stood there.
    Learn {
        connection: String,
        changes: Vec<MemoryChange>,
        mirrors: Vec<MirrorUpdate>,
        since: Option<i64>,
        at: Timestamp,
    },
    Person {
        connection: String,
        write: PersonWrite,
    },
    Connection(NewVersion),
    Decide {
        run: RunId,
        decided: Decided,
        note: AuditNote,
    },
    Relate {
        run: RunId,
        relation: Relation,
    },
    Service(ServiceWrite),
    Account(AccountWrite),
    Identity(IdentityWrite),
    Note {
        note: AuditNote,
        at: Timestamp,
    },
    Stop(StopAsked),
    Notification(NotificationWrite),
    Beat(Beat),
    Alerts(NewBook),
    Draft(DraftWrite),
    Plan(PlanWrite),
    Ticks(NewTicks),
}

/// A queued operation.
pub(crate) struct Job {
    write: Write,
    reply: oneshot::Sender<Result<()>>,
}

/// A transaction under way, with the end of the audit chain once it was looked up.
pub(crate) struct Batch {
    pub(crate) tx: Tx,
    pub(crate) chain: Option<audit::Head>,
}

/// Most operations that share one transaction.
const MOST: usize = 128;

impl Store {
    /// Queues an operation and waits until it is on disk.
    pub(crate) async fn write(&self, write: Write) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.inner.queue.send(Job { write, reply }).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }
}

/// Serves the queue until the last handle to the store is gone.
pub(crate) async fn run(
    pool: Pool,
    mut queue: mpsc::Receiver<Job>,
    fences: Arc<Fences>,
    counted: Arc<Counted>,
) {
    let answer = |job: Job, result: Result<()>| {
        counted.written(&job.write);
        answer(job, result);
    };
    while let Some(first) = queue.recv().await {
        let mut jobs = vec![first];
        while jobs.len() < MOST {
            match queue.try_recv() {
                Ok(job) => jobs.push(job),
                Err(_) => break,
            }
        }
        let writes: Vec<&Write> = jobs.iter().map(|job| &job.write).collect();
        match together(&pool, &fences, &writes).await {
            Ok(()) => {
                for job in jobs {
                    answer(job, Ok(()));
                }
            }
            // Nothing was committed: find out whose fault it was, one by one
            Err(Stage::Before(_)) if jobs.len() > 1 => {
                for job in jobs {
                    let result = together(&pool, &fences, &[&job.write]).await;
                    answer(job, result.map_err(Stage::into_error));
                }
            }
            // After a commit that failed nobody knows what is on disk: nothing is repeated
            Err(stage) => {
                let error = stage.into_error();
                for job in jobs {
                    answer(job, Err(error.clone()));
                }
            }
        }
    }
}

fn answer(job: Job, result: Result<()>) {
    // A caller that went away needs no answer; the operation stands
    let _ = job.reply.send(result);
}

/// How far a transaction got before it failed.
enum Stage {
    Before(Error),
    Commit(Error),
}

impl Stage {
    fn into_error(self) -> Error {
        match self {
            Self::Before(error) | Self::Commit(error) => error,
        }
    }
}

async fn together(pool: &Pool, fences: &Fences, writes: &[&Write]) -> Result<(), Stage> {
    let mut batch = Batch { tx: pool.begin().await.map_err(Stage::Before)?, chain: None };
    if writes.iter().any(|write| matches!(write, Write::Connection(_) | Write::Draft(_))) {
        rotate::hold(&mut batch).await.map_err(Stage::Before)?;
    }
    let mut held: Vec<Arc<Fence>> = writes.iter().filter_map(|write| fence_of(fences, write)).collect();
    held.sort_by_key(Arc::as_ptr);
    held.dedup_by(|one, other| Arc::ptr_eq(one, other));
    for fence in &held {
        fence.hold(&mut batch.tx).await.map_err(Stage::Before)?;
    }
    if writes.iter().any(|write| matches!(write, Write::Intend { .. })) {
        audit::probe(&mut batch).await.map_err(Stage::Before)?;
    }
    for write in writes {
        apply(&mut batch, write).await.map_err(Stage::Before)?;
    }
    audit::close(&mut batch).await.map_err(Stage::Before)?;
    batch.tx.commit().await.map_err(Stage::Commit)
}

/// The claim under which something is written. What people do (documents, decisions) needs none.
fn fence_of(fences: &Fences, write: &Write) -> Option<Arc<Fence>> {
    match write {
        Write::Begin { connection, .. } | Write::Learn { connection, .. } => fences.of_connection(connection),
        Write::Phase { run, .. } | Write::Intend { run, .. } | Write::Settle { run, .. } => {
            fences.of_run(run)
        }
        Write::End { report, .. } => fences.of_run(&report.run_id),
        Write::Connection(_)
        | Write::Decide { .. }
        | Write::Relate { .. }
        | Write::Service(_)
        | Write::Notification(_)
        | Write::Stop(_)
        | Write::Beat(_)
        | Write::Account(_)
        | Write::Identity(_)
        | Write::Note { .. }
        | Write::Person { .. }
        | Write::Alerts(_)
        | Write::Draft(_)
        | Write::Plan(_)
        | Write::Ticks(_) => None,
    }
}

async fn apply(batch: &mut Batch, write: &Write) -> Result<()> {
    match write {
        Write::Begin { run, connection, trigger, at } => {
            let beginning = Beginning { phase: Phase::Reading, subject: None };
            runs::begin(batch, run, connection, *trigger, *at, beginning).await
        }
        Write::Phase { run, phase, plan } => runs::phase(batch, run, *phase, plan.as_deref()).await,
        Write::Intend { run, step, kind, intent, at } => {
            runs::intend(batch, run, step, *kind, intent, *at).await
        }
        Write::Settle { run, end } => runs::settle(batch, run, end).await,
        Write::End { report, note, at } => runs::end(batch, report, note, *at).await,
        Write::Person { connection, write } => persons::apply(batch, connection, write).await,
        Write::Learn { connection, changes, mirrors, since, at } => {
            let cause = Cause::Reading { at: at.as_millisecond() };
            match since {
                Some(since) if !changes.is_empty() => {
                    let changes = persons::not_overtaken(batch, connection, changes, *since, *at).await?;
                    memory::apply(batch, connection, &changes, cause).await?;
                }
                _ => memory::apply(batch, connection, changes, cause).await?,
            }
            for update in mirrors {
                mirror::update(batch, connection, update).await?;
            }
            Ok(())
        }
        Write::Connection(version) => connections::put(batch, version).await,
        Write::Decide { run, decided, note } => decisions::decide(batch, run, decided, note).await,
        Write::Relate { run, relation } => decisions::relate(batch, run, relation).await,
        Write::Service(write) => service::apply(batch, write).await,
        Write::Note { note, at } => audit::append(batch, note, *at).await,
        Write::Account(write) => accounts::apply(batch, write).await,
        Write::Identity(write) => identities::apply(batch, write).await,
        Write::Notification(write) => notifications::apply(batch, write).await,
        Write::Stop(stop) => replicas::apply(batch, stop).await,
        Write::Beat(beat) => presence::apply(batch, beat).await,
        Write::Alerts(book) => alerts::apply(batch, book).await,
        Write::Draft(write) => drafts::apply(batch, write).await,
        Write::Plan(write) => plan_rows::apply(batch, write).await,
        Write::Ticks(write) => ticks::apply(batch, write).await,
    }
}
