//! Seats in a run: who has one already is read where they are short; after the writing, what was taken counts before the
//! site shows it; and whoever has to wait is remembered, so that the line holds over runs.

use std::collections::{HashMap, HashSet};

use entrain_domain::Failure;
use entrain_domain::FailureClass;
use entrain_domain::memory::MemoryChange;
use entrain_domain::model::{
    AccountId, Product, ProductKey, Seats, SiteGroupId, SiteMembers, SiteSnapshot, Unread,
};
use entrain_domain::plan::{Action, Approval, Plan, Step, Waiting, groups_that_tell, seated_by, seats_after};

use crate::apply::Applied;
use crate::ports::{Clock, Directory, Ids, Site, Store, Unwatched};
use crate::report::Draft;
use crate::run::{Engine, Reach, World, side_by_side};

/// Products, groups and invitations for which the site has no seat left, each with what it said.
#[derive(Debug, Default)]
pub(crate) struct Exhausted {
    products: HashMap<ProductKey, Failure>,
    groups: HashMap<SiteGroupId, Failure>,
    invitations: Option<Failure>,
}

impl Exhausted {
    /// The products that have no seat left.
    pub(crate) fn products(&self) -> impl Iterator<Item = &ProductKey> {
        self.products.keys()
    }

    /// Takes in that the site refused a step for want of a seat. Where it does not say of what, only one product may be
    /// meant, or the group as such.
    pub(crate) fn note(
        &mut self,
        failure: &Failure,
        step: &Step,
        group: Option<&SiteGroupId>,
        site: &SiteSnapshot,
        invited_with: &[String],
    ) {
        let products = &site.standing().products;
        let named = products.iter().find(|product| Some(&*product.key.0) == failure.product.as_deref());
        let costs = seated_by(step, products, invited_with);
        match (named, costs.as_slice()) {
            (Some(product), _) => {
                self.products.insert(product.key.clone(), failure.clone());
            }
            // An error that names a product which is not one of the site's, as far as it is known, is about that one.
            (None, [one]) if failure.product.as_deref().is_none_or(|named| kin(named, one)) => {
                self.products.insert(one.clone(), failure.clone());
            }
            _ => {}
        }
        match group {
            Some(group) => {
                self.groups.insert(group.clone(), failure.clone());
            }
            None => self.invitations = Some(failure.clone()),
        }
    }

    /// What the site would say of an addition, as it said it before.
    pub(crate) fn of_member(
        &self,
        group: &SiteGroupId,
        account: &AccountId,
        site: &SiteSnapshot,
    ) -> Option<&Failure> {
        if let Some(failure) = self.groups.get(group) {
            return Some(failure);
        }
        if self.products.is_empty() {
            return None;
        }
        let granted = site.standing().products.iter().filter(|product| product.groups.contains(group));
        let seatless = granted.filter(|product| !has_seat(product, account, site));
        seatless.into_iter().find_map(|product| self.products.get(&product.key))
    }

    /// What the site would say of an invitation.
    pub(crate) fn of_invitation(
        &self,
        step: &Step,
        site: &SiteSnapshot,
        invited_with: &[String],
    ) -> Option<&Failure> {
        if self.products.is_empty() {
            return self.invitations.as_ref();
        }
        let granted = seated_by(step, &site.standing().products, invited_with);
        granted.iter().find_map(|product| self.products.get(product)).or(self.invitations.as_ref())
    }
}

/// `jira` and `platform` name the family that a product of Jira belongs to.
fn kin(named: &str, product: &ProductKey) -> bool {
    matches!(named, "jira" | "platform") && product.0.starts_with("jira-")
}

/// Whether an account is known to have a seat.
fn has_seat(product: &Product, account: &AccountId, site: &SiteSnapshot) -> bool {
    let holds = |group| site.holders(group).and_then(|members| members.contains(account)) == Some(true);
    product.groups.iter().any(holds)
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// Where somebody would have to wait, reads who has a seat already: once in a run, and only of the products that are
    /// short. Whether anything was read.
    pub(crate) async fn read_seat_holders(
        &self,
        world: &mut World,
        waiting: &[Waiting],
    ) -> Result<bool, Failure> {
        if waiting.is_empty() || world.seats_read {
            return Ok(false);
        }
        world.seats_read = true;
        let groups = groups_that_tell(waiting, &world.site.standing().products);
        let fresh = |group: &SiteGroupId| world.reach == Reach::Full && world.site.holders(group).is_some();
        let groups: Vec<SiteGroupId> =
            groups.into_iter().filter(|g| world.site.group(g).is_some() && !fresh(g)).collect();
        if groups.is_empty() {
            return Ok(false);
        }
        let (managed, others): (Vec<SiteGroupId>, Vec<SiteGroupId>) =
            groups.into_iter().partition(|group| world.site.members(group).is_some());
        self.read_members(&mut world.site, managed, &Unwatched).await?;
        let read = side_by_side(self.options.in_flight, others, |group| async move {
            let members = self.ports.site.members(&group).await;
            (group, members)
        })
        .await;
        for (group, members) in read {
            let members = match members {
                Ok(members) => SiteMembers::Complete(members),
                Err(failure) if failure.class != FailureClass::Local && !failure.ends_the_run() => {
                    SiteMembers::Unread(Unread {
                        reason: failure.message.into(),
                        remedy: failure.remedy.into(),
                    })
                }
                Err(failure) => return Err(failure),
            };
            world.site.put_holders(group, members);
        }
        Ok(true)
    }

    /// After the writing and before anything is read back: seats that were taken are taken, although the site may not
    /// show it yet, and where it refused one there is none.
    pub(crate) fn expect_seats(&self, world: &mut World, plan: &Plan, applied: &Applied) {
        let touched = |product: &Product| {
            applied.seatless.contains(&product.key)
                || !applied.accounts.is_empty()
                || !applied.access.is_empty()
                || product.groups.iter().any(|group| applied.groups.contains(group))
        };
        if !world.site.standing().products.iter().any(touched) {
            return;
        }
        let after = seats_after(&world.input(&self.rules, Approval::None), plan, &applied.done);
        let mut products = world.site.standing().products.clone();
        for product in &mut products {
            let used = after.get(&product.key).map(|seats| seats.after);
            product.seats = match (product.seats, used) {
                (Seats::Limited { limit, .. }, Some(used)) => Seats::Limited { limit, used },
                (Seats::Unlimited { .. }, Some(used)) => Seats::Unlimited { used },
                (Seats::LimitNotTold { .. }, Some(used)) => Seats::LimitNotTold { used },
                (seats, _) => seats,
            };
            if applied.seatless.contains(&product.key) {
                let used =
                    product.seats.used().unwrap_or_default().max(product.seats.limit().unwrap_or_default());
                product.seats = Seats::Limited { limit: product.seats.limit().unwrap_or(used), used };
            }
        }
        world.site.put_products(products);
    }

    /// Remembers who waits from now on, and puts the line into the report.
    pub(crate) async fn line_up(
        &self,
        draft: &mut Draft,
        world: &mut World,
        fresh: &Plan,
    ) -> Result<(), Failure> {
        draft.waiting.clone_from(&fresh.waiting);
        let joins: Vec<MemoryChange> = fresh
            .records
            .iter()
            .filter(|record| matches!(record, MemoryChange::AwaitSeat { .. }))
            .cloned()
            .collect();
        if joins.is_empty() {
            return Ok(());
        }
        self.ports.store.remember(&self.connection, &joins).await?;
        for join in &joins {
            world.memory.apply(join);
        }
        Ok(())
    }
}

/// Places in line that a step which is done frees.
pub(crate) fn out_of_line(step: &Step, world: &World, invited_with: &[String]) -> Vec<MemoryChange> {
    if world.memory.queue().len() == 0
        || !matches!(step.action, Action::AddMember { .. } | Action::CreateUser { .. })
    {
        return Vec::new();
    }
    let Some(user) = step.action.person().and_then(|person| person.directory_id.clone()) else {
        return Vec::new();
    };
    let seated: HashSet<ProductKey> =
        seated_by(step, &world.site.standing().products, invited_with).into_iter().collect();
    let waited = seated.into_iter().filter(|product| world.memory.waits_since(product, &user).is_some());
    waited.map(|product| MemoryChange::LeaveQueue { product, user: user.clone() }).collect()
}
