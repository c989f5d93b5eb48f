//! The rules of the domain: who and which groups, and what may be done with them.

use std::collections::BTreeMap;

use entrain_domain::model::{AccountId, ApplicationId, EmailAddress, SiteGroupId, group_name_key};
use entrain_domain::plan::StepKind;
use entrain_domain::policy::expr::Expr;
use entrain_domain::policy::{
    Approvers, Binding, DefaultGroups, Existing, GroupMode, GroupNames, GroupSelector, Guests, Import, Limit,
    Limits, Memberships, PerGroup, Protected, Rewriting, Rules, Scope, UserScope, site_name_problem,
};

use super::lines::join;
use super::sections::{ExistingGroups, GuestsWord, KindLimit, Mode, Nesting, Sections, Users};
use super::values::Reader;

impl Reader<'_> {
    fn selectors(&mut self, key: &str, texts: &[String]) -> Vec<GroupSelector> {
        let mut selectors = Vec::with_capacity(texts.len());
        for (at, text) in texts.iter().enumerate() {
            match GroupSelector::parse(text) {
                Ok(selector) => selectors.push(selector),
                Err(e) => {
                    self.found(
                        &format!("{key}[{at}]"),
                        format!("cannot be used: {e}"),
                        "write an id, a name or a pattern with *",
                    );
                }
            }
        }
        selectors
    }

    pub(super) fn rules(&mut self, s: &Sections) -> Option<Rules> {
        let groups = self.selectors("scope.groups", &s.scope.groups);
        let exclude_groups = self.selectors("scope.exclude_groups", &s.scope.exclude_groups);
        if s.scope.groups.is_empty() && s.scope.users == Users::InGroups {
            self.found(
                "scope.groups",
                "names no group, so nobody would take part",
                "write groups = [\"…\"], or users = \"all\"",
            );
        }
        let users = self.users(s);
        let filter = self.filter(s);
        let guests = match s.scope.guests {
            GuestsWord::Include => Guests::Include,
            GuestsWord::Exclude => Guests::Exclude,
        };
        let names = match GroupNames::parse(&s.groups.name) {
            Ok(names) => Some(names),
            Err(e) => {
                self.found(
                    "groups.name",
                    format!("cannot be used: {e}"),
                    "write a template such as \"entra-{name}\"",
                );
                None
            }
        };
        let rewritings = self.rewritings(s);
        let bindings = self.bindings(s);
        let defaults = self.default_groups(s, &bindings);
        let modes = self.per_group("modes", &s.groups.modes, mode);
        let nestings = self.per_group("nestings", &s.groups.nestings, nesting);
        let protected = self.protected(s);
        let import = |on: bool| if on { Import::Create } else { Import::Report };
        Some(Rules {
            scope: Scope { exclude_groups, users: users?, guests, filter, ..Scope::in_groups(groups) },
            import_users: import(s.operations.import_users),
            import_groups: import(s.operations.import_groups),
            memberships: if s.operations.sync_memberships { Memberships::Sync } else { Memberships::Leave },
            products: s.operations.products.clone(),
            names: names?.rewritten(rewritings),
            bindings,
            defaults,
            existing: match s.groups.existing {
                ExistingGroups::Ask => Existing::Ask,
                ExistingGroups::Adopt => Existing::Adopt,
                ExistingGroups::Skip => Existing::Skip,
            },
            mode: mode(s.groups.mode),
            modes,
            nesting: nesting(s.groups.nesting),
            nestings,
            attributes: self.attributes(s),
            limits: Limits {
                removals: Limit { percent: s.limits.removals_percent, number: s.limits.removals_number },
                additions: Limit { percent: s.limits.additions_percent, number: s.limits.additions_number },
                kinds: self.limits_of_kinds(s),
            },
            approvers: if s.limits.two_people { Approvers::Two } else { Approvers::One },
            protected,
            leavers: super::leavers::read(self, s),
            seats: super::seats::read(self, s),
        })
    }

    fn limits_of_kinds(&mut self, s: &Sections) -> BTreeMap<StepKind, Limit> {
        let mut kinds = BTreeMap::new();
        for (word, KindLimit { percent, number }) in &s.limits.kinds {
            match StepKind::from_word(word) {
                Some(kind) => {
                    kinds.insert(kind, Limit { percent: *percent, number: *number });
                }
                None => self.found(
                    &join("limits.kinds", word),
                    "is not a kind of step",
                    format!("known are {}", StepKind::ALL.map(StepKind::as_str).join(", ")),
                ),
            }
        }
        kinds
    }

    fn rewritings(&mut self, s: &Sections) -> Vec<Rewriting> {
        let mut rewritings = Vec::with_capacity(s.groups.rename.len());
        for (at, rename) in s.groups.rename.iter().enumerate() {
            match Rewriting::parse(&rename.pattern, &rename.with) {
                Ok(rewriting) => rewritings.push(rewriting),
                Err(e) => self.found(
                    &format!("groups.rename[{at}]"),
                    format!("cannot be used: {e}"),
                    "write it as pattern = '^GRP-(.+)$' and with = '$1'",
                ),
            }
        }
        rewritings
    }

    fn per_group<W: Copy, T: Copy>(
        &mut self,
        table: &str,
        settings: &BTreeMap<String, W>,
        meaning: fn(W) -> T,
    ) -> PerGroup<T> {
        let mut read = Vec::with_capacity(settings.len());
        for (group, word) in settings {
            match GroupSelector::parse(group) {
                Ok(selector) => read.push((selector, meaning(*word))),
                Err(e) => self.found(
                    &format!("groups.{table}.{group}"),
                    format!("cannot be used: {e}"),
                    "write an id, a name or a pattern with *",
                ),
            }
        }
        read.into_iter().collect()
    }

    fn users(&mut self, s: &Sections) -> Option<UserScope> {
        let key = "scope.assigned_to";
        match (s.scope.users, &s.scope.assigned_to) {
            (Users::Assigned, Some(text)) => match ApplicationId::parse(text.trim().to_lowercase()) {
                Ok(id) if id.as_str().chars().all(|c| c.is_ascii_alphanumeric() || c == '-') => {
                    Some(UserScope::Assigned(id))
                }
                _ => {
                    self.found(
                        key,
                        "is not an application id",
                        "write the application (client) id of the enterprise application, as Entra ID shows it",
                    );
                    None
                }
            },
            (Users::Assigned, None) => {
                self.found(
                    key,
                    "is missing",
                    "write assigned_to = \"…\" with the application (client) id of the enterprise application",
                );
                None
            }
            (Users::InGroups | Users::All, Some(_)) => {
                self.found(
                    key,
                    "only counts with users = \"assigned\"",
                    "write users = \"assigned\", or take it out",
                );
                None
            }
            (Users::InGroups, None) => Some(UserScope::InGroups),
            (Users::All, None) => Some(UserScope::All),
        }
    }

    fn filter(&mut self, s: &Sections) -> Option<Expr> {
        match Expr::condition(s.scope.filter.as_ref()?) {
            Ok(filter) => Some(filter),
            Err(e) => {
                self.found("scope.filter", format!("cannot be used: {e}"), e.remedy);
                None
            }
        }
    }

    fn bindings(&mut self, s: &Sections) -> Vec<Binding> {
        let mut bindings = Vec::with_capacity(s.groups.map.len());
        for (directory, site) in &s.groups.map {
            let key = format!("groups.map.{directory}");
            match GroupSelector::parse(directory) {
                Ok(selector) if selector.is_pattern() => {
                    self.found(&key, "is a pattern", "bind one directory group by its id or exact name");
                }
                Ok(_) if site.all().is_empty() => {
                    self.found(&key, "binds to nothing", "write the Jira group's name, or take the line out");
                }
                Ok(_) if site.all().iter().any(|name| site_name_problem(name).is_some()) => {
                    self.found(
                        &key,
                        "binds to a name that no Jira group can bear",
                        "write the Jira group's name",
                    );
                }
                Ok(directory) => {
                    let one = |name: &String| Binding {
                        directory: directory.clone(),
                        site: name.trim().to_owned(),
                    };
                    bindings.extend(site.all().iter().map(one));
                }
                Err(e) => {
                    self.found(&key, format!("cannot be used: {e}"), "write a directory group's id or name");
                }
            }
        }
        bindings
    }

    /// A Jira group has one reason to be filled: a second one would say nothing, or the contrary.
    fn default_groups(&mut self, s: &Sections, bindings: &[Binding]) -> DefaultGroups {
        let mut taken: BTreeMap<String, &str> =
            bindings.iter().map(|b| (group_name_key(&b.site), "groups.map")).collect();
        let mut read = |reader: &mut Self, key: &'static str, names: &[String]| {
            let mut groups = Vec::with_capacity(names.len());
            for (at, name) in names.iter().enumerate() {
                let place = format!("{key}[{at}]");
                if site_name_problem(name).is_some() {
                    reader.found(
                        &place,
                        "is a name that no Jira group can bear",
                        "write the Jira group's name",
                    );
                    continue;
                }
                match taken.insert(group_name_key(name), key) {
                    None => groups.push(name.trim().to_owned()),
                    Some(other) => reader.found(
                        &place,
                        format!("is named under {other} already"),
                        "keep it in one of the two places",
                    ),
                }
            }
            groups
        };
        DefaultGroups {
            everybody: read(self, "groups.default", &s.groups.default),
            newcomers: read(self, "groups.default_new", &s.groups.default_new),
        }
    }

    fn protected(&mut self, s: &Sections) -> Protected {
        let mut protected = Protected::default();
        for (at, text) in s.protected.accounts.iter().enumerate() {
            let key = format!("protected.accounts[{at}]");
            if text.contains('@') {
                match EmailAddress::parse(text) {
                    Ok(address) => drop(protected.addresses.insert(address.key())),
                    Err(e) => self.found(&key, format!("is {e}"), "write an account id or an e-mail address"),
                }
            } else {
                match AccountId::parse(text) {
                    Ok(id) => drop(protected.accounts.insert(id)),
                    Err(e) => self.found(
                        &key,
                        format!("cannot be used: {e}"),
                        "write an account id or an e-mail address",
                    ),
                }
            }
        }
        for text in &s.protected.groups {
            // A name may look like an id and an id like a name: protect what bears either
            if let Ok(id) = SiteGroupId::parse(text) {
                protected.groups.insert(id);
            }
            protected.group_names.insert(group_name_key(text));
        }
        protected
    }
}

fn mode(word: Mode) -> GroupMode {
    match word {
        Mode::Managed => GroupMode::Managed,
        Mode::Additive => GroupMode::Additive,
        Mode::Authoritative => GroupMode::Authoritative,
    }
}

fn nesting(word: Nesting) -> entrain_domain::policy::Nesting {
    match word {
        Nesting::Flatten => entrain_domain::policy::Nesting::Flatten,
        Nesting::Direct => entrain_domain::policy::Nesting::Direct,
    }
}
