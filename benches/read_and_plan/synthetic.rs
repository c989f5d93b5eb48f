//! Companies made without clouds, for the planner alone: every person in three groups, a group in a tenth nesting the next.

use std::sync::Arc;

use entrain_domain::memory::{GroupLink, Memory, Origin, UserLink};
use entrain_domain::model::{
    Account, AccountActivity, AccountId, AccountKind, AccountState, Coverage, DirectoryGroupId,
    DirectoryReading, DirectorySnapshot, DirectoryUser, DirectoryUserId, EmailAddress, MemberRef, SiteGroup,
    SiteGroupId, SiteMembers, SiteSnapshot, SiteStanding, UserKind,
};
use serde::Deserialize;

use super::Fallible;

/// What a plan finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Change {
    /// An empty site.
    First,
    /// Both sides agree.
    None,
    /// Both sides agreed, and then every tenth person was disabled.
    Leavers,
}

/// Both sides and what is remembered of them.
pub(crate) struct World {
    pub(crate) directory: DirectorySnapshot,
    pub(crate) site: SiteSnapshot,
    pub(crate) memory: Memory,
}

pub(crate) fn world(people: usize, groups: usize, change: Change) -> Fallible<World> {
    let directory = directory(people, groups, change)?;
    let mut memory = Memory::new();
    let own = account(people)?;
    let standing = SiteStanding {
        own_account: own.id.clone(),
        products: Vec::new(),
        administrative_groups: std::collections::BTreeSet::new(),
        site_admin: Some(true),
        administer: Some(true),
        browse_users: Some(true),
    };
    if change == Change::First {
        return Ok(World { directory, site: SiteSnapshot::new(standing, vec![own], Vec::new()), memory });
    }
    let mut accounts = (0..people).map(account).collect::<Fallible<Vec<_>>>()?;
    accounts.push(own);
    let site_groups = (0..groups).map(site_group).collect::<Fallible<Vec<_>>>()?;
    for (n, account) in accounts[..people].iter().enumerate() {
        memory.link_user(UserLink {
            user: user_id(n)?,
            account: account.id.clone(),
            address: account.email.as_ref().map(|email| Arc::from(email.as_str())),
            origin: Origin::Created,
        });
    }
    let mut site = SiteSnapshot::new(standing, accounts, site_groups.clone());
    for (n, group) in site_groups.into_iter().enumerate() {
        memory.link_group(GroupLink {
            anchor: group_id(n)?.into(),
            group: group.id.clone(),
            name: group.name,
            origin: Origin::Created,
        });
        let mut members = Vec::new();
        for m in below(n, people, groups) {
            let account = site.accounts()[m].id.clone();
            memory.own_membership(&group.id, &account, Origin::Created);
            members.push(account);
        }
        site.put_members(group.id, SiteMembers::Complete(members));
    }
    Ok(World { directory, site, memory })
}

fn directory(people: usize, groups: usize, change: Change) -> Fallible<DirectorySnapshot> {
    let mut reading = DirectoryReading::new();
    for n in 0..people {
        let leaver = change == Change::Leavers && n % 10 == 0;
        let mail: Arc<str> = Arc::from(mail(n));
        reading.put_user(DirectoryUser {
            id: user_id(n)?,
            display_name: Some(Arc::from(format!("Person Number {n}"))),
            mail: Some(mail.clone()),
            user_principal_name: Some(mail),
            other_mail: None,
            account: if leaver { AccountState::Disabled } else { AccountState::Enabled },
            kind: UserKind::Member,
            attributes: entrain_domain::model::Attributes::NONE,
        });
    }
    for n in 0..groups {
        reading.put_group(&group_id(n)?, &format!("Group {n}"));
        let mut members = Vec::new();
        for m in direct(n, people, groups) {
            members.push(MemberRef::User(user_id(m)?));
        }
        if let Some(nested) = nested(n, groups) {
            members.push(MemberRef::Group(group_id(nested)?));
        }
        reading.set_members(&group_id(n)?, members);
    }
    Ok(reading.finish(Coverage::Complete, Coverage::Complete))
}

/// The people directly in a group: three times as many as there are people per group.
fn direct(group: usize, people: usize, groups: usize) -> impl Iterator<Item = usize> {
    let share = people / groups;
    (0..3 * share).map(move |m| (group * share + m * 7) % people)
}

/// The group that a group nests, if it nests one.
fn nested(group: usize, groups: usize) -> Option<usize> {
    group.is_multiple_of(10).then(|| (group + 1) % groups)
}

fn below(group: usize, people: usize, groups: usize) -> impl Iterator<Item = usize> {
    let nested = nested(group, groups).map(|nested| direct(nested, people, groups));
    direct(group, people, groups).chain(nested.into_iter().flatten())
}

fn mail(n: usize) -> String {
    format!("person{n}@acme.example")
}

fn user_id(n: usize) -> Fallible<DirectoryUserId> {
    Ok(DirectoryUserId::parse(format!("00000000-0000-4000-8000-{n:012}"))?)
}

fn group_id(n: usize) -> Fallible<DirectoryGroupId> {
    Ok(DirectoryGroupId::parse(format!("11111111-0000-4000-8000-{n:012}"))?)
}

fn account(n: usize) -> Fallible<Account> {
    Ok(Account {
        id: AccountId::parse(format!("712020:00000000-0000-4000-8000-{n:012}"))?,
        email: Some(EmailAddress::parse(&mail(n))?),
        display_name: Arc::from(format!("Person Number {n}")),
        activity: AccountActivity::Active,
        kind: AccountKind::Person,
    })
}

fn site_group(n: usize) -> Fallible<SiteGroup> {
    let id = SiteGroupId::parse(format!("22222222-0000-4000-8000-{n:012}"))?;
    Ok(SiteGroup { id, name: Arc::from(format!("Group {n}")) })
}
