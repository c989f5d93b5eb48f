//! Change notifications of the directory: what is watched, the subscriptions held for it, and what people have to know
//! when notifications do not come. A notification is never more than a hint to read what changed.

use jiff::Timestamp;

use crate::failure::Failure;

/// A part of the directory that is watched as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Watched {
    /// People.
    Users,
    /// Groups with their members.
    Groups,
}

impl Watched {
    /// Both, in the order in which they are subscribed to.
    pub const ALL: [Self; 2] = [Self::Users, Self::Groups];

    /// The word stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Groups => "groups",
        }
    }
}

/// The id of a subscription, as the directory gave it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct SubscriptionId(String);

impl SubscriptionId {
    /// An id of at most 100 letters, digits and hyphens; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let fits =
            (1..=100).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        fits.then(|| Self(text.to_owned()))
    }
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A subscription as the directory granted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// When it ends unless it is renewed; may be earlier, or later, than what was asked for.
    pub expires_at: Timestamp,
}

/// What became of a subscription that was to be renewed or authorized again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// It lives until then.
    Until(Timestamp),
    /// It lives as long as before.
    Authorized,
    /// The directory does not know it any more.
    Gone,
}

/// What the directory says of a subscription itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LifecycleEvent {
    /// It has to be authorized again, or it falls silent.
    ReauthorizationRequired,
    /// It is no more.
    SubscriptionRemoved,
    /// Some notifications were not delivered.
    Missed,
}

impl LifecycleEvent {
    /// The event of this name in Microsoft Graph's spelling.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "reauthorizationRequired" => Some(Self::ReauthorizationRequired),
            "subscriptionRemoved" => Some(Self::SubscriptionRemoved),
            "missed" => Some(Self::Missed),
            _ => None,
        }
    }
}

/// Why people have to know that notifications cannot be relied on. The schedule goes on all the same.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "trouble", rename_all = "snake_case")]
pub enum Trouble {
    /// A subscription could not be made or renewed.
    NotSubscribed {
        /// To what.
        watched: Watched,
        /// Until when the present one lives, if there is one.
        until: Option<Timestamp>,
        /// Why.
        failure: Failure,
    },
    /// The schedule found changes that no notification announced.
    Lost {
        /// When it first did.
        since: Timestamp,
    },
    /// The directory said that notifications were not delivered.
    Missed {
        /// When it said so last.
        at: Timestamp,
    },
}

impl Trouble {
    /// The trouble in a sentence, and what to do.
    pub fn words(&self) -> (String, String) {
        match self {
            Self::NotSubscribed { watched, until, failure } => {
                let until = until.map_or_else(
                    || "there are no notifications of them".to_owned(),
                    |at| format!("notifications of them end at {at}"),
                );
                let what = format!("changes of {} cannot be subscribed to, so {until}: {failure}", watched.as_str());
                (what, failure.remedy.clone())
            }
            Self::Lost { since } => (
                format!("since {since} the schedule has found changes that no notification announced"),
                "Check that Microsoft Graph reaches the public address from the internet; changes are found by the \
                 schedule until then"
                    .to_owned(),
            ),
            Self::Missed { at } => (
                format!("at {at} Microsoft Graph said that it had not delivered some notifications"),
                "Nothing has to be done: what changed was read at once. If it comes again, look whether the service \
                 answers slowly"
                    .to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_letters_digits_and_hyphens() {
        assert!(SubscriptionId::parse("7f105c7d-2dc5-4530-97cd-4e7ae6534c07").is_some());
        for wrong in ["", "a/b", "a b", "../x", &"x".repeat(101)] {
            assert!(SubscriptionId::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn events_are_known_in_the_clouds_spelling() {
        for word in ["reauthorizationRequired", "subscriptionRemoved", "missed"] {
            let event = LifecycleEvent::from_word(word).unwrap();
            assert_eq!(serde_json::to_value(event).unwrap(), word);
        }
        assert_eq!(LifecycleEvent::from_word("Missed"), None);
    }
}
