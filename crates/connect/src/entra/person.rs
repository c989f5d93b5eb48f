//! One person by one request: the record, the groups they are a direct member of, and all groups they are in, as three
//! items of one `$batch` (microsoft-graph.md 4). Whatever part cannot be read fails the whole: half an answer about
//! memberships would look like memberships that have ended.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use entrain_domain::model::{
    DirectoryGroupId, DirectoryUser, DirectoryUserId, EmailAddress, GroupSeen, Peopled, PersonFound,
    PersonKey, PersonReading,
};
use entrain_domain::policy::Demand;
use entrain_domain::{Failure, FailureClass, FailureCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::graph::consent;
use super::members::{Lost, Step, group_url, part, run};
use super::paging::Turns;
use super::read::Entra;
use super::wire::{GROUP_SELECT, GroupWire, Page, Selection, UserWire};
use crate::Error;
use crate::http::{Answer, Target};

/// A part of what is asked about a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Record,
    Direct,
    All,
    /// Everybody who has the address.
    Address,
}

/// A group, or something else that people are members of, such as a role.
#[derive(Deserialize)]
struct HeldWire {
    #[serde(rename = "@odata.type", default)]
    kind: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(rename = "displayName", default)]
    name: Option<Arc<str>>,
}

/// What was gathered so far.
#[derive(Default)]
struct Gathered {
    record: Option<UserWire>,
    by_address: Vec<UserWire>,
    direct: Vec<(DirectoryGroupId, Arc<str>)>,
    all: Vec<(DirectoryGroupId, Arc<str>)>,
    turns: [Turns; 3],
    vanished: bool,
}

impl Gathered {
    /// Whether the list of direct groups and that of all of them can be true at once: everybody is in the groups that they
    /// are a direct member of, and nobody is in others without such a one. Where they cannot, one of them is cut short.
    fn agrees(&self) -> bool {
        let all: BTreeSet<&DirectoryGroupId> = self.all.iter().map(|(id, _)| id).collect();
        let known = self.direct.iter().all(|(id, _)| all.contains(id));
        known && self.direct.is_empty() == self.all.is_empty()
    }
}

impl Entra {
    /// One person with every group they are in: one request, and more only for further pages or where the person is
    /// named by an address that is no principal name.
    ///
    /// # Errors
    /// When any part cannot be read to its end, or the parts contradict each other. A user whom Graph does not know is no
    /// error.
    pub async fn person(&self, key: &PersonKey, demand: &Demand) -> Result<PersonReading, Error> {
        let selection = Selection::of(&demand.attributes);
        let mut gathered = self.gather(key, &selection).await?;
        if !gathered.agrees() {
            // One of the two lists may lag behind the other for a moment
            gathered = self.gather(key, &selection).await?;
        }
        if !gathered.agrees() {
            let what =
                "the groups of a user, and those that they are a direct member of, contradict each other";
            let name = match key {
                PersonKey::Id(id) => id.as_str(),
                PersonKey::Name(name) => name,
            };
            return Err(unusable(what, name));
        }
        let user = match (gathered.record, key) {
            (Some(_), PersonKey::Id(id)) if gathered.vanished => {
                return Err(unusable("a user is there, and what they are a member of is not", id.as_str()));
            }
            (Some(record), _) => record.into_user(None, &selection),
            (None, PersonKey::Id(id)) => return self.deleted(id).await,
            (None, PersonKey::Name(_)) => {
                let mut ids: Vec<DirectoryUserId> =
                    gathered.by_address.into_iter().map(|user| user.id).collect();
                ids.sort_unstable();
                ids.dedup();
                return match ids.as_slice() {
                    [] => Ok(PersonReading::Unknown),
                    [one] => Box::pin(self.person(&PersonKey::Id(one.clone()), demand)).await,
                    _ => Ok(PersonReading::Several(ids)),
                };
            }
        };
        if let PersonKey::Id(id) = key
            && user.id != *id
        {
            return Err(unusable("another user came back than was asked for", id.as_str()));
        }
        let direct = gathered.direct.into_iter().map(|(id, _)| id).collect();
        Ok(PersonReading::Found(Box::new(PersonFound { user, direct, groups: gathered.all })))
    }

    /// What became of a user whom the directory does not find: in the recycle bin, which proves that they were deleted, or
    /// nowhere, which proves nothing.
    async fn deleted(&self, id: &DirectoryUserId) -> Result<PersonReading, Error> {
        #[derive(Deserialize)]
        struct DeletedWire {
            id: DirectoryUserId,
        }
        let target = Target::new("/directory/deletedItems").segment(id.as_str()).query("$select", "id");
        let mut reading = PersonReading::Missing(id.clone());
        let take = |(): &(), answer: &Answer, body: Option<&RawValue>| {
            let deleted: DeletedWire = part(answer, body)?;
            if deleted.id != *id {
                return Err(answer.invalid("another object came back than was asked for"));
            }
            reading = PersonReading::Gone(id.clone());
            Ok(Step::Done)
        };
        let lose = |(): &(), why: Lost| match why {
            Lost::Denied | Lost::Vanished => Ok(()),
            Lost::Failed(status) => Err(not_read(status, id.as_str())),
        };
        run(&self.graph, [((), String::from(target))], take, |()| None, lose).await?;
        Ok(reading)
    }

    async fn gather(&self, key: &PersonKey, selection: &Selection) -> Result<Gathered, Error> {
        let name = match key {
            PersonKey::Id(id) => id.as_str(),
            PersonKey::Name(name) => name.as_str(),
        };
        let user = || Target::new("/users").segment(name);
        let held = |path| String::from(user().path(path).query("$select", GROUP_SELECT).query("$top", "999"));
        let mut items = vec![
            (Part::Record, String::from(user().query("$select", &selection.text))),
            (Part::Direct, held("/memberOf")),
            (Part::All, held("/transitiveMemberOf")),
        ];
        if matches!(key, PersonKey::Name(_)) {
            items.push((Part::Address, by_address(name, selection)));
        }
        let gathered = Mutex::new(Gathered::default());
        let lock = || gathered.lock().expect("nothing panics while it holds the lock");
        let graph = &self.graph;
        let take = |asked: &Part, answer: &Answer, body: Option<&RawValue>| {
            let mut gathered = lock();
            let (next, count) = match asked {
                Part::Record => {
                    let record: UserWire = part(answer, body)?;
                    if !record.says_whether_enabled() {
                        return Err(hidden(name));
                    }
                    gathered.record = Some(record);
                    return Ok(Step::Done);
                }
                Part::Address => {
                    let page: Page<UserWire> = part(answer, body)?;
                    let count = page.value.len();
                    gathered.by_address.extend(page.value);
                    (page.next, count)
                }
                Part::Direct | Part::All => {
                    let page: Page<HeldWire> = part(answer, body)?;
                    let count = page.value.len();
                    for held in page.value {
                        let kind =
                            held.kind.ok_or_else(|| answer.invalid("an object does not say what it is"))?;
                        // Roles and administrative units are nothing to a site
                        if kind.strip_prefix("#microsoft.graph.").unwrap_or(&kind) != "group" {
                            continue;
                        }
                        let id = held.id.and_then(|id| DirectoryGroupId::parse(id).ok());
                        let id = id.ok_or_else(|| answer.invalid("a group has no usable id"))?;
                        let group = (id, held.name.unwrap_or_default());
                        match asked {
                            Part::Direct => gathered.direct.push(group),
                            _ => gathered.all.push(group),
                        }
                    }
                    (page.next, count)
                }
            };
            let Some(link) = next else { return Ok(Step::Done) };
            let turns = match asked {
                Part::Direct => 0,
                Part::All => 1,
                Part::Record | Part::Address => 2,
            };
            gathered.turns[turns].next(&link, count).map_err(|reason| answer.invalid(reason))?;
            Ok(Step::More(graph.http.options().base.relative(&link, &answer.context)?))
        };
        let lose = |_: &Part, why: Lost| match why {
            Lost::Vanished => {
                lock().vanished = true;
                Ok(())
            }
            Lost::Denied => Err(Failure::new(
                FailureCode::DirectoryConsentMissing,
                FailureClass::Connection,
                "Graph refuses to show a user or their groups",
                consent("User.Read.All and GroupMember.Read.All"),
            )
            .of(name)
            .into()),
            Lost::Failed(status) => Err(not_read(status, name)),
        };
        run(graph, items, take, |_| None, lose).await?;
        let mut gathered = gathered.into_inner().expect("nothing panics while it holds the lock");
        // A user who vanished between the parts is gone; what the other parts said counts for nothing.
        if gathered.vanished && matches!(key, PersonKey::Name(_)) {
            gathered.record = None;
        }
        Ok(gathered)
    }

    /// Everybody who has this address as mail or principal name.
    ///
    /// # Errors
    /// When they cannot be read to the end.
    pub async fn people_of(
        &self,
        address: &EmailAddress,
        demand: &Demand,
    ) -> Result<Vec<DirectoryUser>, Error> {
        let selection = Selection::of(&demand.attributes);
        let mut people = Vec::new();
        let mut turns = Turns::default();
        let graph = &self.graph;
        let take = |(): &(), answer: &Answer, body: Option<&RawValue>| {
            let page: Page<UserWire> = part(answer, body)?;
            let count = page.value.len();
            people.extend(page.value.into_iter().map(|user| user.into_user(None, &selection)));
            let Some(link) = page.next else { return Ok(Step::Done) };
            turns.next(&link, count).map_err(|reason| answer.invalid(reason))?;
            Ok(Step::More(graph.http.options().base.relative(&link, &answer.context)?))
        };
        let lose = |(): &(), why: Lost| match why {
            Lost::Failed(status) => Err(not_read(status, address.as_str())),
            Lost::Denied | Lost::Vanished => Err(hidden(address.as_str())),
        };
        run(graph, [((), by_address(address.as_str(), &selection))], take, |()| None, lose).await?;
        Ok(people)
    }

    /// Looks at groups by themselves: whether they are there, and whether anything is a direct member of them.
    ///
    /// # Errors
    /// When it cannot be found out of any of them.
    pub async fn groups_seen(
        &self,
        groups: &[DirectoryGroupId],
    ) -> Result<Vec<(DirectoryGroupId, GroupSeen)>, Error> {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Asked {
            Group,
            Members,
        }
        let members = |id: &DirectoryGroupId| {
            let target = Target::new("/groups").segment(id.as_str()).path("/members");
            String::from(target.query("$select", "id").query("$top", "1"))
        };
        let items = groups.iter().flat_map(|id| {
            [((id.clone(), Asked::Group), group_url(id)), ((id.clone(), Asked::Members), members(id))]
        });
        let seen = Mutex::new(std::collections::BTreeMap::<DirectoryGroupId, (bool, bool)>::new());
        let lock = || seen.lock().expect("nothing panics while it holds the lock");
        let take = |(id, asked): &(DirectoryGroupId, Asked), answer: &Answer, body: Option<&RawValue>| {
            let mut seen = lock();
            let entry = seen.entry(id.clone()).or_default();
            match asked {
                Asked::Group => {
                    let group: GroupWire = part(answer, body)?;
                    if group.id != *id {
                        return Err(answer.invalid("another group came back than was asked for"));
                    }
                    entry.0 = true;
                }
                Asked::Members => {
                    let page: Page<&RawValue> = part(answer, body)?;
                    entry.1 = !page.value.is_empty() || page.next.is_some();
                }
            }
            Ok(Step::Done)
        };
        let lose = |(id, _): &(DirectoryGroupId, Asked), why: Lost| match why {
            Lost::Vanished => Ok(()),
            Lost::Denied => Err(Failure::new(
                FailureCode::DirectoryConsentMissing,
                FailureClass::Connection,
                "Graph refuses to show a group",
                consent("GroupMember.Read.All"),
            )
            .of(id.as_str())
            .into()),
            Lost::Failed(status) => Err(not_read(status, id.as_str())),
        };
        run(&self.graph, items, take, |_| None, lose).await?;
        let seen = seen.into_inner().expect("nothing panics while it holds the lock");
        let look = |id: &DirectoryGroupId| match seen.get(id) {
            Some((true, true)) => GroupSeen::There(Peopled::Yes),
            Some((true, false)) => GroupSeen::There(Peopled::No),
            Some((false, _)) | None => GroupSeen::Gone,
        };
        Ok(groups.iter().map(|id| (id.clone(), look(id))).collect())
    }
}

fn by_address(address: &str, selection: &Selection) -> String {
    // In a text of a filter a quote is written twice (OData).
    let text = address.replace('\'', "''");
    let filter = format!("mail eq '{text}' or userPrincipalName eq '{text}'");
    String::from(Target::new("/users").query("$filter", &filter).query("$select", &selection.text))
}

fn hidden(object: &str) -> Error {
    Failure::new(
        FailureCode::DirectoryPropertiesHidden,
        FailureClass::Connection,
        "Graph shows a user without saying whether the account is enabled",
        consent("User.Read.All"),
    )
    .of(object)
    .into()
}

fn not_read(status: u16, object: &str) -> Error {
    Failure::new(
        FailureCode::DirectoryUnavailable,
        FailureClass::Transient,
        format!("a user or their groups could not be read (status {status})"),
        "Run it again later",
    )
    .of(object)
    .into()
}

fn unusable(what: &str, object: &str) -> Error {
    Failure::new(FailureCode::DirectoryAnswerInvalid, FailureClass::Transient, what, "Run it again later")
        .of(object)
        .into()
}
