//! What is known of one product's seats: who has one, who would take one, and what would be free.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::super::planner::PlanInput;
use super::super::step::{Action, Step};
use crate::model::{
    AccountActivity, AccountId, AccountKind, DirectoryUserId, Product, SiteGroupId, SiteMembers, Subject,
};
use crate::policy::Ceiling;

/// Whose seat it is: a seat is taken once for each, through however many groups.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Who {
    Account(AccountId),
    /// Somebody who has no account yet.
    User(DirectoryUserId),
}

/// One product.
pub(super) struct Book<'a> {
    input: &'a PlanInput<'a>,
    pub(super) product: &'a Product,
    pub(super) ceiling: Ceiling,
    /// How many groups that grant it each account is in, of accounts that take a seat by that.
    held: HashMap<&'a AccountId, usize>,
    /// Whether the members of all its groups are known.
    whole: bool,
}

/// Whether an invitation with these products grants this one: as one of them, or through a group that comes with one.
pub(super) fn comes_with_invitation(
    product: &Product,
    products: &[Product],
    invited_with: &[String],
) -> bool {
    invited_with.iter().any(|key| {
        let through = products.iter().filter(|other| *other.key.0 == **key);
        *product.key.0 == **key
            || through.flat_map(|other| &other.default_groups).any(|group| product.groups.contains(group))
    })
}

/// Products that an open step may take a seat of.
pub(super) fn touched<'a>(input: &'a PlanInput<'a>, steps: &[Step]) -> Vec<Book<'a>> {
    let open = steps.iter().filter(|step| step.hold.is_none());
    let takes = open.filter(|step| {
        matches!(step.action, Action::AddMember { .. } | Action::CreateUser { .. } | Action::ComeBack { .. })
    });
    of(input, takes)
}

/// Products that any step has to do with, held or not.
pub(super) fn touched_by_any<'a>(input: &'a PlanInput<'a>, steps: &[Step]) -> Vec<Book<'a>> {
    of(input, steps.iter())
}

fn of<'a, 's>(input: &'a PlanInput<'a>, steps: impl Iterator<Item = &'s Step>) -> Vec<Book<'a>> {
    let mut groups: HashSet<&SiteGroupId> = HashSet::new();
    let (mut invited, mut access) = (false, false);
    for step in steps {
        match &step.action {
            Action::AddMember { group, .. } => groups.extend(&group.site_id),
            Action::RemoveMember { removal, .. } => {
                groups.insert(&removal.site_group);
            }
            Action::CreateUser { .. } => invited = true,
            Action::ComeBack { .. } | Action::TakeRung { .. } => access = true,
            _ => {}
        }
    }
    let products = &input.site.standing().products;
    let touched = |product: &&Product| {
        access
            || product.groups.iter().any(|group| groups.contains(group))
            || (invited && comes_with_invitation(product, products, &input.rules.products))
    };
    products.iter().filter(touched).map(|product| Book::of(input, product)).collect()
}

impl<'a> Book<'a> {
    fn of(input: &'a PlanInput<'a>, product: &'a Product) -> Self {
        let (mut held, mut whole) = (HashMap::new(), true);
        for group in &product.groups {
            let Some(SiteMembers::Complete(members)) = input.site.holders(group) else {
                whole = false;
                continue;
            };
            for account in members.iter().filter(|account| takes_a_seat(input, account)) {
                *held.entry(account).or_default() += 1;
            }
        }
        Self { input, product, ceiling: input.rules.seats.ceiling(product), held, whole }
    }

    /// Seats taken; 0 where that is not known.
    pub(super) fn used(&self) -> u64 {
        self.product.seats.used().unwrap_or_default()
    }

    /// Seats that are not to be had: those taken, and in a reading of one person those for which others wait already.
    pub(super) fn spoken_for(&self) -> u64 {
        let waiting = match self.input.directory.subject() {
            Subject::Everybody => 0,
            Subject::One(person) => {
                let others = self.input.memory.queue();
                others.filter(|(product, user, _)| **product == self.product.key && *user != person).count()
            }
        };
        self.used().saturating_add(waiting as u64)
    }

    /// Who takes a seat by this step, held or not, if anybody does.
    pub(super) fn taker(&self, step: &Step) -> Option<Who> {
        match &step.action {
            Action::AddMember { group, person } => {
                group.site_id.as_ref().filter(|id| self.product.groups.contains(*id))?;
                match (&person.site_id, &person.directory_id) {
                    (Some(account), _) if self.held.contains_key(account) => None,
                    (Some(account), _) => Some(Who::Account(account.clone())),
                    (None, user) => user.clone().map(Who::User),
                }
            }
            Action::CreateUser { person, .. } => {
                let products = &self.input.site.standing().products;
                comes_with_invitation(self.product, products, &self.input.rules.products)
                    .then(|| person.directory_id.clone().map(Who::User))?
            }
            Action::ComeBack { account, .. } => {
                let in_group = |group| match self.input.site.holders(group) {
                    Some(members) => members.contains(account),
                    None => None,
                };
                let found = self.product.groups.iter().any(|group| in_group(group) == Some(true));
                let taken = !self.held.contains_key(account) && (found || !self.whole);
                (taken && !self.product.groups.is_empty()).then(|| Who::Account(account.clone()))
            }
            _ => None,
        }
    }

    /// Everybody who takes a seat by a step that is not held.
    pub(super) fn takers(&self, steps: &[Step]) -> BTreeSet<Who> {
        steps.iter().filter(|step| step.hold.is_none()).filter_map(|step| self.taker(step)).collect()
    }

    /// The seats that steps free which are not held, in their order; each with the steps that free it together.
    pub(super) fn freed(&self, steps: &[Step]) -> Vec<Vec<u32>> {
        let mut lost: BTreeMap<&AccountId, Vec<u32>> = BTreeMap::new();
        let mut rungs: BTreeMap<&AccountId, u32> = BTreeMap::new();
        let mut kept: HashSet<&AccountId> = HashSet::new();
        for (ix, step) in steps.iter().enumerate().filter(|(_, step)| step.hold.is_none()) {
            let ix = u32::try_from(ix).unwrap_or(u32::MAX);
            match &step.action {
                Action::RemoveMember { removal, .. } if self.product.groups.contains(&removal.site_group) => {
                    lost.entry(&removal.account).or_default().push(ix);
                }
                Action::TakeRung { departed, .. } => {
                    rungs.entry(&departed.account).or_insert(ix);
                }
                // Whoever moves from one such group to another keeps the seat.
                Action::AddMember { group, person } => {
                    let grants = group.site_id.as_ref().is_some_and(|id| self.product.groups.contains(id));
                    kept.extend(person.site_id.as_ref().filter(|_| grants));
                }
                Action::ComeBack { account, .. } => {
                    kept.insert(account);
                }
                _ => {}
            }
        }
        let mut freed: BTreeMap<&AccountId, Vec<u32>> = BTreeMap::new();
        for (account, rung) in rungs {
            if self.held.contains_key(account) && !kept.contains(account) {
                freed.insert(account, vec![rung]);
            }
        }
        for (account, steps) in lost.into_iter().filter(|_| self.whole) {
            let all = self.held.get(account).is_some_and(|of| steps.len() >= *of);
            if all && !kept.contains(account) {
                freed.insert(account, steps);
            }
        }
        let mut freed: Vec<Vec<u32>> = freed.into_values().collect();
        freed.sort();
        freed
    }
}

/// Suspended and deactivated people, apps and customers take none. Of an account that the site does not show, it is taken
/// for granted.
fn takes_a_seat(input: &PlanInput<'_>, account: &AccountId) -> bool {
    input.site.account(account).is_none_or(|shown| {
        shown.activity == AccountActivity::Active && matches!(shown.kind, AccountKind::Person)
    })
}
