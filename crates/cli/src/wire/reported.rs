//! The reports of `entrain report` for the API and the console: the same rows, under the same headings.

use entrain_domain::Failure;
use entrain_domain::plan::Approval;
use entrain_domain::reports::credentials;
use entrain_engine::Freshness;
use entrain_engine::ports::{Clock as _, Unwatched};
use entrain_engine::reports::report_leavers;
use entrain_server::reports::{ExportForm, ExportPart, Report, Reported};

use super::reports::{self, Reporting};
use super::service::{Wired, environment};
use super::{SystemClock, stored};
use crate::commands::audit::export_text;
use crate::commands::report::{
    credentials as credential_report, drift, ladder, leavers, members, seats, unlinked,
};
use crate::config::Document;

impl Wired {
    pub(super) async fn report_of(&self, connection: &str, report: Report) -> Result<Reported, Failure> {
        Ok(match report {
            Report::Drift => {
                let engine = self.connect(connection).await?.engine;
                let preview = engine.preview(Approval::None, Freshness::Full, &Unwatched);
                drift::reported(&Box::pin(preview).await?.plan.drift)
            }
            Report::Ladder => ladder::reported(&self.connect(connection).await?.engine.ladder().await?),
            Report::Credentials => {
                let document = stored(&self.store, connection).await?.document.document;
                let document = Document::parse(&document, &format!("stored document of “{connection}”"))?;
                let rows = credentials(&reports::credentials(&document)?, SystemClock.now());
                credential_report::reported(&rows)
            }
            Report::Members { group, at } => {
                let at = at.unwrap_or_else(|| SystemClock.now());
                let (_, rows) = members::rows(&self.store, connection, &group, at).await?;
                members::reported(&rows)
            }
            Report::Leavers => {
                let reporting = self.reporting(connection).await?;
                let memory = reporting.memory().await?;
                let rows = report_leavers(&reporting.directory, &reporting.accounts()?, &memory).await?;
                leavers::reported(&rows)
            }
            Report::Unlinked => {
                let reporting = self.reporting(connection).await?;
                unlinked::reported(&Box::pin(unlinked::rows(&reporting, &reporting.accounts()?)).await?)
            }
            Report::Seats => seats::reported(&seats::rows(&self.reporting(connection).await?).await?),
        })
    }

    async fn reporting(&self, connection: &str) -> Result<Reporting, Failure> {
        let stored = stored(&self.store, connection).await?.document;
        let document = Document::parse(&stored.document, &format!("stored document of “{connection}”"))?;
        let lasting = self.lasting();
        Reporting::of_both(document, &stored.secrets, &environment, &lasting, self.store.clone())
    }

    pub(super) async fn export_part(
        &self,
        form: ExportForm,
        after: Option<i64>,
    ) -> Result<ExportPart, Failure> {
        /// Entries that are in memory at a time.
        const PART: u32 = 1000;
        let entries = self.store.audit_after(after.unwrap_or(0), PART).await.map_err(|e| e.failure())?;
        let text = export_text(form, &entries, after.is_none());
        Ok(ExportPart { text, next: entries.last().map(|entry| entry.seq) })
    }
}
