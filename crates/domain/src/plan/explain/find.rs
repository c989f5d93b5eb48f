//! Whom, or which group, somebody means: an id or a name of either side.

use std::collections::{BTreeMap, BTreeSet};

use super::super::planner::PlanInput;
use crate::memory::Anchor;
use crate::model::{
    AccountId, DirectoryGroupId, DirectoryUser, DirectoryUserId, EmailAddress, SiteGroupId, group_name_key,
};

/// A person, as found on either side; at least one of the two is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The directory user.
    pub user: Option<DirectoryUserId>,
    /// The account, where the person was named by it or nothing else is known of them.
    pub account: Option<AccountId>,
}

/// A group, as found on either side; at least one of the two is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Which {
    /// The directory group.
    pub directory: Option<DirectoryGroupId>,
    /// The site group, where the group was named by it or the directory has no such group.
    pub site: Option<SiteGroupId>,
}

/// Why nobody, or no group, is meant for certain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// Nothing bears the name or id.
    #[error("neither the directory nor the site knows {kind} “{text}”")]
    Unknown {
        /// "a user" or "a group".
        kind: &'static str,
        /// What was asked for.
        text: String,
    },
    /// Several do.
    #[error("“{text}” may be any of {}: {}", .ids.len(), .ids.join(", "))]
    Several {
        /// What was asked for.
        text: String,
        /// The ids among which to choose.
        ids: Vec<String>,
    },
}

/// The person meant by an object id, user principal name, address or account id.
pub fn find_user(input: &PlanInput<'_>, text: &str) -> Result<Who, NotFound> {
    let PlanInput { directory, site, memory, .. } = *input;
    let text = text.trim();
    let by_user = |user: DirectoryUserId| {
        let account = memory.user(&user).map(|link| link.account.clone());
        Who { user: Some(user), account }
    };
    if let Ok(id) = DirectoryUserId::parse(text.to_ascii_lowercase())
        && (directory.user_ix(&id).is_some() || memory.user(&id).is_some())
    {
        return Ok(by_user(id));
    }
    if let Ok(id) = DirectoryUserId::parse(text)
        && (directory.user_ix(&id).is_some() || memory.user(&id).is_some())
    {
        return Ok(by_user(id));
    }
    if let Ok(id) = AccountId::parse(text)
        && (site.account(&id).is_some() || memory.user_of(&id).is_some())
    {
        return Ok(Who { user: memory.user_of(&id).cloned(), account: Some(id) });
    }
    // A principal name names one user; an address may be shared by several.
    let same = |name: &Option<std::sync::Arc<str>>| {
        name.as_ref().is_some_and(|name| name.trim().eq_ignore_ascii_case(text))
    };
    let named: Vec<&DirectoryUser> =
        directory.users().filter(|user| same(&user.user_principal_name)).collect();
    let users: Vec<&DirectoryUser> = if named.is_empty() {
        let address =
            |user: &DirectoryUser| user.address().is_some_and(|a| a.as_str().eq_ignore_ascii_case(text));
        directory.users().filter(|user| same(&user.mail) || address(user)).collect()
    } else {
        named
    };
    match users.as_slice() {
        [one] => return Ok(by_user(one.id.clone())),
        [] => {}
        several => return Err(among(text, several.iter().map(|user| user.id.to_string()))),
    }
    // Somebody who left: the address under which the link was made, then whoever shows it on the site.
    let mut left: Vec<Who> =
        memory.users().filter(|link| same(&link.address)).map(|link| by_user(link.user.clone())).collect();
    if left.is_empty()
        && let Ok(address) = EmailAddress::parse(text)
    {
        left = site
            .accounts_by_email(&address)
            .map(|account| Who {
                user: memory.user_of(&account.id).cloned(),
                account: Some(account.id.clone()),
            })
            .collect();
    }
    match left.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(NotFound::Unknown { kind: "a user", text: text.to_owned() }),
        several => Err(among(
            text,
            several.iter().filter_map(|who| {
                who.user
                    .as_ref()
                    .map(ToString::to_string)
                    .or_else(|| who.account.as_ref().map(ToString::to_string))
            }),
        )),
    }
}

/// The directory group that a site group stands for; of several that fill it, the first.
fn stands_for(input: &PlanInput<'_>, site_group: &SiteGroupId) -> Option<DirectoryGroupId> {
    let PlanInput { directory, memory, rules, .. } = *input;
    let name = match memory.anchor_of(site_group)? {
        Anchor::Directory(id) => return Some(id.clone()),
        Anchor::Named(name) => name.key(),
    };
    let bound = rules.bindings.iter().find(|binding| group_name_key(&binding.site) == name)?;
    let mut groups = directory.groups();
    groups.find(|g| bound.directory.selects(&g.id, &g.display_name)).map(|g| g.id.clone())
}

/// The group meant by an id or name of either side. Of several, one that takes part is meant.
pub fn find_group(input: &PlanInput<'_>, text: &str) -> Result<Which, NotFound> {
    let PlanInput { directory, site, memory, rules, .. } = *input;
    let text = text.trim();
    let linked = |id: &DirectoryGroupId| memory.group(id).map(|link| link.group.clone());
    let by_directory = |id: DirectoryGroupId| Which { site: linked(&id), directory: Some(id) };
    for spelling in [text.to_owned(), text.to_ascii_lowercase()] {
        if let Ok(id) = DirectoryGroupId::parse(&spelling)
            && (directory.group(&id).is_some() || directory.group_is_gone(&id) || memory.group(&id).is_some())
        {
            return Ok(by_directory(id));
        }
        if let Ok(id) = SiteGroupId::parse(&spelling)
            && (site.group(&id).is_some() || memory.anchor_of(&id).is_some())
        {
            return Ok(Which { directory: stands_for(input, &id), site: Some(id) });
        }
    }
    let folded = text.to_lowercase();
    let same = |name: &str| name.trim().to_lowercase() == folded;
    // By directory group, so that both names of one pair are one answer.
    let mut found: BTreeMap<DirectoryGroupId, Which> = BTreeMap::new();
    for group in directory.groups().filter(|group| same(&group.display_name)) {
        found.insert(group.id.clone(), by_directory(group.id.clone()));
    }
    let mut loose = BTreeSet::new();
    for group in site.groups_by_name(text) {
        match stands_for(input, &group.id) {
            Some(id) => {
                found.insert(id.clone(), Which { directory: Some(id), site: Some(group.id.clone()) });
            }
            None => {
                loose.insert(group.id.clone());
            }
        }
    }
    let takes_part = |which: &&Which| {
        which.directory.as_ref().is_some_and(|id| {
            directory.group(id).is_some_and(|group| rules.scope.selects(&group.id, &group.display_name))
        })
    };
    let all: Vec<&Which> = found.values().collect();
    let taking_part: Vec<&Which> = all.iter().copied().filter(takes_part).collect();
    match (taking_part.as_slice(), all.as_slice(), loose.len()) {
        ([one], ..) | ([], [one], _) => Ok((*one).clone()),
        ([], [], 1) => Ok(Which { directory: None, site: loose.pop_first() }),
        ([], [], 0) => Err(NotFound::Unknown { kind: "a group", text: text.to_owned() }),
        ([], [], _) => Err(among(text, loose.iter().map(ToString::to_string))),
        ([], several, _) | (several, ..) => {
            Err(among(text, several.iter().filter_map(|w| w.directory.as_ref()).map(ToString::to_string)))
        }
    }
}

fn among(text: &str, ids: impl Iterator<Item = String>) -> NotFound {
    NotFound::Several { text: text.to_owned(), ids: ids.collect() }
}
