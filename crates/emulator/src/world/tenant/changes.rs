//! How the tenant changes. Each method keeps the indexes and the change log in step with the objects, refuses what the
//! cloud would refuse, and says why in words.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::{Change, Changed, EntraGroup, EntraUser, Member, Tenant};

/// Properties of a user that the log names, as Graph spells them. `id` stands for "created or restored".
const USER_PROPERTIES: &[&str] = &[
    "accountEnabled",
    "businessPhones",
    "companyName",
    "createdDateTime",
    "department",
    "displayName",
    "employeeId",
    "givenName",
    "jobTitle",
    "mail",
    "mailNickname",
    "manager",
    "mobilePhone",
    "officeLocation",
    "otherMails",
    "preferredLanguage",
    "surname",
    "usageLocation",
    "userPrincipalName",
    "userType",
];

/// How long a soft-deleted object can be restored.
const RECYCLE_DAYS: i64 = 30;

impl Tenant {
    /// Creates a user. Refused: an empty or known id, an empty or taken user principal name, an unknown manager.
    pub fn add_user(&mut self, mut user: EntraUser, at: Timestamp) -> Result<(), String> {
        if user.id.is_empty() {
            return Err("a user needs an id".into());
        }
        if self.users.contains_key(&user.id) || self.deleted_users.contains_key(&user.id) {
            return Err(format!("there is already a user with id {}", user.id));
        }
        self.check_name(&user, None)?;
        user.created_date_time.get_or_insert_with(|| stamp(at));
        self.user_names.insert(user.user_principal_name.to_lowercase(), user.id.clone());
        self.note(at, Changed::User { id: user.id.clone(), properties: vec!["id"] });
        self.users.insert(user.id.clone(), user);
        Ok(())
    }

    /// Changes properties of a user; `null` clears one. Refused: an unknown user, an unknown property, a wrong type, a
    /// change of the id, a taken user principal name, an unknown manager.
    pub fn update_user(&mut self, id: &str, patch: Map<String, Value>, at: Timestamp) -> Result<(), String> {
        let old = self.users.get(id).ok_or_else(|| format!("there is no user {id}"))?;
        let before = serde_json::to_value(old).map_err(|e| e.to_string())?;
        let Value::Object(mut fields) = before.clone() else {
            return Err(format!("user {id} does not serialise to an object"));
        };
        for (key, value) in patch {
            if key == "id" && value != before["id"] {
                return Err(format!("the id of user {id} never changes"));
            }
            fields.insert(key, value);
        }
        let user: EntraUser =
            serde_json::from_value(Value::Object(fields.clone())).map_err(|e| format!("user {id}: {e}"))?;
        self.check_name(&user, Some(id))?;
        let properties: Vec<&'static str> =
            USER_PROPERTIES.iter().copied().filter(|name| before.get(*name) != fields.get(*name)).collect();
        if properties.is_empty() {
            return Ok(());
        }
        let old_name = before["userPrincipalName"].as_str().unwrap_or_default().to_lowercase();
        self.user_names.remove(&old_name);
        self.user_names.insert(user.user_principal_name.to_lowercase(), id.to_owned());
        self.users.insert(id.to_owned(), user);
        self.note(at, Changed::User { id: id.to_owned(), properties });
        Ok(())
    }

    /// Moves a user to the recycle bin. He keeps his links, and no group changes.
    pub fn soft_delete_user(&mut self, id: &str, at: Timestamp) -> Result<(), String> {
        let user = self.users.remove(id).ok_or_else(|| format!("there is no user {id}"))?;
        self.user_names.remove(&user.user_principal_name.to_lowercase());
        self.deleted_users.insert(id.to_owned(), (user, at));
        self.note(at, Changed::UserRemoved { id: id.to_owned(), reason: "changed" });
        Ok(())
    }

    /// Brings a user back from the recycle bin, with his links. Refused after 30 days, and when his name is taken.
    pub fn restore_user(&mut self, id: &str, at: Timestamp) -> Result<(), String> {
        let (user, deleted) =
            self.deleted_users.get(id).ok_or_else(|| format!("there is no deleted user {id}"))?;
        in_time(*deleted, at).map_err(|e| format!("user {id} {e}"))?;
        if self.user_names.contains_key(&user.user_principal_name.to_lowercase()) {
            return Err(format!("the user principal name {} is taken meanwhile", user.user_principal_name));
        }
        if let Some((user, _)) = self.deleted_users.remove(id) {
            self.user_names.insert(user.user_principal_name.to_lowercase(), id.to_owned());
            self.users.insert(id.to_owned(), user);
            self.note(at, Changed::User { id: id.to_owned(), properties: vec!["id"] });
        }
        Ok(())
    }

    /// Deletes a user for good, with his links. The groups stay silent about it.
    pub fn purge_user(&mut self, id: &str, at: Timestamp) -> Result<(), String> {
        if self.users.contains_key(id) {
            self.soft_delete_user(id, at)?;
        }
        if self.deleted_users.remove(id).is_none() {
            return Err(format!("there is no user {id}, deleted or not"));
        }
        let member = Member::User(id.to_owned());
        for group in self.parents.remove(id).unwrap_or_default() {
            if let Some(group) = self.groups.get_mut(&group) {
                group.members.remove(&member);
            } else if let Some((group, _)) = self.deleted_groups.get_mut(&group) {
                group.members.remove(&member);
            }
        }
        for user in self.users.values_mut().filter(|user| user.manager.as_deref() == Some(id)) {
            user.manager = None;
        }
        self.note(at, Changed::UserRemoved { id: id.to_owned(), reason: "deleted" });
        Ok(())
    }

    /// Creates a group. Refused: an empty or known id, a Microsoft 365 group that holds groups.
    pub fn add_group(&mut self, mut group: EntraGroup, at: Timestamp) -> Result<(), String> {
        if group.id.is_empty() {
            return Err("a group needs an id".into());
        }
        if self.groups.contains_key(&group.id) || self.deleted_groups.contains_key(&group.id) {
            return Err(format!("there is already a group with id {}", group.id));
        }
        if group.is_unified() && group.members.iter().any(|m| matches!(m, Member::Group(_))) {
            return Err(format!("{} is a Microsoft 365 group: it cannot hold groups", group.id));
        }
        group.created_date_time.get_or_insert_with(|| stamp(at));
        self.note(at, Changed::Group { id: group.id.clone(), properties: vec!["id"] });
        for member in &group.members {
            self.parents.entry(member.id().to_owned()).or_default().insert(group.id.clone());
            self.log.push(Change {
                seq: self.log.last().map_or(1, |last| last.seq + 1),
                at,
                what: Changed::MemberAdded { group: group.id.clone(), member: member.clone() },
            });
        }
        self.groups.insert(group.id.clone(), group);
        Ok(())
    }

    /// Renames a group. Names need not be unique.
    pub fn rename_group(&mut self, id: &str, name: &str, at: Timestamp) -> Result<(), String> {
        if name.is_empty() || name.chars().count() > 256 {
            return Err("the name of a group has 1 to 256 characters".into());
        }
        let group = self.groups.get_mut(id).ok_or_else(|| format!("there is no group {id}"))?;
        if group.display_name.as_deref() == Some(name) {
            return Ok(());
        }
        group.display_name = Some(name.to_owned());
        self.note(at, Changed::Group { id: id.to_owned(), properties: vec!["displayName"] });
        Ok(())
    }

    /// Moves a group to the recycle bin; its links come back when it is restored.
    pub fn delete_group(&mut self, id: &str, at: Timestamp) -> Result<(), String> {
        let group = self.groups.remove(id).ok_or_else(|| format!("there is no group {id}"))?;
        self.deleted_groups.insert(id.to_owned(), (group, at));
        self.note(at, Changed::GroupRemoved { id: id.to_owned(), reason: "changed" });
        Ok(())
    }

    /// Brings a group back within 30 days; it appears as if it were new, with its members.
    pub fn restore_group(&mut self, id: &str, at: Timestamp) -> Result<(), String> {
        let (_, deleted) =
            self.deleted_groups.get(id).ok_or_else(|| format!("there is no deleted group {id}"))?;
        in_time(*deleted, at).map_err(|e| format!("group {id} {e}"))?;
        if let Some((group, _)) = self.deleted_groups.remove(id) {
            self.note(at, Changed::Group { id: id.to_owned(), properties: vec!["id"] });
            for member in group.members.clone() {
                self.note(at, Changed::MemberAdded { group: id.to_owned(), member });
            }
            self.groups.insert(id.to_owned(), group);
        }
        Ok(())
    }

    /// Adds a direct member. Refused: unknown group or member, a second time, a group into itself, a group into a
    /// Microsoft 365 group.
    pub fn add_member(&mut self, group: &str, member: Member, at: Timestamp) -> Result<(), String> {
        let known = match &member {
            Member::User(id) => self.users.contains_key(id),
            Member::Group(id) => self.groups.contains_key(id),
            Member::Device(_) => true,
            Member::ServicePrincipal(id) => self.applications.values().any(|app| app.object_id == *id),
        };
        if !known {
            return Err(format!("there is no object {} to add to group {group}", member.id()));
        }
        let target = self.groups.get_mut(group).ok_or_else(|| format!("there is no group {group}"))?;
        if member == Member::Group(group.to_owned()) {
            return Err(format!("group {group} cannot hold itself"));
        }
        if target.is_unified() && matches!(member, Member::Group(_)) {
            return Err(format!("{group} is a Microsoft 365 group: it cannot hold groups"));
        }
        if !target.members.insert(member.clone()) {
            return Err(format!("{} is already a member of group {group}", member.id()));
        }
        self.parents.entry(member.id().to_owned()).or_default().insert(group.to_owned());
        self.note(at, Changed::MemberAdded { group: group.to_owned(), member });
        Ok(())
    }

    /// Removes a direct member. Refused when the group or the link is not there.
    pub fn remove_member(&mut self, group: &str, member: &Member, at: Timestamp) -> Result<(), String> {
        let target = self.groups.get_mut(group).ok_or_else(|| format!("there is no group {group}"))?;
        if !target.members.remove(member) {
            return Err(format!("{} is not a member of group {group}", member.id()));
        }
        if let Some(parents) = self.parents.get_mut(member.id()) {
            parents.remove(group);
        }
        self.note(at, Changed::MemberRemoved { group: group.to_owned(), member: member.clone() });
        Ok(())
    }

    /// The position of the newest change, 0 before the first.
    pub fn head(&self) -> u64 {
        self.log.last().map_or(0, |change| change.seq)
    }

    /// The changes after position `from` up to and with `to`.
    pub fn changes(&self, from: u64, to: u64) -> &[Change] {
        let start = self.log.partition_point(|change| change.seq <= from);
        let end = self.log.partition_point(|change| change.seq <= to);
        self.log.get(start..end).unwrap_or_default()
    }

    /// The position of the newest change made at `at` or before.
    pub fn head_at(&self, at: Timestamp) -> u64 {
        let end = self.log.iter().rposition(|change| change.at <= at).map_or(0, |last| last + 1);
        end.checked_sub(1).and_then(|last| self.log.get(last)).map_or(0, |change| change.seq)
    }

    /// A live user by id or user principal name.
    pub fn user(&self, key: &str) -> Option<&EntraUser> {
        self.users.get(key).or_else(|| {
            let lower = key.to_lowercase();
            self.users.get(&lower).or_else(|| self.users.get(self.user_names.get(&lower)?))
        })
    }

    /// All members below a group, each once, the nested groups included; cycles end.
    pub fn transitive_members(&self, group: &str) -> BTreeSet<&Member> {
        let mut found = BTreeSet::new();
        let mut todo: Vec<&EntraGroup> = self.groups.get(group).into_iter().collect();
        while let Some(next) = todo.pop() {
            for member in &next.members {
                if found.insert(member)
                    && let Member::Group(id) = member
                {
                    todo.extend(self.groups.get(id));
                }
            }
        }
        found
    }

    /// The live groups above an object, direct ones only or all of them.
    pub fn groups_of(&self, id: &str, reach: Reach) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut todo = vec![id.to_owned()];
        while let Some(next) = todo.pop() {
            for parent in self.parents.get(&next).into_iter().flatten() {
                if self.groups.contains_key(parent)
                    && found.insert(parent.clone())
                    && reach == Reach::Transitive
                {
                    todo.push(parent.clone());
                }
            }
        }
        found
    }

    fn check_name(&self, user: &EntraUser, id: Option<&str>) -> Result<(), String> {
        let name = &user.user_principal_name;
        if name.is_empty() {
            return Err(format!("user {} needs a userPrincipalName", user.id));
        }
        if let Some(holder) = self.user_names.get(&name.to_lowercase())
            && Some(holder.as_str()) != id
        {
            return Err(format!("the user principal name {name} belongs to user {holder}"));
        }
        match &user.manager {
            Some(manager) if !self.users.contains_key(manager) => {
                Err(format!("the manager {manager} of user {} does not exist", user.id))
            }
            _ => Ok(()),
        }
    }

    fn note(&mut self, at: Timestamp, what: Changed) {
        self.log.push(Change { seq: self.head() + 1, at, what });
    }
}

/// How far a membership question goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Direct links only.
    Direct,
    /// Through nested groups.
    Transitive,
}

impl EntraGroup {
    /// Whether it is a Microsoft 365 group.
    pub fn is_unified(&self) -> bool {
        self.group_types.iter().any(|kind| kind == "Unified")
    }
}

fn in_time(deleted: Timestamp, at: Timestamp) -> Result<(), String> {
    if at.duration_since(deleted) > SignedDuration::from_hours(24 * RECYCLE_DAYS) {
        return Err(format!("was deleted more than {RECYCLE_DAYS} days ago and cannot be restored"));
    }
    Ok(())
}

fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
