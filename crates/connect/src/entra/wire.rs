//! What Graph sends, as far as it is read: small structs that own nothing but what is kept.

use std::borrow::Cow;
use std::sync::Arc;

use entrain_domain::model::{
    AccountState, DirectoryGroupId, DirectoryUser, DirectoryUserId, Gone, MemberRef, UserKind,
};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// What is asked of users, in lists, delta rounds and single look-ups.
pub(super) const USER_SELECT: &str =
    "id,displayName,mail,userPrincipalName,otherMails,accountEnabled,userType";
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

/// A user of a list or of a delta round.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserWire {
    pub(super) id: DirectoryUserId,
    #[serde(default, deserialize_with = "present")]
    display_name: Field<Arc<str>>,
    #[serde(default, deserialize_with = "present")]
    mail: Field<Arc<str>>,
    #[serde(default, deserialize_with = "present")]
    user_principal_name: Field<Arc<str>>,
    #[serde(default, deserialize_with = "present")]
    other_mails: Field<Vec<Arc<str>>>,
    #[serde(default, deserialize_with = "present")]
    account_enabled: Field<bool>,
    #[serde(default, deserialize_with = "present")]
    user_type: Field<String>,
    #[serde(rename = "@removed", default)]
    pub(super) removed: Option<RemovedWire>,
}

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
        self.account_enabled.is_some()
    }

    /// The user, with what is absent here taken from what was known: absent means unchanged or never set.
    pub(super) fn into_user(self, known: Option<&DirectoryUser>) -> DirectoryUser {
        fn text(new: Field<Arc<str>>, old: Option<&Option<Arc<str>>>) -> Option<Arc<str>> {
            new.unwrap_or_else(|| old.cloned().flatten())
        }
        DirectoryUser {
            display_name: text(self.display_name, known.map(|k| &k.display_name)),
            mail: text(self.mail, known.map(|k| &k.mail)),
            user_principal_name: text(self.user_principal_name, known.map(|k| &k.user_principal_name)),
            other_mail: match self.other_mails {
                None => known.and_then(|k| k.other_mail.clone()),
                Some(mails) => mails.and_then(|mails| mails.into_iter().next()),
            },
            account: match self.account_enabled {
                None => known.map_or(AccountState::Unknown, |k| k.account),
                Some(None) => AccountState::Unknown,
                Some(Some(true)) => AccountState::Enabled,
                Some(Some(false)) => AccountState::Disabled,
            },
            kind: match self.user_type {
                None => known.map_or(UserKind::Member, |k| k.kind),
                Some(Some(kind)) if kind.eq_ignore_ascii_case("guest") => UserKind::Guest,
                Some(_) => UserKind::Member,
            },
            attributes: known.map(|k| k.attributes.clone()).unwrap_or_default(),
            id: self.id,
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
