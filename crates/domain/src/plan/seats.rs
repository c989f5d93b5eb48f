//! Seats: who gets one, who waits for one, and how many are taken before and after a plan.
//!
//! An account takes a seat of a product with its first group that grants it, whoever gave that group, and gives it back
//! with its last. No step takes a seat beyond what the rules and the site allow. What a plan frees counts for it only
//! behind the steps that free it: a step that takes such a seat waits for them, so that a removal that fails gives
//! nothing away.

mod books;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;

use super::matching;
use super::planner::PlanInput;
use super::step::{Action, MendedBy, Person, SetAside, Step};
use crate::memory::MemoryChange;
use crate::model::{DirectoryUserId, Product, ProductKey, SiteGroupId};
use crate::policy::Ceiling;
use books::{Book, Who};

/// Seats of one product before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SeatForecast {
    /// Taken before.
    pub before: u64,
    /// Taken after.
    pub after: u64,
    /// Seats in all; `None` when unlimited, or not told.
    pub limit: Option<u64>,
}

/// Somebody who waits for a seat.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Waiting {
    /// Key of the product.
    pub product: String,
    /// Its name.
    pub product_name: String,
    /// The place in line, from 1.
    pub place: usize,
    /// The person, for people.
    pub user: String,
    /// The directory user, if it is one.
    pub directory_id: Option<DirectoryUserId>,
    /// Since when.
    pub since: Timestamp,
    /// Groups that the person gets with the seat; none where it comes with the invitation.
    pub groups: Vec<String>,
}

/// `1st`, `2nd`, `3rd`, `11th`.
fn ordinal(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

impl Waiting {
    /// `waits for a seat of Jira Software, 3rd in line`
    pub fn in_words(&self) -> String {
        format!("waits for a seat of {}, {} in line", self.product_name, ordinal(self.place))
    }
}

/// Who waits, and what is to be remembered of it.
#[derive(Debug, Default)]
pub(super) struct Allotment {
    pub(super) waiting: Vec<Waiting>,
    pub(super) set_aside: Vec<SetAside>,
    /// Who joins the line.
    pub(super) joins: Vec<MemoryChange>,
    /// Who wants no seat any more, or has one. Not to be believed where something was not read.
    pub(super) leaves: Vec<MemoryChange>,
}

/// Whether seats that the steps free may be given away by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freed {
    /// What frees a seat stands before what may take it.
    GivenAway,
    /// The order of the steps does not allow it.
    LeftFree,
}

/// The groups that grant a product of which somebody would have to wait: whose members they are says whether they have a
/// seat already. Empty where nobody waits.
pub fn groups_that_tell(waiting: &[Waiting], products: &[Product]) -> Vec<SiteGroupId> {
    let short: HashSet<&str> = waiting.iter().map(|one| one.product.as_str()).collect();
    let short = products.iter().filter(|product| short.contains(&*product.key.0));
    let groups: BTreeSet<SiteGroupId> = short.flat_map(|product| product.groups.iter().cloned()).collect();
    groups.into_iter().collect()
}

/// Leaves out the steps for which there is no seat, and lets those that take a freed seat wait for what frees it.
pub(super) fn allot(input: &PlanInput<'_>, steps: &mut Vec<Step>, freed: Freed) -> Allotment {
    let mut allotment = Allotment { leaves: no_longer_wanted(input, steps), ..Allotment::default() };
    let books: Vec<Book<'_>> = books::touched(input, steps);
    let short = |book: &Book<'_>| match book.ceiling {
        Ceiling::None => false,
        Ceiling::NotKnown => !book.takers(steps).is_empty(),
        Ceiling::At(most) => book.spoken_for().saturating_add(book.takers(steps).len() as u64) > most,
    };
    if !books.iter().any(short) {
        return allotment;
    }
    let limited: Vec<&Book<'_>> = books.iter().filter(|book| book.ceiling != Ceiling::None).collect();
    let line = line(input, steps, &limited);
    let mut out: HashSet<usize> = HashSet::new();
    let (outcome, gone) = loop {
        let outcome = pass(&limited, steps, &line, &out, freed);
        let gone = cascade(steps, outcome.left_out.iter().map(|(ix, _)| *ix).chain(out.iter().copied()));
        // A seat of somebody who cannot use it is the next one's.
        let wasted: Vec<usize> = outcome.after.keys().filter(|ix| gone.contains(ix)).copied().collect();
        if wasted.is_empty() {
            break (outcome, gone);
        }
        out.extend(wasted);
    };
    for (ix, more) in &outcome.after {
        if !more.is_empty() {
            let step = &mut steps[*ix];
            step.after = step.after.iter().copied().chain(more.iter().copied()).collect();
        }
    }
    say(input, steps, &limited, &outcome.left_out, &mut allotment);
    let keep: Vec<bool> = (0..steps.len()).map(|ix| !gone.contains(&ix)).collect();
    super::marks::leave_out(steps, &keep);
    allotment
}

/// People who wait as far as is remembered, and for whom no step asks for a seat any more.
fn no_longer_wanted(input: &PlanInput<'_>, steps: &[Step]) -> Vec<MemoryChange> {
    if input.memory.queue().len() == 0 {
        return Vec::new();
    }
    let mut wanting: HashSet<(&ProductKey, &DirectoryUserId)> = HashSet::new();
    for book in books::touched_by_any(input, steps) {
        for step in steps {
            if let Some(user) = step.action.person().and_then(|person| person.directory_id.as_ref())
                && book.taker(step).is_some()
            {
                wanting.insert((&book.product.key, user));
            }
        }
    }
    let gone = input.memory.queue().filter(|(product, user, _)| !wanting.contains(&(*product, *user)));
    gone.map(|(product, user, _)| MemoryChange::LeaveQueue { product: product.clone(), user: user.clone() })
        .collect()
}

/// A step that takes seats, in the order in which they are given.
struct Claim {
    ix: usize,
    /// Positions of the books, with whose seat it is.
    needs: Vec<(usize, Who)>,
}

/// Steps that take a seat: by rank, then by how long somebody waits, then by id.
fn line(input: &PlanInput<'_>, steps: &[Step], books: &[&Book<'_>]) -> Vec<Claim> {
    let mut ranks: HashMap<&DirectoryUserId, usize> = HashMap::new();
    let mut claims = Vec::new();
    for (ix, step) in steps.iter().enumerate().filter(|(_, step)| step.hold.is_none()) {
        let takes = |(at, book): (usize, &&Book<'_>)| Some((at, book.taker(step)?));
        let needs: Vec<(usize, Who)> = books.iter().enumerate().filter_map(takes).collect();
        if needs.is_empty() {
            continue;
        }
        let user = step.action.person().and_then(|person| person.directory_id.as_ref());
        let rank = user.map_or(usize::MAX, |id| {
            *ranks.entry(id).or_insert_with(|| {
                input.directory.user(id).map_or(usize::MAX, |user| input.rules.seats.rank(user))
            })
        });
        let waits = needs.iter().filter_map(|(at, _)| since(input, &books[*at].product.key, user)).min();
        let who = needs.first().map(|(_, who)| who.clone());
        claims.push(((rank, waits.unwrap_or(input.now), who, ix), Claim { ix, needs }));
    }
    claims.sort_by(|(a, _), (b, _)| a.cmp(b));
    claims.into_iter().map(|(_, claim)| claim).collect()
}

fn since(input: &PlanInput<'_>, product: &ProductKey, user: Option<&DirectoryUserId>) -> Option<Timestamp> {
    input.memory.waits_since(product, user?)
}

/// Where a seat comes from.
#[derive(Clone, Copy)]
enum Source {
    Free,
    /// The n-th that the steps free, those not counted that only bring the product below its ceiling.
    Freed(usize),
}

/// What one way through the line comes to.
#[derive(Default)]
struct Outcome {
    /// Steps that have their seats, with the steps they have to wait for.
    after: HashMap<usize, Vec<u32>>,
    /// Steps that wait, in the order of the line, with the books that have no seat for them.
    left_out: Vec<(usize, Vec<usize>)>,
}

/// Gives seats away along the line.
fn pass(books: &[&Book<'_>], steps: &[Step], line: &[Claim], out: &HashSet<usize>, freed: Freed) -> Outcome {
    let mut tills: Vec<Till> = books.iter().map(|book| Till::of(book, steps, freed)).collect();
    let mut outcome = Outcome::default();
    for claim in line.iter().filter(|claim| !out.contains(&claim.ix)) {
        let lacks = claim.needs.iter().filter(|(at, who)| !tills[*at].has(who)).map(|(at, _)| *at);
        let lacking: Vec<usize> = lacks.collect();
        if !lacking.is_empty() {
            outcome.left_out.push((claim.ix, lacking));
            continue;
        }
        let behind: Vec<u32> =
            claim.needs.iter().flat_map(|(at, who)| tills[*at].seat(who).clone()).collect();
        outcome.after.insert(claim.ix, behind);
    }
    outcome
}

/// The seats of one product while they are given away.
struct Till {
    free: u64,
    /// Steps that have to be done before any freed seat is below the ceiling.
    first: Vec<u32>,
    /// Steps that free a seat each.
    freed: Vec<Vec<u32>>,
    given: usize,
    seated: HashMap<Who, Source>,
}

impl Till {
    fn of(book: &Book<'_>, steps: &[Step], freed: Freed) -> Self {
        let (used, most) = match book.ceiling {
            Ceiling::At(most) => (book.spoken_for(), most),
            // Nothing is known, nothing is given.
            Ceiling::NotKnown | Ceiling::None => (0, 0),
        };
        let mut seats = match (book.ceiling, freed) {
            (Ceiling::At(_), Freed::GivenAway) => book.freed(steps),
            _ => Vec::new(),
        };
        let over = usize::try_from(used.saturating_sub(most)).unwrap_or(usize::MAX).min(seats.len());
        let rest = seats.split_off(over);
        let first = seats.into_iter().flatten().collect();
        Self { free: most.saturating_sub(used), first, freed: rest, given: 0, seated: HashMap::new() }
    }

    fn has(&self, who: &Who) -> bool {
        self.seated.contains_key(who) || self.free > 0 || self.given < self.freed.len()
    }

    /// The steps behind which the seat is there.
    fn seat(&mut self, who: &Who) -> Vec<u32> {
        let source = *self.seated.entry(who.clone()).or_insert_with(|| {
            if self.free > 0 {
                self.free -= 1;
                Source::Free
            } else {
                self.given += 1;
                Source::Freed(self.given - 1)
            }
        });
        match source {
            Source::Free => Vec::new(),
            Source::Freed(at) => self.first.iter().chain(&self.freed[at]).copied().collect(),
        }
    }
}

/// Steps that are left out, whatever waits for them, and invitations that would lead into nothing.
fn cascade(steps: &[Step], left_out: impl Iterator<Item = usize>) -> HashSet<usize> {
    let mut gone: HashSet<usize> = left_out.collect();
    let mut memberships: HashMap<usize, (usize, usize)> = HashMap::new();
    for (ix, step) in steps.iter().enumerate() {
        if !matches!(step.action, Action::AddMember { .. }) || step.hold.is_some() {
            continue;
        }
        for before in &step.after {
            let before = *before as usize;
            if matches!(steps[before].action, Action::CreateUser { .. }) {
                let (all, out) = memberships.entry(before).or_default();
                *all += 1;
                *out += usize::from(gone.contains(&ix));
            }
        }
    }
    gone.extend(memberships.iter().filter(|(_, (all, out))| all == out).map(|(invitation, _)| *invitation));
    for (ix, step) in steps.iter().enumerate() {
        if step.after.iter().any(|before| gone.contains(&(*before as usize))) {
            gone.insert(ix);
        }
    }
    gone
}

fn label(person: &Person) -> String {
    match &person.mail {
        Some(mail) => format!("{} <{mail}>", person.name),
        None => person.name.to_string(),
    }
}

/// Puts the waiting list into words.
fn say(
    input: &PlanInput<'_>,
    steps: &[Step],
    books: &[&Book<'_>],
    left_out: &[(usize, Vec<usize>)],
    allotment: &mut Allotment,
) {
    for (at, book) in books.iter().enumerate() {
        let mut places: BTreeMap<Who, usize> = BTreeMap::new();
        let begin = allotment.waiting.len();
        for (ix, _) in left_out.iter().filter(|(_, lacking)| lacking.contains(&at)) {
            let step = &steps[*ix];
            let (Some(who), Some(person)) = (book.taker(step), step.action.person()) else { continue };
            let next = places.len() + 1;
            let place = *places.entry(who).or_insert(next);
            let user = person.directory_id.as_ref();
            if place == next {
                let since = since(input, &book.product.key, user);
                if let (None, Some(user)) = (since, user) {
                    let (product, user) = (book.product.key.clone(), user.clone());
                    allotment.joins.push(MemoryChange::AwaitSeat { product, user, since: input.now });
                }
                allotment.waiting.push(Waiting {
                    product: book.product.key.0.to_string(),
                    product_name: book.product.name.to_string(),
                    place,
                    user: label(person),
                    directory_id: user.cloned(),
                    since: since.unwrap_or(input.now),
                    groups: Vec::new(),
                });
            }
            if let Some(group) = step.action.group() {
                allotment.waiting[begin + place - 1].groups.push(group.name.to_string());
            }
        }
        let why = match book.ceiling {
            Ceiling::At(most) => {
                format!("{} seats are taken, and {most} may be", book.used())
            }
            Ceiling::NotKnown | Ceiling::None => {
                "[seats] sets a limit, and it is not known how many seats there are or are taken".to_owned()
            }
        };
        for waiting in &allotment.waiting[begin..] {
            let known = waiting.directory_id.as_ref().and_then(|id| input.directory.user(id));
            allotment.set_aside.push(SetAside {
                object: known.map_or_else(|| waiting.user.clone(), matching::person_label),
                reason: format!("{}: {why}", waiting.in_words()),
                remedy: format!(
                    "nothing, if that is meant: the next free seat goes to whoever is first in line. Else free seats, buy \
                     some, or change [seats.products.{}]",
                    book.product.key.0
                ), mended_by: MendedBy::Itself });
        }
    }
}

/// Seats of every product whose taken seats are counted, before and after the steps that are not held.
///
/// Members of groups that were not read are not known: a gain is then counted although the person may have a seat
/// already, and a loss is not counted. The forecast is therefore never too low.
pub(super) fn forecast(input: &PlanInput<'_>, steps: &[Step]) -> BTreeMap<ProductKey, SeatForecast> {
    let touched: HashMap<&ProductKey, Book<'_>> =
        books::touched_by_any(input, steps).into_iter().map(|book| (&book.product.key, book)).collect();
    let mut seats = BTreeMap::new();
    for product in &input.site.standing().products {
        let Some(before) = product.seats.used() else { continue };
        let after = touched.get(&product.key).map_or(before, |book| {
            (before + book.takers(steps).len() as u64).saturating_sub(book.freed(steps).len() as u64)
        });
        seats.insert(product.key.clone(), SeatForecast { before, after, limit: product.seats.limit() });
    }
    seats
}

/// Seats of every product whose taken seats are counted, when of a plan only these steps were done. Like the forecast, it is
/// never too low.
pub fn seats_after<S: std::hash::BuildHasher>(
    input: &PlanInput<'_>,
    plan: &super::Plan,
    done: &HashSet<super::StepId, S>,
) -> BTreeMap<ProductKey, SeatForecast> {
    let steps: Vec<Step> = plan.steps.iter().filter(|step| done.contains(&step.id())).cloned().collect();
    forecast(input, &steps)
}

/// Products in which somebody takes a seat by a step that is done: their place in line is free.
pub fn seated_by(step: &Step, products: &[Product], invited_with: &[String]) -> Vec<ProductKey> {
    let granted = |product: &&Product| match &step.action {
        Action::AddMember { group, .. } => {
            group.site_id.as_ref().is_some_and(|id| product.groups.contains(id))
        }
        Action::CreateUser { .. } => books::comes_with_invitation(product, products, invited_with),
        _ => false,
    };
    products.iter().filter(granted).map(|product| product.key.clone()).collect()
}
