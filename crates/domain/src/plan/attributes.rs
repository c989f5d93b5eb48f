//! Attributes that go to the site: what differs from what was last written, part by part of the account.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::guard::Before;
use super::matching::{self, Lookups, Match, Matches};
use super::planner::{Draft, PlanInput};
use super::reason::{Differing, Reason};
use super::step::{Action, MendedBy, SetAside, Update};
use crate::memory::{AppliedValues, Memory, MemoryChange};
use crate::model::{
    AccountId, DirectorySnapshot, DirectoryUser, EmailAddress, Profile, ProfileStanding, SiteSnapshot,
    Unread, UserKind,
};
use crate::policy::{Audience, Rules};

/// The accounts whose profile should change: whoever plans asks first whether it can be.
pub fn profiles_to_ask(
    directory: &DirectorySnapshot,
    site: &SiteSnapshot,
    rules: &Rules,
    memory: &Memory,
    lookups: &Lookups,
) -> Vec<AccountId> {
    if rules.attributes.profile.is_empty() {
        return Vec::new();
    }
    let matches = matching::match_people(&Audience::of(directory, rules), site, rules, memory, lookups);
    let mut accounts: Vec<AccountId> = matches
        .people
        .iter()
        .filter_map(|(ix, matched)| {
            let (user, account) = (directory.user_at(ix)?, matched.account()?);
            let applied = memory.applied_profile(account);
            let (wanted, _) = rules.attributes.profile(user, applied);
            let open = touchable(site, rules, user, account) && !differing(&wanted, applied).is_empty();
            open.then(|| account.clone())
        })
        .collect();
    accounts.sort_unstable();
    accounts
}

/// Neither the technical account nor a protected one.
fn touchable(site: &SiteSnapshot, rules: &Rules, user: &DirectoryUser, account: &AccountId) -> bool {
    let protected = &rules.protected;
    let shown = site.account(account).and_then(|account| account.email.as_ref().map(EmailAddress::key));
    let own = user.address().map(|address| address.key());
    *account != site.standing().own_account
        && !protected.accounts.contains(account)
        && ![shown, own].iter().flatten().any(|address| protected.addresses.contains(address))
}

/// The fields of a profile that are not as they were last written.
fn differing(wanted: &Profile, applied: Option<&Profile>) -> Profile {
    let known = |field| applied.and_then(|applied| applied.get(field));
    wanted
        .iter()
        .filter(|(field, value)| known(*field) != Some(*value))
        .map(|(f, v)| (*f, v.clone()))
        .collect()
}

/// Profiles that stay as they are, told by the domain of the address: one entry each, not one for each person.
#[derive(Debug, Default)]
struct Left {
    unmanaged: BTreeMap<String, usize>,
    guests: usize,
    synced: usize,
    unread: BTreeMap<(Arc<str>, Arc<str>), usize>,
}

fn accounts(number: usize) -> String {
    if number == 1 { "1 account".into() } else { format!("{number} accounts") }
}

impl Left {
    fn note(&mut self, user: &DirectoryUser, standing: &ProfileStanding) {
        match standing {
            ProfileStanding::Managed(_) => {}
            ProfileStanding::Synced => self.synced += 1,
            ProfileStanding::Unmanaged if user.kind == UserKind::Guest => self.guests += 1,
            ProfileStanding::Unmanaged => {
                let domain =
                    user.address().map(|a| a.key().rsplit('@').next().unwrap_or_default().to_owned());
                *self.unmanaged.entry(domain.unwrap_or_default()).or_default() += 1;
            }
            ProfileStanding::Unread(Unread { reason, remedy }) => {
                *self.unread.entry((reason.clone(), remedy.clone())).or_default() += 1;
            }
        }
    }

    fn tell(self, draft: &mut Draft<'_>) {
        for (domain, number) in self.unmanaged {
            draft.set_aside.push(SetAside {
                object: format!("profiles of {} of {domain}", accounts(number)),
                reason: "the accounts are not managed by the organization, so their profiles are the people's own; \
                         properties are written all the same"
                    .into(),
                remedy: format!(
                    "verify the domain {domain} at admin.atlassian.com (Settings, Domains) and claim its accounts, or \
                     take [attributes.profile] out"
                ), mended_by: MendedBy::Site });
        }
        for ((reason, remedy), number) in self.unread {
            draft.set_aside.push(SetAside {
                object: format!("profiles of {}", accounts(number)),
                reason: reason.to_string(),
                remedy: remedy.to_string(),
                mended_by: MendedBy::Itself,
            });
        }
        for (number, whose, why) in [
            (self.guests, "guests", "accounts of guests belong to other organizations"),
            (self.synced, "people", "their profiles come from an identity provider already"),
        ] {
            if number > 0 {
                draft.notes.push(SetAside {
                    object: format!("profiles of {} of {whose}", accounts(number)),
                    reason: format!("left as they are: {why}"),
                    remedy: "nothing".into(),
                    mended_by: MendedBy::Itself,
                });
            }
        }
    }
}

impl Draft<'_> {
    /// Attributes of everybody who has an account or is to be invited.
    pub(super) fn attributes(&mut self, matches: &Matches) {
        let PlanInput { directory, site, rules, .. } = *self.input;
        if rules.attributes.is_empty() {
            return;
        }
        let mut left = Left::default();
        for (ix, matched) in matches.people.iter() {
            let Some(user) = directory.user_at(ix) else { continue };
            let account = match matched {
                Match::Account(account) if touchable(site, rules, user, account) => Some(account),
                Match::Invite(_) => None,
                Match::Account(_) | Match::Parked => continue,
            };
            self.property(user, account);
            self.profile(user, account, &mut left);
        }
        left.tell(self);
    }

    fn property(&mut self, user: &DirectoryUser, account: Option<&AccountId>) {
        let PlanInput { rules, memory, .. } = *self.input;
        let Some(rule) = &rules.attributes.property else { return };
        let before = account.and_then(|account| memory.applied_property(account, &rule.key));
        let Some((values, problems)) = rules.attributes.property(user, before) else { return };
        self.unmapped(user, "property", &problems);
        // Where nothing was ever written, nothing needs not be written.
        if before.map_or(values.is_empty(), |before| *before == values) {
            return;
        }
        let update = Update::Property { key: rule.key.clone(), values, before: before.cloned() };
        self.update(user, account, update, if before.is_some() { Before::Once } else { Before::Never });
    }

    /// What cannot be computed, or does not fit; the other fields go on.
    fn unmapped(&mut self, user: &DirectoryUser, part: &str, problems: &[String]) {
        if !problems.is_empty() {
            self.set_aside.push(SetAside {
                object: matching::person_label(user),
                reason: format!("the {part} cannot be written as mapped: {}", problems.join("; ")),
                remedy: format!("mend the value in Entra ID, or the expression under [attributes.{part}]"),
                mended_by: MendedBy::Directory,
            });
        }
    }

    fn profile(&mut self, user: &DirectoryUser, account: Option<&AccountId>, left: &mut Left) {
        let PlanInput { site, rules, memory, .. } = *self.input;
        let applied = account.and_then(|account| memory.applied_profile(account));
        let (wanted, problems) = rules.attributes.profile(user, applied);
        self.unmapped(user, "profile", &problems);
        let mut set = differing(&wanted, applied);
        match account.map(|account| (account, site.profile(account))) {
            _ if set.is_empty() => return,
            // Nobody was asked: a plan of one side, or an account that this run has made.
            Some((_, None)) => return,
            Some((account, Some(ProfileStanding::Managed(shown)))) if applied.is_none() => {
                set.retain(|field, value| shown.get(field) != Some(value));
                if set.is_empty() {
                    self.records.push(MemoryChange::ApplyAttributes {
                        account: account.clone(),
                        values: AppliedValues::Profile { values: wanted },
                    });
                    return;
                }
            }
            Some((_, Some(ProfileStanding::Managed(_)))) => {}
            Some((_, Some(standing))) => return left.note(user, standing),
            None if user.kind == UserKind::Guest => return,
            None => {}
        }
        let before = set.keys().filter_map(|field| Some((*field, applied?.get(field)?.clone()))).collect();
        let often = if applied.is_some() { Before::Once } else { Before::Never };
        self.update(user, account, Update::Profile { set, before }, often);
    }

    fn update(&mut self, user: &DirectoryUser, account: Option<&AccountId>, update: Update, before: Before) {
        let Some(ix) = self.input.directory.user_ix(&user.id) else { return };
        let person = self.person(ix, user, account);
        let after = self.steps.user_step.get(ix).copied();
        let differing = Differing { fields: update.changed().join(", "), section: update.part(), before };
        let reason = Reason::Attributes(Box::new(differing));
        self.steps.push(Action::UpdateUser { person, update: Arc::new(update) }, reason, after, None);
    }
}
