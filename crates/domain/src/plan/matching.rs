//! Who is who: a directory user's account, found by link, else by address, else by a careful look-up. Several
//! candidates are never guessed, and an account that belongs to one person is never handed to another.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::by_user::ByUser;
use super::step::{MendedBy, SetAside};
use crate::memory::{Memory, MemoryChange, Origin, UserLink};
use crate::model::{
    Account, AccountActivity, AccountId, AccountKind, DirectorySnapshot, DirectoryUser, DirectoryUserId,
    EmailAddress, SiteSnapshot, Unread, UserIx, folded_name,
};
use crate::policy::{Audience, Rules};

/// What a search said about an address that no visible account shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// No account, as far as the search sees.
    Nobody,
    /// Exactly one account that may be taken: a person, whose shown address agrees or is hidden and whose name fits.
    One(AccountId),
    /// Something was found that must not be taken; the sentence says why.
    Unsure(String),
    /// The search could not be made; why, and what to do about it.
    Failed(Unread),
}

/// Who is asked for the account behind an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupBy {
    /// The site's search: one request for each address, active accounts only, and a hidden address needs the name.
    Site,
    /// The organization: exact, many addresses in one request, and hidden addresses show.
    Organization,
}

/// Look-ups by directory user.
pub type Lookups = HashMap<DirectoryUserId, Lookup>;

/// What a directory user is on the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Match {
    /// This account.
    Account(AccountId),
    /// Nobody yet; to be invited under this address.
    Invite(EmailAddress),
    /// Set aside, or not to be created.
    Parked,
}

impl Match {
    /// The account, when there is one.
    pub(super) fn account(&self) -> Option<&AccountId> {
        match self {
            Self::Account(account) => Some(account),
            Self::Invite(_) | Self::Parked => None,
        }
    }
}

/// People with their matches: in the order of ids, and found by their index without a comparison, for each of their
/// memberships asks.
#[derive(Debug)]
pub(super) struct People {
    sorted: Vec<UserIx>,
    matched: ByUser<Match>,
}

impl People {
    fn of(directory: &DirectorySnapshot, people: usize) -> Self {
        Self { sorted: Vec::with_capacity(people), matched: ByUser::of(directory) }
    }

    /// The next person, in the order of ids.
    fn push(&mut self, user: UserIx, matched: Match) {
        self.matched.put(user, matched);
        self.sorted.push(user);
    }

    /// What somebody is on the site; `None` for those who take no part.
    pub(super) fn get(&self, user: UserIx) -> Option<&Match> {
        self.matched.get(user)
    }

    /// All of them, in the order of ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (UserIx, &Match)> {
        self.sorted.iter().filter_map(|user| Some((*user, self.matched.get(*user)?)))
    }

    /// Whether somebody is to be invited.
    pub(super) fn has_newcomers(&self) -> bool {
        self.iter().any(|(_, matched)| matches!(matched, Match::Invite(_)))
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }
}

/// Everybody in scope, matched.
#[derive(Debug)]
pub(super) struct Matches {
    pub(super) people: People,
    pub(super) records: Vec<MemoryChange>,
    pub(super) set_aside: Vec<SetAside>,
}

/// The people whose account may hide behind a hidden address: in scope, not linked, no account shows their address,
/// and there is an account with a hidden address that nobody is linked to. For the site's search it has to be active
/// and bear their name, or what stands in for it before the first sign-in; the organization needs neither. Everybody
/// else needs no look-up (atlassian-cloud.md 2, matching order).
pub fn accounts_to_look_up(
    directory: &DirectorySnapshot,
    site: &SiteSnapshot,
    rules: &Rules,
    memory: &Memory,
    by: LookupBy,
) -> Vec<(DirectoryUserId, EmailAddress)> {
    let hidden: HashSet<String> = site
        .accounts()
        .iter()
        .filter(|a| {
            let found = by == LookupBy::Organization || a.activity == AccountActivity::Active;
            a.kind == AccountKind::Person && a.email.is_none() && found
        })
        .filter(|a| memory.user_of(&a.id).is_none())
        .map(|a| folded_name(&a.display_name))
        .filter(|name| by == LookupBy::Organization || !name.is_empty())
        .collect();
    if hidden.is_empty() {
        return Vec::new();
    }
    let mut people: Vec<_> = Audience::of(directory, rules)
        .people()
        .into_iter()
        .filter(|user| known_account(user, site, memory).is_none())
        .filter_map(|user| {
            let address = user.address()?;
            let may_hide = by == LookupBy::Organization
                || user
                    .display_name
                    .iter()
                    .map(|name| &**name)
                    .chain(address.stand_ins())
                    .any(|name| hidden.contains(&folded_name(name)));
            may_hide.then(|| (user.id.clone(), address))
        })
        .filter(|(_, address)| visible(site, address).is_empty())
        .collect();
    people.sort_by(|(a, _), (b, _)| a.cmp(b));
    people
}

fn known_account<'a>(user: &DirectoryUser, site: &'a SiteSnapshot, memory: &Memory) -> Option<&'a Account> {
    memory.user(&user.id).and_then(|link| site.account(&link.account))
}

/// Whether Entrain took the person off the site: the roll may go on showing the account, and only an invitation brings
/// it back (atlassian-cloud.md 4.1).
fn was_removed(user: &DirectoryUser, account: &Account, memory: &Memory) -> bool {
    account.activity == AccountActivity::Inactive
        && memory
            .on_ladder(&user.id)
            .is_some_and(|place| place.account == account.id && place.took(crate::policy::Measure::Remove))
}

fn visible<'a>(site: &'a SiteSnapshot, address: &EmailAddress) -> Vec<&'a Account> {
    site.accounts_by_email(address).filter(|a| a.kind == AccountKind::Person).collect()
}

pub(super) fn match_people(
    audience: &Audience<'_>,
    site: &SiteSnapshot,
    rules: &Rules,
    memory: &Memory,
    lookups: &Lookups,
) -> Matches {
    let people = audience.people();
    let directory = audience.directory();
    let room = People::of(directory, people.len());
    let mut out = Matches { people: room, records: Vec::new(), set_aside: Vec::new() };
    // Addresses and accounts that two people would share go to the linked one, else to neither.
    let mut by_address: HashMap<EmailAddress, u32> = HashMap::with_capacity(people.len());
    // Whoever may take part counts: the account may be theirs.
    for user in people.iter().chain(&audience.unsure()) {
        if let Some(address) = user.address() {
            *by_address.entry(address).or_default() += 1;
        }
    }
    let mut found: Vec<(&DirectoryUser, Result<Match, Box<SetAside>>)> = Vec::with_capacity(people.len());
    for user in people.iter().copied() {
        let outcome =
            match known_account(user, site, memory).filter(|account| !was_removed(user, account, memory)) {
                Some(account) => Ok(Match::Account(account.id.clone())),
                None => match_by_address(user, site, rules, memory, lookups, &by_address),
            };
        found.push((user, outcome.map_err(Box::new)));
    }
    let mut holders: HashMap<AccountId, usize> = HashMap::new();
    for (_, outcome) in &found {
        if let Ok(Match::Account(account)) = outcome {
            *holders.entry(account.clone()).or_default() += 1;
        }
    }
    for (user, outcome) in found {
        let linked = memory.user(&user.id);
        let outcome = match outcome {
            Ok(Match::Account(account))
                if holders[&account] > 1 && linked.is_none_or(|link| link.account != account) =>
            {
                Err(aside(
                    user,
                    format!("another person in the directory has the account {account} too"),
                    "give each of the two an address of their own in Entra ID",
                    MendedBy::Directory,
                ))
            }
            other => other.map_err(|aside| *aside),
        };
        let matched = match outcome {
            Ok(matched) => {
                if let Match::Account(account) = &matched {
                    remember(user, account, linked, &mut out.records);
                }
                matched
            }
            Err(aside) => {
                out.set_aside.push(aside);
                Match::Parked
            }
        };
        if let Some(ix) = directory.user_ix(&user.id) {
            out.people.push(ix, matched);
        }
    }
    out
}

fn match_by_address(
    user: &DirectoryUser,
    site: &SiteSnapshot,
    rules: &Rules,
    memory: &Memory,
    lookups: &Lookups,
    by_address: &HashMap<EmailAddress, u32>,
) -> Result<Match, SetAside> {
    let Some(address) = user.address() else {
        return Err(aside(
            user,
            "the directory has no usable e-mail address for this person".into(),
            "set the mail attribute in Entra ID (for guests: mail or otherMails)",
            MendedBy::Directory,
        ));
    };
    let sharing = by_address.get(&address).copied().unwrap_or_default();
    if sharing > 1 {
        return Err(aside(
            user,
            format!("{sharing} people in the directory share the address {address}"),
            "give each an address of their own in Entra ID",
            MendedBy::Directory,
        ));
    }
    // The removed account may still show the address; it is the one that the invitation brings back.
    let removed = |account: &Account| was_removed(user, account, memory);
    let shown: Vec<&Account> = visible(site, &address).into_iter().filter(|a| !removed(a)).collect();
    let matched = match shown.as_slice() {
        [] => match lookups.get(&user.id) {
            Some(Lookup::One(account)) => Some(account.clone()),
            Some(Lookup::Unsure(why)) => {
                return Err(aside(
                    user,
                    why.clone(),
                    "compare the two accounts on the site and remove or rename the wrong one",
                    MendedBy::Site,
                ));
            }
            Some(Lookup::Failed(why)) => {
                return Err(aside(user, why.reason.to_string(), &why.remedy, MendedBy::Itself));
            }
            Some(Lookup::Nobody) | None => None,
        },
        [one] => Some(one.id.clone()),
        several => {
            return Err(aside(
                user,
                format!("{} accounts on the site show the address {address}", several.len()),
                "keep one of them on the site and remove the others",
                MendedBy::Site,
            ));
        }
    };
    match matched {
        Some(account) => match memory.user_of(&account).filter(|owner| **owner != user.id) {
            Some(owner) => Err(aside(
                user,
                format!("the account of {address} is linked to another directory user ({owner})"),
                "an address that passed from one person to another is never handed on by itself: give the new person \
                 another address, or remove the old account from the site",
                MendedBy::Site,
            )),
            None => Ok(Match::Account(account)),
        },
        None if rules.import_users == crate::policy::Import::Report => Err(aside(
            user,
            format!("the site has no account of {address}, and import_users is off"),
            "invite the person on the site, or switch import_users on",
            MendedBy::Site,
        )),
        None => Ok(Match::Invite(address)),
    }
}

fn remember(
    user: &DirectoryUser,
    account: &AccountId,
    linked: Option<&UserLink>,
    records: &mut Vec<MemoryChange>,
) {
    let address: Option<Arc<str>> = user.address().map(EmailAddress::into_text);
    let link = match linked {
        Some(link) if link.account == *account => {
            if link.address == address {
                return;
            }
            UserLink { address, ..link.clone() }
        }
        _ => UserLink { user: user.id.clone(), account: account.clone(), address, origin: Origin::Found },
    };
    records.push(MemoryChange::LinkUser(link));
}

fn aside(user: &DirectoryUser, reason: String, remedy: &str, mended_by: MendedBy) -> SetAside {
    SetAside { object: person_label(user), reason, remedy: remedy.to_owned(), mended_by }
}

/// `1 person`, `2 people`.
pub(super) fn people(number: usize) -> String {
    if number == 1 { "1 person".into() } else { format!("{number} people") }
}

pub(super) fn person_label(user: &DirectoryUser) -> String {
    match user.address() {
        Some(address) => format!("user “{}” <{address}> ({})", user.label(), user.id),
        None => format!("user “{}” ({})", user.label(), user.id),
    }
}
