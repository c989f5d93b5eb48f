//! A small world for planner tests: both sides in plain collections, a plan applied as a faithful site would, and the
//! result planned again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use entrain_domain::memory::{
    Anchor, AppliedValues, GroupLink, Hand, Memory, MemoryChange, Origin, UserLink, WayBack,
};
use entrain_domain::model::*;
use entrain_domain::plan::{
    Action, Approval, Departed, Focus, History, Keeping, Lookups, Plan, PlanInput, Removal, Renaming,
    Reversible, Step, Update, group_targets, groups_to_rename, plan, profiles_to_ask, seated_by,
};
use entrain_domain::policy::{Binding, GroupSelector, Measure, PropertyValues, Rules, Scope};
use entrain_domain::verify::verify;

pub(crate) fn uid(name: &str) -> DirectoryUserId {
    DirectoryUserId::parse(format!("u-{name}")).unwrap()
}
pub(crate) fn gid(name: &str) -> DirectoryGroupId {
    DirectoryGroupId::parse(format!("g-{}", name.replace(' ', "_"))).unwrap()
}
pub(crate) fn aid(name: &str) -> AccountId {
    AccountId::parse(format!("712020:{name}")).unwrap()
}
pub(crate) fn sid(name: &str) -> SiteGroupId {
    SiteGroupId::parse(format!("s-{}", name.replace(' ', "_"))).unwrap()
}
pub(crate) fn mail(name: &str) -> String {
    format!("{name}@example.com")
}

#[derive(Debug, Clone)]
pub(crate) struct DirGroup {
    pub(crate) name: String,
    pub(crate) users: BTreeSet<String>,
    pub(crate) groups: BTreeSet<String>,
    pub(crate) unread: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct World {
    /// name → state
    pub(crate) users: BTreeMap<String, AccountState>,
    pub(crate) mails: BTreeMap<String, String>,
    pub(crate) groups: BTreeMap<String, DirGroup>,
    pub(crate) accounts: BTreeMap<AccountId, Account>,
    pub(crate) site_groups: BTreeMap<SiteGroupId, (String, BTreeSet<AccountId>)>,
    pub(crate) products: Vec<Product>,
    pub(crate) administrative: BTreeSet<SiteGroupId>,
    pub(crate) memory: Memory,
    pub(crate) rules: Rules,
    pub(crate) lookups: Lookups,
    pub(crate) history: History,
    pub(crate) approval: Approval,
    pub(crate) now: jiff::Timestamp,
    /// Deleted in the directory.
    pub(crate) gone: BTreeSet<String>,
    /// Groups that the directory says are deleted.
    pub(crate) gone_groups: BTreeSet<String>,
    /// What people lead on the site.
    pub(crate) leads: BTreeMap<AccountId, Vec<Lead>>,
    pub(crate) unread_site_groups: BTreeSet<SiteGroupId>,
    pub(crate) users_coverage: Coverage,
    /// Who can rename groups, when that is asked.
    pub(crate) rename_by: Option<RenameBy>,
    /// Attributes of directory users by name.
    pub(crate) attributes: BTreeMap<String, Vec<(&'static str, String)>>,
    /// What the organization says of profiles, when it is asked.
    pub(crate) profiles: BTreeMap<AccountId, ProfileStanding>,
    pub(crate) properties: BTreeMap<AccountId, PropertyValues>,
    /// Directory users who are guests.
    pub(crate) guests: BTreeSet<String>,
    /// Users and groups to whom the application is assigned, when that is read.
    pub(crate) assigned: Option<(Vec<String>, Vec<String>)>,
}

/// The application of scopes with `users = "assigned"`.
pub(crate) fn application() -> ApplicationId {
    ApplicationId::parse("0b7d4a52-8e0f-4f4b-9a75-1c2f0f6e8d31").unwrap()
}

impl World {
    pub(crate) fn new(scope: &[&str]) -> Self {
        let groups = scope.iter().map(|s| GroupSelector::parse(s).unwrap()).collect();
        Self {
            users: BTreeMap::new(),
            mails: BTreeMap::new(),
            groups: BTreeMap::new(),
            accounts: BTreeMap::new(),
            site_groups: BTreeMap::new(),
            products: Vec::new(),
            administrative: BTreeSet::new(),
            memory: Memory::new(),
            rules: Rules::for_scope(Scope::in_groups(groups)),
            lookups: Lookups::new(),
            history: History::default(),
            approval: Approval::None,
            now: "2026-11-02T08:00:00Z".parse().unwrap(),
            gone: BTreeSet::new(),
            gone_groups: BTreeSet::new(),
            leads: BTreeMap::new(),
            unread_site_groups: BTreeSet::new(),
            users_coverage: Coverage::Complete,
            rename_by: None,
            attributes: BTreeMap::new(),
            profiles: BTreeMap::new(),
            properties: BTreeMap::new(),
            guests: BTreeSet::new(),
            assigned: None,
        }
    }

    pub(crate) fn user(mut self, name: &str) -> Self {
        self.users.insert(name.into(), AccountState::Enabled);
        self
    }
    pub(crate) fn group(mut self, name: &str, users: &[&str]) -> Self {
        for user in users {
            self.users.entry((*user).into()).or_insert(AccountState::Enabled);
        }
        let users = users.iter().map(|u| (*u).to_owned()).collect();
        self.groups.insert(
            name.into(),
            DirGroup { name: name.into(), users, groups: BTreeSet::new(), unread: false },
        );
        self
    }
    pub(crate) fn nest(mut self, outer: &str, inner: &str) -> Self {
        self.groups.get_mut(outer).unwrap().groups.insert(inner.into());
        self
    }
    pub(crate) fn account(mut self, name: &str) -> Self {
        self.put_account(name, Some(&mail(name)), AccountKind::Person);
        self
    }
    pub(crate) fn put_account(&mut self, name: &str, email: Option<&str>, kind: AccountKind) {
        self.accounts.insert(
            aid(name),
            Account {
                id: aid(name),
                email: email.map(|e| EmailAddress::parse(e).unwrap()),
                display_name: Arc::from(format!("Name {name}")),
                activity: AccountActivity::Active,
                kind,
            },
        );
    }
    pub(crate) fn site_group(mut self, name: &str, members: &[&str]) -> Self {
        self.site_groups.insert(sid(name), (name.into(), members.iter().map(|m| aid(m)).collect()));
        self
    }
    pub(crate) fn disable(&mut self, name: &str) {
        self.users.insert(name.into(), AccountState::Disabled);
    }

    pub(crate) fn directory(&self) -> DirectorySnapshot {
        self.reading().finish(self.users_coverage.clone(), Coverage::Complete)
    }

    /// What is known when one of these people signs in, with all the groups that they are in.
    pub(crate) fn directory_about(&self, name: &str) -> DirectorySnapshot {
        let mut alone = self.clone();
        alone.users.retain(|other, _| other == name);
        for group in alone.groups.values_mut() {
            group.users.retain(|other| other == name);
        }
        alone.reading().finish_about(uid(name), HashMap::new())
    }

    fn reading(&self) -> DirectoryReading {
        let mut reading = DirectoryReading::new();
        for (name, state) in &self.users {
            reading.put_user(DirectoryUser {
                id: uid(name),
                display_name: Some(Arc::from(format!("Name {name}"))),
                mail: Some(Arc::from(self.mails.get(name).cloned().unwrap_or_else(|| mail(name)))),
                user_principal_name: None,
                other_mail: None,
                account: *state,
                kind: if self.guests.contains(name) { UserKind::Guest } else { UserKind::Member },
                attributes: self
                    .attributes
                    .get(name)
                    .into_iter()
                    .flatten()
                    .map(|(name, value)| (Arc::from(*name), AttributeValue::Text(value.as_str().into())))
                    .collect(),
            });
        }
        for (key, group) in &self.groups {
            reading.put_group(&gid(key), &group.name);
            if group.unread {
                reading.members_unread(
                    &gid(key),
                    Unread {
                        reason: "403 on its members".into(),
                        remedy: "grant GroupMember.Read.All".into(),
                    },
                );
            } else {
                let users = group.users.iter().map(|u| MemberRef::User(uid(u)));
                let groups = group.groups.iter().map(|g| MemberRef::Group(gid(g)));
                reading.set_members(&gid(key), users.chain(groups).collect::<Vec<_>>());
            }
        }
        if let Some((users, groups)) = &self.assigned {
            let (users, groups) = (users.iter().map(|u| uid(u)), groups.iter().map(|g| gid(g)));
            reading.set_assignments(Assignments::new(application(), users, groups));
        }
        for name in &self.gone {
            reading.user_gone(&uid(name), Gone::SoftDeleted);
        }
        for name in &self.gone_groups {
            reading.group_gone(&gid(name));
        }
        reading
    }

    pub(crate) fn site(&self, directory: &DirectorySnapshot) -> SiteSnapshot {
        let standing = SiteStanding {
            own_account: aid("sync-bot"),
            products: self.products.clone(),
            administrative_groups: self.administrative.clone(),
            site_admin: Some(true),
            administer: Some(true),
            browse_users: Some(true),
        };
        let groups = self
            .site_groups
            .iter()
            .map(|(id, (name, _))| SiteGroup { id: id.clone(), name: Arc::from(name.as_str()) })
            .collect();
        let mut site = SiteSnapshot::new(standing, self.accounts.values().cloned().collect(), groups);
        for id in group_targets(directory, &site, &self.rules, &self.memory) {
            let members = if self.unread_site_groups.contains(&id) {
                SiteMembers::Unread(Unread { reason: "503 on page 2".into(), remedy: "run again".into() })
            } else {
                SiteMembers::Complete(self.site_groups[&id].1.iter().cloned().collect())
            };
            site.put_members(id, members);
        }
        for id in profiles_to_ask(directory, &site, &self.rules, &self.memory, &self.lookups) {
            if let Some(standing) = self.profiles.get(&id) {
                site.put_profile(id, standing.clone());
            }
        }
        if self.rules.leavers.any() {
            for id in &self.administrative {
                site.put_members(
                    id.clone(),
                    SiteMembers::Complete(self.site_groups[id].1.iter().cloned().collect()),
                );
            }
        }
        for (account, leads) in &self.leads {
            site.put_leads(account.clone(), leads.clone());
        }
        for (account, standing) in &self.profiles {
            if self.rules.leavers.any() {
                site.put_profile(account.clone(), standing.clone());
            }
        }
        // As an engine reads them where seats are short.
        for id in self.products.iter().flat_map(|product| &product.groups) {
            if site.members(id).is_none() && !self.unread_site_groups.contains(id) {
                let members = self.site_groups.get(id).map(|(_, members)| members.iter().cloned().collect());
                site.put_holders(id.clone(), SiteMembers::Complete(members.unwrap_or_default()));
            }
        }
        if let Some(by) = &self.rename_by {
            for id in groups_to_rename(directory, &site, &self.rules, &self.memory) {
                site.put_renaming(id, by.clone());
            }
        }
        site
    }

    /// What a plan of these snapshots rests on.
    pub(crate) fn input<'a>(
        &'a self,
        directory: &'a DirectorySnapshot,
        site: &'a SiteSnapshot,
    ) -> PlanInput<'a> {
        PlanInput {
            directory,
            site,
            rules: &self.rules,
            memory: &self.memory,
            lookups: &self.lookups,
            history: self.history,
            approval: self.approval,
            now: self.now,
            focus: Focus::Everything,
        }
    }

    /// Plans, and insists that the second opinion agrees.
    pub(crate) fn plan(&self) -> Plan {
        let directory = self.directory();
        let site = self.site(&directory);
        let input = self.input(&directory, &site);
        let plan = plan(&input);
        let findings = verify(&input, &plan);
        assert!(findings.is_empty(), "the second opinion finds {findings:?}\nin {}", render(&plan));
        for step in &plan.steps {
            assert!(step.reason.to_string().len() > 10, "a step without a reason: {step:?}");
        }
        plan
    }

    /// Does all open steps of a plan, as a faithful site would.
    pub(crate) fn apply(&mut self, plan: &Plan) {
        for record in &plan.records {
            self.memory.apply(record);
        }
        for step in plan.open_steps() {
            self.apply_step(step);
        }
    }

    pub(crate) fn apply_step(&mut self, step: &Step) {
        if let Some(user) = step.action.person().and_then(|person| person.directory_id.clone()) {
            for product in seated_by(step, &self.products, &self.rules.products) {
                self.memory.apply(&MemoryChange::LeaveQueue { product, user: user.clone() });
            }
        }
        match &step.action {
            Action::CreateUser { person, address } => {
                let name = address.as_str().split('@').next().unwrap().to_owned();
                self.put_account(&name, Some(address.as_str()), AccountKind::Person);
                self.memory.apply(&MemoryChange::LinkUser(UserLink {
                    user: person.directory_id.clone().unwrap(),
                    account: aid(&name),
                    address: Some(Arc::from(address.as_str())),
                    origin: Origin::Created,
                }));
                let place = self.memory.on_ladder(person.directory_id.as_ref().unwrap()).cloned();
                for change in place.iter().flat_map(|place| place.after(WayBack::Invite)) {
                    self.memory.apply(&change);
                }
            }
            Action::UpdateUser { person, update } => {
                let linked = person.directory_id.as_ref().and_then(|id| self.memory.user(id));
                let account = person.site_id.clone().or(linked.map(|l| l.account.clone())).unwrap();
                let values = match &**update {
                    Update::Profile { set, .. } => {
                        let standing = self.profiles.entry(account.clone());
                        let standing = standing.or_insert(ProfileStanding::Managed(Profile::new()));
                        let ProfileStanding::Managed(shown) = standing else { panic!("not managed") };
                        shown.extend(set.clone());
                        let mut values = self.memory.applied_profile(&account).cloned().unwrap_or_default();
                        values.extend(set.clone());
                        AppliedValues::Profile { values }
                    }
                    Update::Property { key, values, .. } => {
                        self.properties.insert(account.clone(), values.clone());
                        AppliedValues::Property { key: key.clone(), values: values.clone() }
                    }
                };
                self.memory.apply(&MemoryChange::ApplyAttributes { account, values });
            }
            Action::CreateGroup { group } => {
                let id = sid(&group.name);
                assert!(!self.site_groups.contains_key(&id), "the site has a group {}", group.name);
                self.site_groups.insert(id.clone(), (group.name.to_string(), BTreeSet::new()));
                self.link(&group.anchor, &id, &group.name, Origin::Created);
            }
            Action::RenameGroup { group, renaming } => {
                let Renaming { site_id, name } = &**renaming;
                self.site_groups.get_mut(site_id).unwrap().0 = name.to_string();
                let origin = self.memory.anchored(&group.anchor).unwrap().origin;
                self.link(&group.anchor, site_id, name, origin);
            }
            Action::AdoptGroup { group, site_id } => {
                self.link(&group.anchor, site_id, &group.name, Origin::Adopted);
            }
            Action::AddMember { group, person } => {
                let keeping = group.keeping;
                let group = self.memory.anchored(&group.anchor).unwrap().group.clone();
                let account =
                    self.memory.user(person.directory_id.as_ref().unwrap()).unwrap().account.clone();
                assert!(self.site_groups.get_mut(&group).unwrap().1.insert(account.clone()), "added twice");
                if keeping == Keeping::Ledger {
                    self.memory.own_membership(&group, &account, Origin::Created);
                }
            }
            Action::TakeRung { measure, departed, .. } => {
                let Departed { account, proof } = &**departed;
                let shown = self.accounts.get_mut(account).unwrap();
                shown.activity = AccountActivity::Inactive;
                if *measure == Measure::Remove {
                    for (_, members) in self.site_groups.values_mut() {
                        members.remove(account);
                    }
                }
                self.memory.apply(&MemoryChange::PassRung {
                    user: proof.user().clone(),
                    measure: *measure,
                    hand: Hand::Entrain,
                    at: self.now,
                });
            }
            Action::ComeBack { from, person, account } => {
                self.accounts.get_mut(account).unwrap().activity = AccountActivity::Active;
                let way = match from {
                    Reversible::Suspend => WayBack::Restore,
                    Reversible::Deactivate => WayBack::Reactivate,
                };
                let place = self.memory.on_ladder(person.directory_id.as_ref().unwrap()).unwrap();
                for change in place.after(way) {
                    self.memory.apply(&change);
                }
            }
            Action::RemoveMember { removal, .. } => {
                let Removal { site_group, account, .. } = &**removal;
                assert!(self.site_groups.get_mut(site_group).unwrap().1.remove(account), "was no member");
                self.memory.disown_membership(site_group, account);
            }
        }
    }

    /// Binds a directory group, by name, to a site group.
    pub(crate) fn bind(&mut self, directory: &str, site: &str) {
        self.rules
            .bindings
            .push(Binding { directory: GroupSelector::parse(directory).unwrap(), site: site.into() });
    }

    /// Somebody on the site puts an account into a group by hand.
    pub(crate) fn by_hand_in(&mut self, group: &str, account: &str) {
        assert!(self.site_groups.get_mut(&sid(group)).unwrap().1.insert(aid(account)));
    }

    /// Somebody on the site takes an account out of a group by hand.
    pub(crate) fn by_hand_out(&mut self, group: &str, account: &str) {
        assert!(self.site_groups.get_mut(&sid(group)).unwrap().1.remove(&aid(account)));
    }

    pub(crate) fn link(&mut self, anchor: &Anchor, group: &SiteGroupId, name: &str, origin: Origin) {
        self.memory.apply(&MemoryChange::LinkGroup(GroupLink {
            anchor: anchor.clone(),
            group: group.clone(),
            name: Arc::from(name),
            origin,
        }));
    }

    /// Plans and applies; the next plan must be empty of open steps.
    pub(crate) fn converge(&mut self) -> Plan {
        let plan = self.plan();
        self.apply(&plan);
        let again = self.plan();
        assert_eq!(again.open_steps().count(), 0, "a second plan is not empty:\n{}", render(&again));
        plan
    }

    pub(crate) fn members(&self, group: &str) -> Vec<String> {
        self.site_groups[&sid(group)]
            .1
            .iter()
            .map(|a| a.as_str().trim_start_matches("712020:").to_owned())
            .collect()
    }
}

/// One line per step, held ones in brackets, and what was set aside.
pub(crate) fn render(plan: &Plan) -> String {
    let steps = plan.steps.iter().map(|step| {
        let hold = step.hold.map(|g| format!(" [{g}]")).unwrap_or_default();
        let group = step.action.group().map(|g| format!(" {}", g.name)).unwrap_or_default();
        let person = step.action.person().map(|p| format!(" {}", p.name)).unwrap_or_default();
        format!("{}{person}{group}{hold} — {}\n", step.action.kind(), step.reason)
    });
    let asides = plan.set_aside.iter().map(|a| format!("set aside: {} — {}\n", a.object, a.reason));
    let held = plan.held.iter().map(|h| format!("held: {} — {}\n", h.guard, h.reason));
    steps.chain(asides).chain(held).collect()
}
