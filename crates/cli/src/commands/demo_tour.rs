//! The chapters of the demo's tour.

use entrain_domain::plan::Approval;
use entrain_domain::run::{RunReport, Trigger};
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_emulator::world::World;
use entrain_emulator::world::tenant::{EntraUser, Member};
use entrain_emulator::{Description, Emulator};
use entrain_engine::ports::Clock as _;
use entrain_engine::{Approved, Freshness, RunOptions};

use super::demo::{breath, chapter};
use super::sync::{run_to_end, stoppable};
use super::{Context, check};
use crate::config::Document;
use crate::ui::{self, Page, PlanView, Tone};
use crate::wire::{self, Connected};

/// The one who tells it.
pub(super) struct Tour<'a> {
    cx: &'a Context<'a>,
}

impl<'a> Tour<'a> {
    pub(super) fn new(cx: &'a Context<'a>) -> Self {
        Self { cx }
    }

    pub(super) async fn greet(&self, company: &Description) {
        let mut page = Page::new();
        page.toned(
            Tone::Strong,
            "Entrain keeps the people and groups of a Jira Cloud site in step with Microsoft Entra ID.",
        );
        page.line("Here it meets a small company, Windrose, whose clouds are emulated on this machine:");
        page.line(format!("  directory  {}", company.graph_url));
        page.line(format!("  Jira site  {}", company.site_url));
        self.cx.printer.page(&page);
        breath(self.cx).await;
    }

    pub(super) async fn stored(&self, document: &Document) {
        chapter(self.cx, 1, "A connection is a document");
        let mut page = Page::new();
        for line in document.text().lines() {
            page.toned(Tone::Faint, format!("    {line}"));
        }
        page.line("");
        page.line("Stored. The secrets are sealed: not even their owner gets them printed again.");
        self.cx.printer.page(&page);
        breath(self.cx).await;
    }

    pub(super) async fn run(&self, connected: &Connected, emulator: &Emulator) -> Result<(), Failure> {
        let cx = self.cx;
        chapter(cx, 2, "entrain check: are both sides ready?");
        let checks = Box::pin(check::findings(connected)).await;
        cx.printer.page(&check::page(&connected.name, &checks));
        breath(cx).await;

        chapter(cx, 3, "entrain plan: what would change? Nothing is written yet.");
        self.plan(connected).await?;
        self.say(&[
            "One step waits for a person: a group of that name is in Jira already, and Entrain does not seize",
            "what others made. `entrain sync --yes` says that it is meant.",
        ]);
        breath(cx).await;

        chapter(cx, 4, "entrain sync --yes: apply it, read it back, report");
        self.sync(connected, Approval::Held).await?;
        breath(cx).await;

        chapter(cx, 5, "entrain sync, again: a second run has nothing to do");
        self.sync(connected, Approval::None).await?;
        breath(cx).await;

        chapter(cx, 6, "A day at Windrose");
        let at = wire::SystemClock.now();
        a_day(&mut emulator.state().world_mut(), at).map_err(|what| {
            let remedy = "please report this; the demo's company is not as the demo expects it";
            Failure::new(FailureCode::Internal, FailureClass::Local, what, remedy)
        })?;
        self.say(&[
            "In the directory, meanwhile:",
            "  Nora Lund starts in Engineering,",
            "  Yusuf Demir moves from Support to Product,",
            "  Carla Moreno leaves; her account is disabled.",
        ]);
        self.plan(connected).await?;
        breath(cx).await;

        chapter(cx, 7, "entrain sync: and Jira follows");
        self.sync(connected, Approval::None).await?;
        breath(cx).await;
        self.mistake(connected, emulator).await
    }

    /// A mass removal that is held, somebody who approves it all the same, and the way back.
    async fn mistake(&self, connected: &Connected, emulator: &Emulator) -> Result<(), Failure> {
        let cx = self.cx;
        let unexpected = |what| {
            let remedy = "please report this; the demo's company is not as the demo expects it";
            Failure::new(FailureCode::Internal, FailureClass::Local, what, remedy)
        };
        chapter(cx, 8, "A mistake: somebody takes nearly everybody out of Engineering");
        let taken = {
            let at = wire::SystemClock.now();
            take_out(&mut emulator.state().world_mut(), at).map_err(unexpected)?
        };
        let held = self.sync(connected, Approval::None).await?;
        self.say(&[
            "Nothing was done: so many at once are held until a person says that it is meant. The plan waits under",
            &format!("the run's id: entrain runs show {}", held.run_id),
        ]);
        breath(cx).await;

        chapter(cx, 9, "entrain runs approve: somebody says that it is meant");
        let options = RunOptions::new(Trigger::Approval);
        let approved = stoppable(cx, options, async |options, progress| {
            Box::pin(connected.engine.approve(&held.run_id, "demo", Approval::Held, options, progress)).await
        })
        .await?;
        let Approved::Run(done) = approved else {
            return Err(unexpected("the approval waits for a second person".into()));
        };
        self.report(&done)?;
        breath(cx).await;

        chapter(cx, 10, "entrain runs undo: it was a mistake after all");
        let options = RunOptions { approval: Approval::Held, ..RunOptions::new(Trigger::Undo) };
        let undone = stoppable(cx, options, async |options, progress| {
            Box::pin(connected.engine.undo(&done.run_id, options, progress)).await
        })
        .await?;
        self.report(&undone)?;
        let at = wire::SystemClock.now();
        put_back(&mut emulator.state().world_mut(), &taken, at).map_err(unexpected)?;
        self.say(&["The directory is put right as well, and both sides are in step again:", ""]);
        self.sync(connected, Approval::None).await.map(|_| ())
    }

    /// The same mistake once more, left for whoever opens the console.
    pub(super) async fn leave_something(
        &self,
        connected: &Connected,
        emulator: &Emulator,
    ) -> Result<(), Failure> {
        let cx = self.cx;
        chapter(cx, 11, "The same mistake once more, for you to look at in the console");
        {
            let at = wire::SystemClock.now();
            take_out(&mut emulator.state().world_mut(), at).map_err(|what| {
                let remedy = "please report this; the demo's company is not as the demo expects it";
                Failure::new(FailureCode::Internal, FailureClass::Local, what, remedy)
            })?;
        }
        self.sync(connected, Approval::None).await.map(|_| ())
    }

    fn report(&self, report: &RunReport) -> Result<(), Failure> {
        self.cx.printer.page(&ui::report(report));
        report.error.clone().map_or(Ok(()), Err)
    }

    fn say(&self, lines: &[&str]) {
        let mut page = Page::new();
        for line in lines {
            page.line(line);
        }
        page.line("");
        self.cx.printer.page(&page);
    }

    async fn plan(&self, connected: &Connected) -> Result<(), Failure> {
        let progress = self.cx.progress();
        let preview =
            Box::pin(connected.engine.preview(Approval::None, Freshness::Incremental, &progress)).await;
        progress.finish();
        let mut page = ui::letter(&PlanView::of(&preview?.document), 8);
        page.line("");
        self.cx.printer.page(&page);
        Ok(())
    }

    async fn sync(&self, connected: &Connected, approval: Approval) -> Result<RunReport, Failure> {
        let mut options = RunOptions::new(Trigger::Manual);
        options.approval = approval;
        let report = run_to_end(self.cx, connected, options).await?;
        self.report(&report)?;
        Ok(report)
    }
}

fn engineering(world: &World) -> Result<String, String> {
    let groups = &world.tenant.groups;
    let found = groups.values().find(|g| g.display_name.as_deref() == Some("Jira Engineering"));
    found.map(|g| g.id.clone()).ok_or_else(|| "no group is called Jira Engineering".into())
}

/// Takes all but one of the people out of Engineering; who they are, for the way back.
fn take_out(world: &mut World, at: jiff::Timestamp) -> Result<Vec<Member>, String> {
    let group = engineering(world)?;
    let members = &world.tenant.groups[&group].members;
    let people: Vec<Member> =
        members.iter().filter(|member| matches!(member, Member::User(_))).skip(1).cloned().collect();
    for person in &people {
        world.tenant.remove_member(&group, person, at)?;
    }
    Ok(people)
}

fn put_back(world: &mut World, people: &[Member], at: jiff::Timestamp) -> Result<(), String> {
    let group = engineering(world)?;
    people.iter().try_for_each(|person| world.tenant.add_member(&group, person.clone(), at))
}

/// A joiner, a mover and a leaver.
fn a_day(world: &mut World, at: jiff::Timestamp) -> Result<(), String> {
    let tenant = &mut world.tenant;
    let user = |name: &str| {
        let found = tenant.users.values().find(|u| u.display_name.as_deref() == Some(name));
        found.map(|u| u.id.clone()).ok_or_else(|| format!("nobody is called {name}"))
    };
    let group = |name: &str| {
        let found = tenant.groups.values().find(|g| g.display_name.as_deref() == Some(name));
        found.map(|g| g.id.clone()).ok_or_else(|| format!("no group is called {name}"))
    };
    let (mover, leaver) = (user("Yusuf Demir")?, user("Carla Moreno")?);
    let (engineering, support, product) =
        (group("Jira Engineering")?, group("Jira Support")?, group("Jira Product")?);

    let joiner = EntraUser {
        id: "6f1d2c3b-4a59-4e68-9d70-8c1b2a3f4e5d".into(),
        display_name: Some("Nora Lund".into()),
        given_name: Some("Nora".into()),
        surname: Some("Lund".into()),
        mail: Some(format!("nora.lund@{}", tenant.domain)),
        user_principal_name: format!("nora.lund@{}", tenant.domain),
        mail_nickname: Some("nora.lund".into()),
        department: Some("Engineering".into()),
        job_title: Some("Software Engineer".into()),
        ..EntraUser::default()
    };
    let id = joiner.id.clone();
    tenant.add_user(joiner, at)?;
    tenant.add_member(&engineering, Member::User(id), at)?;
    tenant.remove_member(&support, &Member::User(mover.clone()), at)?;
    tenant.add_member(&product, Member::User(mover), at)?;
    let disabled =
        serde_json::Map::from_iter([("accountEnabled".to_owned(), serde_json::Value::Bool(false))]);
    tenant.update_user(&leaver, disabled, at)
}
