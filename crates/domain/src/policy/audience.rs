//! The audience: of everybody in the directory, who takes part, who does not, and of whom it cannot be said.
//!
//! "Does not take part" is a ground for taking memberships away, so it is a proof ([`OutOfScope`]) that only this
//! module makes, from a complete reading and a rule that was decided for this person. Whatever cannot be decided (a
//! filter that fails for somebody, a group of the filter whose members are not known, assignments that were not read)
//! is a doubt: such a person is neither invited nor taken out, and the doubt is told.

use std::sync::Arc;

use super::{Expr, Facts, GroupSelector, Guests, Rules, UserScope, quoted};
use crate::model::{
    AccountState, Closure, CompleteClosure, Coverage, DirectorySnapshot, DirectoryUser, DirectoryUserId,
    Nesting, Unread, UserIx, UserKind,
};

/// The rule that puts somebody out of scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeRule {
    /// The application is not assigned to them (`users = "assigned"`).
    Assignment,
    /// They are guests, and guests are excluded.
    Guests,
    /// The filter does not hold for them.
    Filter,
}

impl ScopeRule {
    /// What the rule says of such a person, as the end of a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Self::Assignment => "the application is not assigned to them (users = \"assigned\")",
            Self::Guests => "guests take no part (guests = \"exclude\")",
            Self::Filter => "the filter of the scope does not hold for them",
        }
    }
}

/// Proof that an enabled user of the directory takes no part: everything that the rule looks at was read, and it was
/// decided. Cannot be built outside this module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutOfScope {
    user: DirectoryUserId,
    rule: ScopeRule,
}

impl OutOfScope {
    /// Who.
    pub fn user(&self) -> &DirectoryUserId {
        &self.user
    }
    /// By which rule.
    pub fn rule(&self) -> ScopeRule {
        self.rule
    }
}

/// How somebody stands to the scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing<'a> {
    /// Takes part.
    In,
    /// Does not, and that is proved.
    Out(OutOfScope),
    /// It cannot be said, and why.
    Unsure(&'a Unread),
    /// The rules about people do not come to bear: no enabled user, or a member of no group in scope. What holds of
    /// such a person is a matter of the record and of memberships.
    Unreached,
}

/// Why it cannot be said of somebody whether they take part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// Whom it is about.
    pub about: About,
    /// Why, and what to do about it.
    pub why: Unread,
}

/// Whom a doubt is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// One person.
    Person(DirectoryUserId),
    /// So many, for the same reason.
    People(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Unreached,
    In,
    Out(ScopeRule),
    /// Position of the doubt.
    Unsure(u32),
}

/// Who of a snapshot takes part under some rules.
#[derive(Debug)]
pub struct Audience<'a> {
    directory: &'a DirectorySnapshot,
    /// By user index.
    places: Vec<Place>,
    doubts: Vec<Doubt>,
}

impl<'a> Audience<'a> {
    /// Decides for everybody.
    pub fn of(directory: &'a DirectorySnapshot, rules: &Rules) -> Self {
        let mut audience =
            Self { directory, places: vec![Place::Unreached; directory.user_slots()], doubts: Vec::new() };
        match &rules.scope.users {
            UserScope::All => audience.everybody(),
            UserScope::InGroups => audience.members(rules),
            UserScope::Assigned(_) => audience.assigned(rules),
        }
        if rules.scope.guests == Guests::Exclude {
            audience.without_guests();
        }
        if let Some(filter) = &rules.scope.filter {
            audience.filtered(filter, rules);
        }
        audience
    }

    fn enabled(&self, ix: UserIx) -> Option<&'a DirectoryUser> {
        self.directory.user_at(ix).filter(|user| user.account == AccountState::Enabled)
    }

    fn indexes(&self) -> impl Iterator<Item = UserIx> + use<> {
        UserIx::first(self.places.len())
    }

    fn put(&mut self, ix: UserIx, place: Place) {
        self.places[ix.position()] = place;
    }

    fn doubt(&mut self, about: About, why: Unread) -> Place {
        self.doubts.push(Doubt { about, why });
        Place::Unsure(self.doubts.len() as u32 - 1)
    }

    fn everybody(&mut self) {
        self.indexes().for_each(|ix| self.reach(ix));
    }

    fn reach(&mut self, ix: UserIx) {
        if self.enabled(ix).is_some() {
            self.put(ix, Place::In);
        }
    }

    /// A group whose members are not completely known brings nobody.
    fn members(&mut self, rules: &Rules) {
        for group in self.directory.groups().filter(|g| rules.scope.selects(&g.id, &g.display_name)) {
            let Closure::Complete(closure) = rules.closure(self.directory, group) else { continue };
            closure.members().for_each(|ix| self.reach(ix));
        }
    }

    fn assigned(&mut self, rules: &Rules) {
        let UserScope::Assigned(application) = &rules.scope.users else { return };
        let unread = |reason: String, remedy: &str| Unread { reason: reason.into(), remedy: remedy.into() };
        let assignments = self.directory.assignments().filter(|a| a.application() == application);
        let mut missing = match (assignments, self.directory.users_coverage()) {
            (None, _) => Some(unread(
                format!("the assignments of the application {application} were not read"),
                "run a full read: entrain sync --full",
            )),
            (_, Coverage::Partial(why)) => Some(why.clone()),
            _ => None,
        };
        for user in assignments.iter().flat_map(|a| a.users()) {
            if let Some(ix) = self.directory.user_ix(user) {
                self.reach(ix);
            }
        }
        for group in assignments.iter().flat_map(|a| a.groups()) {
            // An assignment outlives its group for a while; a deleted group brings nobody.
            if self.directory.group_is_gone(group) {
                continue;
            }
            // Assignment is not transitive (microsoft-graph.md 4.4).
            match self.directory.closure(group, Nesting::Direct) {
                Closure::Complete(closure) => {
                    closure.members().for_each(|ix| self.reach(ix));
                }
                Closure::Unknown(why) => {
                    let why = why.into_iter().next();
                    let reason = why.as_ref().map_or("not read", |why| &why.reason);
                    let remedy = why.as_ref().map_or("run the sync again", |why| &why.remedy);
                    missing.get_or_insert_with(|| {
                        unread(
                            format!("the members of an assigned group ({group}) are not known: {reason}"),
                            remedy,
                        )
                    });
                }
            }
        }
        let rest: Vec<UserIx> = self
            .indexes()
            .filter(|ix| self.places[ix.position()] == Place::Unreached && self.enabled(*ix).is_some())
            .collect();
        let place = match missing {
            None => Place::Out(ScopeRule::Assignment),
            Some(_) if rest.is_empty() => return,
            Some(why) => self.doubt(About::People(rest.len()), why),
        };
        for ix in rest {
            self.put(ix, place);
        }
    }

    fn without_guests(&mut self) {
        for ix in self.indexes() {
            let taking_part = matches!(self.places[ix.position()], Place::In | Place::Unsure(_));
            if taking_part && self.enabled(ix).is_some_and(|user| user.kind == UserKind::Guest) {
                self.put(ix, Place::Out(ScopeRule::Guests));
            }
        }
    }

    fn filtered(&mut self, filter: &Expr, rules: &Rules) {
        let held =
            if filter.reads_groups() { Held::of(self.directory, filter, rules) } else { Ok(Held::default()) };
        let candidates: Vec<UserIx> =
            self.indexes().filter(|ix| self.places[ix.position()] == Place::In).collect();
        let held = match held {
            Ok(held) => held,
            Err(_) if candidates.is_empty() => return,
            Err(why) => {
                let place = self.doubt(About::People(candidates.len()), why);
                for ix in candidates {
                    self.put(ix, place);
                }
                return;
            }
        };
        let mut groups = Vec::new();
        for ix in candidates {
            let Some(user) = self.enabled(ix) else { continue };
            held.by(ix, &mut groups);
            match filter.holds(&Facts { user, groups: &groups }) {
                Ok(true) => {}
                Ok(false) => self.put(ix, Place::Out(ScopeRule::Filter)),
                Err(error) => {
                    let why = Unread {
                        reason: format!("the filter of the scope cannot be applied: {}", error.what).into(),
                        remedy: error.remedy.into(),
                    };
                    let place = self.doubt(About::Person(user.id.clone()), why);
                    self.put(ix, place);
                }
            }
        }
    }

    /// How somebody stands to the scope.
    pub fn standing(&self, ix: UserIx) -> Standing<'_> {
        match self.places.get(ix.position()) {
            Some(Place::In) => Standing::In,
            Some(Place::Out(rule)) => {
                Standing::Out(OutOfScope { user: self.directory.user_id_at(ix).clone(), rule: *rule })
            }
            Some(Place::Unsure(at)) => Standing::Unsure(&self.doubts[*at as usize].why),
            Some(Place::Unreached) | None => Standing::Unreached,
        }
    }

    /// The proof that somebody takes no part, if there is one.
    pub fn out(&self, user: &DirectoryUserId) -> Option<OutOfScope> {
        match self.standing(self.directory.user_ix(user)?) {
            Standing::Out(proof) => Some(proof),
            _ => None,
        }
    }

    /// Whether it is proved that somebody takes no part.
    pub fn is_out(&self, ix: UserIx) -> bool {
        matches!(self.places.get(ix.position()), Some(Place::Out(_)))
    }

    /// The enabled users who take part, in the order of ids.
    pub fn people(&self) -> Vec<&'a DirectoryUser> {
        self.at(|place| *place == Place::In)
    }

    /// The directory that it is of.
    pub(crate) fn directory(&self) -> &'a DirectorySnapshot {
        self.directory
    }

    /// Those of whom it cannot be said.
    pub fn unsure(&self) -> Vec<&'a DirectoryUser> {
        self.at(|place| matches!(place, Place::Unsure(_)))
    }

    fn at(&self, wanted: impl Fn(&Place) -> bool) -> Vec<&'a DirectoryUser> {
        let mut people: Vec<&DirectoryUser> = self
            .indexes()
            .filter(|ix| wanted(&self.places[ix.position()]))
            .filter_map(|ix| self.enabled(ix))
            .collect();
        people.sort_by(|a, b| a.id.cmp(&b.id));
        people
    }

    /// Why it cannot be said of some.
    pub fn doubts(&self) -> &[Doubt] {
        &self.doubts
    }
}

/// Which of the groups that a filter looks at hold whom.
#[derive(Default)]
struct Held {
    /// What the filter calls each group.
    labels: Vec<Arc<str>>,
    /// Sorted: user, position of the label.
    links: Vec<(UserIx, u32)>,
}

impl Held {
    /// The groups that the filter names, and all groups in scope where it looks through them; or what is not known.
    fn of(directory: &DirectorySnapshot, filter: &Expr, rules: &Rules) -> Result<Self, Unread> {
        let mut held = Self::default();
        for selector in filter.named_groups() {
            let mut found =
                directory.groups().filter(|g| selector.selects(&g.id, &g.display_name)).peekable();
            if found.peek().is_none() {
                return Err(Unread {
                    reason: format!(
                        "the filter of the scope names the group “{}”, which the directory does not have",
                        quoted(selector.as_str())
                    )
                    .into(),
                    remedy: "correct the name in [scope] filter, or restore the group in Entra ID".into(),
                });
            }
            for group in found {
                held.take(&Arc::from(selector.as_str()), rules.closure(directory, group), selector)?;
            }
        }
        if filter.looks_through_groups() {
            for group in directory.groups().filter(|g| rules.scope.selects(&g.id, &g.display_name)) {
                let name: Arc<str> = group.display_name.trim().into();
                let selector = GroupSelector::exactly(group.id.as_str());
                held.take(&name, rules.closure(directory, group), &selector)?;
            }
        }
        held.links.sort_unstable();
        held.links.dedup();
        Ok(held)
    }

    fn take(&mut self, label: &Arc<str>, closure: Closure, named: &GroupSelector) -> Result<(), Unread> {
        let closure: CompleteClosure = match closure {
            Closure::Complete(closure) => closure,
            Closure::Unknown(why) => {
                let first = why.first();
                return Err(Unread {
                    reason: format!(
                        "the filter of the scope looks at the group “{}”, whose members are not completely known: {}",
                        quoted(named.as_str()),
                        first.map_or("not read", |why| &why.reason)
                    )
                    .into(),
                    remedy: first.map_or_else(|| "run the sync again".into(), |why| why.remedy.clone()),
                });
            }
        };
        let known = self.labels.iter().position(|known| known == label);
        let at = known.unwrap_or_else(|| {
            self.labels.push(label.clone());
            self.labels.len() - 1
        });
        self.links.extend(closure.members().map(|ix| (ix, at as u32)));
        Ok(())
    }

    /// What the filter calls the groups that hold somebody.
    fn by(&self, user: UserIx, groups: &mut Vec<Arc<str>>) {
        groups.clear();
        let from = self.links.partition_point(|(ix, _)| *ix < user);
        let links = self.links[from..].iter().take_while(|(ix, _)| *ix == user);
        groups.extend(links.map(|(_, label)| self.labels[*label as usize].clone()));
    }
}
