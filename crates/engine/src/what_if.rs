//! What rules would do to both sides as they were last read: asked before new rules are stored. Reads nothing but the
//! checks that tell seats and privileged groups, writes nothing, and is no plan to be applied: a run reads afresh.

use std::collections::BTreeSet;

use entrain_domain::Failure;
use entrain_domain::model::{Coverage, SiteSnapshot};
use entrain_domain::plan::{Approval, Lookups, Plan, StepId};

use crate::ports::{Clock, Directory, DirectoryRead, Ids, Site, Store};
use crate::report::PlanDocument;
use crate::run::{Engine, Preview, Reach, World, since};

/// What new rules would change.
#[derive(Debug)]
pub struct WhatIf {
    /// The plan under the new rules.
    pub preview: Preview,
    /// Steps that these rules ask for and those before did not.
    pub new: BTreeSet<StepId>,
    /// Steps that those before asked for and these do not.
    pub gone: BTreeSet<StepId>,
}

fn ids(plan: &Plan) -> BTreeSet<StepId> {
    plan.steps.iter().map(entrain_domain::plan::Step::id).collect()
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// The plan of this engine's rules over what was last read, beside that of the rules before; `None` when nothing
    /// was read yet.
    pub async fn what_if(&self, before: &entrain_domain::policy::Rules) -> Result<Option<WhatIf>, Failure> {
        let (store, meter) = (&self.ports.store, self.requests());
        let (Some(head), Some(reading), Some(picture)) = (
            store.mirror_head(&self.connection).await?,
            store.directory_mirror(&self.connection).await?,
            store.site_mirror(&self.connection).await?,
        ) else {
            return Ok(None);
        };
        let standing = self.standing().await?.distrusting_unfiltered_lists(&picture.groups);
        let now = self.ports.clock.now();
        let snapshot = reading.finish(Coverage::Complete, Coverage::Complete);
        let world = World {
            reach: Reach::Checks,
            basis: head.basis,
            directory: DirectoryRead { snapshot, watermark: head.watermark },
            site: SiteSnapshot::remembered(standing, picture),
            memory: store.memory(&self.connection).await?,
            lookups: Lookups::new(),
            history: store.history(&self.connection, now).await?,
            now,
            seats_read: false,
            since: None,
            own: None,
            asked: None,
        };
        let plan = self.sound_plan(&world, Approval::None)?;
        let earlier = entrain_domain::plan::plan(&world.input(before, Approval::None));
        let (with, without) = (ids(&plan), ids(&earlier));
        let requests = since(meter, self.requests());
        let document = PlanDocument::of(&plan, &self.connection, &self.rules, requests).value();
        Ok(Some(WhatIf {
            preview: Preview { plan, requests, document },
            new: with.difference(&without).cloned().collect(),
            gone: without.difference(&with).cloned().collect(),
        }))
    }
}
