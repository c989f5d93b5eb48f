//! Reading back: what was written is read once more, and a fresh plan over it must be empty. Only then has a run
//! converged. Reads may lag behind writes, so what still differs is read again, with patience; what was not written is
//! not read.

use std::collections::{BTreeSet, HashSet};

use entrain_domain::Failure;
use entrain_domain::model::{AccountActivity, AccountId, SiteGroup, SiteGroupId};
use entrain_domain::plan::{Action, MendedBy, Plan, SeatForecast, SetAside, Step, StepId, plan};

use crate::apply::Applied;
use crate::ports::{Clock, Directory, Event, Ids, Progress, Site, Store};
use crate::recover::Pauses;
use crate::report::{Draft, object_of};
use crate::run::{Engine, Reach, RunOptions, World, side_by_side};

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// Gives back the fresh plan when all that it still asks for came to light by reading back: where members were
    /// remembered and not read, people may have changed them by hand.
    pub(crate) async fn read_back(
        &self,
        draft: &mut Draft,
        world: &mut World,
        (planned, applied): (&Plan, &Applied),
        options: &RunOptions,
        progress: &dyn Progress,
    ) -> Result<Option<Plan>, Failure> {
        let mut groups: Vec<SiteGroupId> = applied.groups.iter().cloned().collect();
        let mut pauses = Pauses::within(self.options.patience);
        let mut missing: Vec<AccountId> = Vec::new();
        let mut renamed = applied.renamed.clone();
        let mut access = applied.access.clone();
        let mut first = true;
        let fresh = loop {
            self.read_members(&mut world.site, groups, progress).await?;
            if first {
                missing = Self::not_covered(world, applied);
                first = false;
            }
            missing = self.accounts_missing(missing).await?;
            renamed = self.still_called_otherwise(renamed).await?;
            access = self.access_not_shown(access).await?;
            let fresh = match options.purpose.undoing() {
                Some(undoing) => self.undo_plan(world, undoing, options.approval),
                None => plan(&world.input(&self.rules, options.approval)),
            };
            groups = lagging(&fresh, applied);
            if groups.is_empty() && missing.is_empty() && renamed.is_empty() && access.is_empty() {
                break fresh;
            }
            progress.report(Event::Waiting {
                what: format!(
                    "the site to show what was written to {} objects",
                    groups.len() + missing.len() + renamed.len() + access.len()
                ),
            });
            match pauses.next() {
                Some(pause) if self.pause(pause, &options.stop).await => {}
                _ => break fresh,
            }
        };

        for id in &missing {
            let object = world.site.account(id).map_or_else(
                || id.to_string(),
                |account| {
                    account
                        .email
                        .as_ref()
                        .map_or_else(|| account.display_name.to_string(), ToString::to_string)
                },
            );
            draft.set_aside.push(not_shown(object));
        }
        for group in &renamed {
            draft.set_aside.push(not_shown(format!("the new name of group “{}”", group.name)));
        }
        for (id, _) in &access {
            let name = world
                .site
                .account(id)
                .map_or_else(|| id.to_string(), |account| account.display_name.to_string());
            draft.set_aside.push(not_shown(format!("the access of {name}")));
        }
        let tried: HashSet<StepId> = planned.steps.iter().map(Step::id).collect();
        let (mut open, mut news) = (0, 0);
        for step in fresh.open_steps().filter(|step| !draft.overtaken.contains(&step.id())) {
            open += 1;
            news += usize::from(!tried.contains(&step.id()));
            if applied.done.contains(&step.id()) {
                draft.set_aside.push(not_shown(object_of(step)));
            }
        }
        draft.hold(&fresh.held);
        self.line_up(draft, world, &fresh).await?;
        self.count_seats(draft, world, applied).await;
        let all_shown = missing.is_empty() && renamed.is_empty() && access.is_empty();
        if all_shown && open > 0 && open == news && world.reach != Reach::Full {
            return Ok(Some(fresh));
        }
        if open > 0 || !all_shown {
            draft.incomplete();
        }
        Ok(None)
    }

    /// Invited accounts that no reading of members shows.
    fn not_covered(world: &World, applied: &Applied) -> Vec<AccountId> {
        let shown: BTreeSet<&AccountId> = applied
            .accounts
            .iter()
            .filter(|account| {
                applied.groups.iter().any(|group| {
                    world.site.members(group).and_then(|members| members.contains(account)) == Some(true)
                })
            })
            .collect();
        applied.accounts.iter().filter(|account| !shown.contains(account)).cloned().collect()
    }

    async fn accounts_missing(&self, accounts: Vec<AccountId>) -> Result<Vec<AccountId>, Failure> {
        let answers = side_by_side(self.options.in_flight, accounts, |id| async move {
            let account = self.ports.site.account(&id).await;
            (id, account)
        })
        .await;
        let mut missing = Vec::new();
        for (id, account) in answers {
            match account {
                Ok(Some(_)) => {}
                Err(failure) if failure.ends_the_run() => return Err(failure),
                Ok(None) | Err(_) => missing.push(id),
            }
        }
        Ok(missing)
    }

    /// Renamed groups that the site does not show under their new name.
    async fn still_called_otherwise(&self, groups: Vec<SiteGroup>) -> Result<Vec<SiteGroup>, Failure> {
        let answers = side_by_side(self.options.in_flight, groups, |group| async move {
            let found = self.ports.site.find_groups(&group.name).await;
            (group, found)
        })
        .await;
        let mut otherwise = Vec::new();
        for (group, found) in answers {
            match found {
                Ok(found) if found.contains(&group) => {}
                Err(failure) if failure.ends_the_run() => return Err(failure),
                Ok(_) | Err(_) => otherwise.push(group),
            }
        }
        Ok(otherwise)
    }

    /// Accounts that do not show the access that they were given, or that was taken.
    async fn access_not_shown(
        &self,
        accounts: Vec<(AccountId, AccountActivity)>,
    ) -> Result<Vec<(AccountId, AccountActivity)>, Failure> {
        let answers = side_by_side(self.options.in_flight, accounts, |(id, wanted)| async move {
            let account = self.ports.site.account(&id).await;
            (id, wanted, account)
        })
        .await;
        let mut otherwise = Vec::new();
        for (id, wanted, account) in answers {
            match account {
                Ok(Some(account)) if account.activity == wanted => {}
                Err(failure) if failure.ends_the_run() => return Err(failure),
                Ok(_) | Err(_) => otherwise.push((id, wanted)),
            }
        }
        Ok(otherwise)
    }

    /// Seats after a run that touched a group which grants some. The numbers are a service to the reader: when they
    /// cannot be read, the forecast stands.
    async fn count_seats(&self, draft: &mut Draft, world: &World, applied: &Applied) {
        let products = &world.site.standing().products;
        let granted = !self.rules.products.is_empty() && !applied.accounts.is_empty();
        let touched = products.iter().any(|p| p.groups.iter().any(|group| applied.groups.contains(group)));
        if !granted && !touched {
            return;
        }
        if let Ok(standing) = self.ports.site.standing().await {
            for product in standing.products {
                let Some(used) = product.seats.used() else { continue };
                let limit = product.seats.limit();
                let before = draft.seats.get(&*product.key.0).map_or(used, |seats| seats.before);
                draft.seats.insert(product.key.0.to_string(), SeatForecast { before, after: used, limit });
            }
        }
    }
}

/// The groups for which a fresh plan asks again for what this run did.
fn lagging(fresh: &Plan, applied: &Applied) -> Vec<SiteGroupId> {
    let group = |step: &Step| match &step.action {
        Action::RemoveMember { removal, .. } => Some(removal.site_group.clone()),
        action => action.group().and_then(|group| group.site_id.clone()),
    };
    let lagging: BTreeSet<SiteGroupId> = fresh
        .open_steps()
        .filter(|step| applied.done.contains(&step.id()))
        .filter_map(group)
        .filter(|group| applied.groups.contains(group))
        .collect();
    lagging.into_iter().collect()
}

/// What a run wrote and does not find when it reads back.
pub(crate) fn not_shown(object: String) -> SetAside {
    SetAside {
        object,
        reason: "was written, but the site does not show it yet".into(),
        remedy: "nothing; the next run looks again".into(),
        mended_by: MendedBy::Itself,
    }
}
