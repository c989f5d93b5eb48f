//! What Graph sends, as far as it is read: small structs that own nothing but what is kept.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use entrain_domain::model::{
    AccountState, AttributeValue, DirectoryGroupId, DirectoryUser, DirectoryUserId, FURTHER_PROPERTIES, Gone,
    MemberRef, UserKind, further_attribute,
};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// What is asked of every user.
const USER_SELECT: &str = "id,displayName,mail,userPrincipalName,otherMails,accountEnabled,userType";
/// What is asked of groups.
pub(super) const GROUP_SELECT: &str = "id,displayName";
/// What is tracked of groups.
pub(super) const GROUP_DELTA_SELECT: &str = "displayName,members";

/// One page of anything. `value` is compulsory: a page without it is no page (N-06).
#[derive(Deserialize)]
pub(super) struct Page<T> {
    pub(super) value: Vec<T>,
    #[serde(rename = "@odata.nextLink", default)]
    pub(super) next: Option<String>,
    #[serde(rename = "@odata.deltaLink", default)]
    pub(super) delta: Option<String>,
}

/// Absent (`None`), null (`Some(None)`) or there: in a delta round these differ.
type Field<T> = Option<Option<T>>;

fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Field<T>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Which properties of users are asked for, everywhere alike: lists, delta rounds, members, single look-ups. In delta
/// rounds this also says which changes come (microsoft-graph.md 5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selection {
    /// The value of `$select`.
    pub(super) text: String,
    /// All of `otherMails` is asked for, not only the first.
    all_mails: bool,
}

impl Selection {
    /// What every user is read with, and these further properties.
    pub(super) fn of(further: &BTreeSet<String>) -> Self {
        let mut text = USER_SELECT.to_owned();
        for name in further {
            if FURTHER_PROPERTIES.contains(&name.as_str()) && name != "otherMails" {
                text.push(',');
                text.push_str(name);
            }
        }
        Self { text, all_mails: further.contains("otherMails") }
    }
}

/// A user of a list or of a delta round.
#[derive(Debug)]
pub(super) struct UserWire {
    pub(super) id: DirectoryUserId,
    pub(super) removed: Option<RemovedWire>,
    properties: Properties,
}

#[derive(Debug, Default)]
struct Properties {
    display_name: Field<Arc<str>>,
    mail: Field<Arc<str>>,
    user_principal_name: Field<Arc<str>>,
    other_mails: Field<Vec<Arc<str>>>,
    account_enabled: Field<bool>,
    user_type: Field<String>,
    /// What a rule can ask for besides.
    further: Vec<(Arc<str>, Option<AttributeValue>)>,
}

/// By hand, so that what rules ask for is kept without a map of everything that an answer holds.
impl<'de> Deserialize<'de> for UserWire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UserVisitor)
    }
}

struct UserVisitor;

impl<'de> Visitor<'de> for UserVisitor {
    type Value = UserWire;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a user")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UserWire, A::Error> {
        let (mut id, mut removed) = (None, None);
        let mut user = Properties::default();
        while let Some(Key(key)) = map.next_key()? {
            match &*key {
                "id" => once(&mut id, "id", &mut map)?,
                "@removed" => once(&mut removed, "@removed", &mut map)?,
                "displayName" => once(&mut user.display_name, "displayName", &mut map)?,
                "mail" => once(&mut user.mail, "mail", &mut map)?,
                "userPrincipalName" => once(&mut user.user_principal_name, "userPrincipalName", &mut map)?,
                "otherMails" => once(&mut user.other_mails, "otherMails", &mut map)?,
                "accountEnabled" => once(&mut user.account_enabled, "accountEnabled", &mut map)?,
                "userType" => once(&mut user.user_type, "userType", &mut map)?,
                "onPremisesExtensionAttributes" => {
                    let values: Option<BTreeMap<String, Option<AttributeValue>>> = map.next_value()?;
                    let mut values = values.unwrap_or_default();
                    user.further.extend((1..=15).filter_map(|n| {
                        let name = format!("extensionAttribute{n}");
                        Some((further_attribute(&name)?.clone(), values.remove(&name).flatten()))
                    }));
                }
                key => match further_attribute(key) {
                    Some(name) => user.further.push((name.clone(), map.next_value()?)),
                    None => drop(map.next_value::<IgnoredAny>()?),
                },
            }
        }
        let id = id.ok_or_else(|| serde::de::Error::missing_field("id"))?;
        Ok(UserWire { id, removed: removed.flatten(), properties: user })
    }
}

fn once<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    slot: &mut Option<T>,
    name: &'static str,
    map: &mut A,
) -> Result<(), A::Error> {
    if slot.is_some() {
        return Err(serde::de::Error::duplicate_field(name));
    }
    *slot = Some(map.next_value()?);
    Ok(())
}

/// A key, borrowed where it can be.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// `@removed`
#[derive(Debug, Deserialize)]
pub(super) struct RemovedWire {
    #[serde(default)]
    reason: String,
}

impl RemovedWire {
    pub(super) fn gone(&self) -> Gone {
        if self.reason.eq_ignore_ascii_case("deleted") { Gone::Deleted } else { Gone::SoftDeleted }
    }
}

impl UserWire {
    /// Whether `accountEnabled` came, with a value or with null.
    pub(super) fn says_whether_enabled(&self) -> bool {
        self.properties.account_enabled.is_some()
    }

    /// The user, with what is absent here taken from what was known: absent means unchanged or never set.
    pub(super) fn into_user(self, known: Option<&DirectoryUser>, selection: &Selection) -> DirectoryUser {
        fn text(new: Field<Arc<str>>, old: Option<&Option<Arc<str>>>) -> Option<Arc<str>> {
            new.unwrap_or_else(|| old.cloned().flatten())
        }
        let Self { id, properties: new, .. } = self;
        let mut further = new.further;
        if selection.all_mails
            && let Some(mails) = &new.other_mails
            && let Some(name) = further_attribute("otherMails")
        {
            further.push((name.clone(), mails.clone().map(AttributeValue::List)));
        }
        // An empty collection says what null says of a text.
        let set = |value: AttributeValue| match value {
            AttributeValue::List(list) if list.is_empty() => None,
            value => Some(value),
        };
        let further = further.into_iter().map(|(name, value)| (name, value.and_then(set)));
        DirectoryUser {
            id,
            display_name: text(new.display_name, known.map(|k| &k.display_name)),
            mail: text(new.mail, known.map(|k| &k.mail)),
            user_principal_name: text(new.user_principal_name, known.map(|k| &k.user_principal_name)),
            other_mail: match new.other_mails {
                None => known.and_then(|k| k.other_mail.clone()),
                Some(mails) => mails.and_then(|mails| mails.into_iter().next()),
            },
            account: match new.account_enabled {
                None => known.map_or(AccountState::Unknown, |k| k.account),
                Some(None) => AccountState::Unknown,
                Some(Some(true)) => AccountState::Enabled,
                Some(Some(false)) => AccountState::Disabled,
            },
            kind: match new.user_type {
                None => known.map_or(UserKind::Member, |k| k.kind),
                Some(Some(kind)) if kind.eq_ignore_ascii_case("guest") => UserKind::Guest,
                Some(_) => UserKind::Member,
            },
            attributes: known.map(|k| k.attributes.clone()).unwrap_or_default().with(further),
        }
    }
}

/// A group of a list or of a delta round.
#[derive(Debug, Deserialize)]
pub(super) struct GroupWire {
    pub(super) id: DirectoryGroupId,
    #[serde(rename = "displayName", default, deserialize_with = "present")]
    pub(super) display_name: Field<Arc<str>>,
    #[serde(rename = "@removed", default)]
    pub(super) removed: Option<RemovedWire>,
    #[serde(rename = "members@delta", default)]
    pub(super) members: Vec<MemberWire>,
}

/// A member, of a list or of `members@delta`.
#[derive(Debug, Deserialize)]
pub(super) struct MemberWire {
    id: String,
    #[serde(rename = "@odata.type")]
    kind: String,
    #[serde(rename = "@removed", default)]
    pub(super) removed: Option<RemovedWire>,
}

impl MemberWire {
    pub(super) fn member(&self) -> Option<MemberRef> {
        Some(match self.kind.strip_prefix("#microsoft.graph.").unwrap_or(&self.kind) {
            "user" => MemberRef::User(DirectoryUserId::parse(&self.id).ok()?),
            "group" => MemberRef::Group(DirectoryGroupId::parse(&self.id).ok()?),
            _ => MemberRef::Other,
        })
    }
}

/// What a list of members can be read as.
pub(super) trait Listed: Sized {
    /// One entry of a page.
    fn parse(entry: &RawValue) -> Option<Self>;
}

impl Listed for MemberRef {
    fn parse(entry: &RawValue) -> Option<Self> {
        serde_json::from_str::<MemberWire>(entry.get()).ok()?.member()
    }
}

/// A member with what is asked of it.
#[derive(Debug)]
pub(super) enum Spelled {
    User(UserWire),
    Group(DirectoryGroupId, Arc<str>),
    Other,
}

impl Listed for Spelled {
    fn parse(entry: &RawValue) -> Option<Self> {
        Some(match MemberRef::parse(entry)? {
            MemberRef::User(_) => Self::User(serde_json::from_str(entry.get()).ok()?),
            MemberRef::Group(_) => {
                let group: GroupWire = serde_json::from_str(entry.get()).ok()?;
                Self::Group(group.id, group.display_name.flatten().unwrap_or_default())
            }
            MemberRef::Other => Self::Other,
        })
    }
}

/// The answer of `$batch`.
#[derive(Deserialize)]
pub(super) struct BatchWire<'a> {
    #[serde(borrow)]
    pub(super) responses: Vec<BatchItemWire<'a>>,
}

/// One answer within it.
#[derive(Deserialize)]
pub(super) struct BatchItemWire<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    pub(super) status: u16,
    #[serde(default)]
    pub(super) headers: std::collections::BTreeMap<String, serde_json::Value>,
    #[serde(borrow, default)]
    pub(super) body: Option<&'a RawValue>,
}

impl BatchItemWire<'_> {
    /// `Retry-After` of this item, in any spelling, as text or number.
    pub(super) fn retry_after(&self) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }
}

/// The error body of Graph, as far as it is read: codes, never messages.
#[derive(Deserialize, Default)]
pub(super) struct ErrorBody {
    #[serde(default)]
    error: ErrorWire,
}

#[derive(Deserialize, Default)]
struct ErrorWire {
    #[serde(default)]
    code: String,
    #[serde(rename = "innerError", alias = "innererror", default)]
    inner: Option<Box<ErrorWire>>,
}

impl ErrorBody {
    /// Whether a code, or an inner one, is this, without regard to case.
    pub(super) fn is(&self, code: &str) -> bool {
        let mut at = Some(&self.error);
        while let Some(error) = at {
            if error.code.eq_ignore_ascii_case(code) {
                return true;
            }
            at = error.inner.as_deref();
        }
        false
    }

    /// The outer code, made safe for a message.
    pub(super) fn code(&self) -> String {
        self.error
            .code
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
            .take(80)
            .collect()
    }
}
