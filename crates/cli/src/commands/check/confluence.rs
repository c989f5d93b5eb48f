//! Confluence, as `entrain check` tells of it: its seats and the groups that grant it, or which key is missing.

use entrain_connect::atlassian::organization::ConfluenceSeats;
use entrain_domain::Failure;
use entrain_domain::model::{Seats, SiteGroup};
use entrain_engine::check::{Check, Verdict};
use entrain_engine::plan_view::count;
use serde::Serialize;

use crate::wire::Connected;

const WHAT: &str = "Confluence";

/// Most groups that are named in a line.
const NAMED: usize = 5;

/// What is known of Confluence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum Confluence {
    /// The organization tells.
    Seen {
        /// Seats taken, where they were counted.
        used: Option<u64>,
        /// Seats in all, where the organization says how many.
        limit: Option<u64>,
        /// Groups whose members take a seat.
        granted_by: Vec<Group>,
        /// Whether the document keeps its seats within a limit.
        limited: bool,
    },
    /// The organization shows none at the address of the site.
    None {
        /// Whether the document keeps its seats within a limit.
        limited: bool,
    },
    /// No organization key is configured.
    KeyMissing,
    /// The organization does not tell.
    NotTold {
        /// Why.
        reason: String,
        /// What to do about it.
        remedy: String,
        /// Whether the document keeps its seats within a limit.
        limited: bool,
    },
}

/// A group that grants Confluence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Group {
    id: String,
    name: String,
}

/// Asks the organization, where there is a key.
pub(crate) async fn look(connected: &Connected) -> Confluence {
    let Some(organization) = &connected.organization else { return Confluence::KeyMissing };
    told(
        organization.confluence_seats(&connected.site_url).await.map_err(|error| error.failure()),
        connected.limits_confluence,
    )
}

fn told(seen: Result<Option<ConfluenceSeats>, Failure>, limited: bool) -> Confluence {
    match seen {
        Ok(Some(ConfluenceSeats { product, granted_by })) => {
            let (used, limit) = match product.seats {
                Seats::Limited { limit, used } => (Some(used), Some(limit)),
                Seats::Unlimited { used } | Seats::LimitNotTold { used } => (Some(used), None),
                Seats::NotCounted { limit } => (None, limit),
            };
            let group =
                |SiteGroup { id, name }: SiteGroup| Group { id: id.to_string(), name: name.to_string() };
            Confluence::Seen { used, limit, granted_by: granted_by.into_iter().map(group).collect(), limited }
        }
        Ok(None) => Confluence::None { limited },
        Err(Failure { message, remedy, .. }) => Confluence::NotTold { reason: message, remedy, limited },
    }
}

impl Confluence {
    /// The same as a finding. What a limit of the document cannot do without is in the way of a run.
    pub(crate) fn check(&self) -> Check {
        let (verdict, detail, remedy) = match self {
            Self::Seen { used, limit, granted_by, limited } => {
                let seats = match (used, limit) {
                    (Some(used), Some(limit)) => format!("{used} of {limit} seats are taken"),
                    (Some(used), None) => {
                        format!("{} taken, and the organization does not say how many there are", are(*used))
                    }
                    (None, _) => "nobody counts its seats".to_owned(),
                };
                let remedy = (!limited).then(|| {
                    "nothing; [seats.products.confluence] would keep its seats within a budget and a reserve".to_owned()
                });
                (Verdict::Good, format!("{seats}; {}", groups(granted_by)), remedy)
            }
            Self::None { limited: false } => {
                (Verdict::Good, "the organization shows none at the address of this site".to_owned(), None)
            }
            Self::None { limited: true } => (
                Verdict::Bad,
                "[seats.products.confluence] limits its seats, and the organization shows none at the address of this site"
                    .to_owned(),
                Some(
                    "check [site.organization] id and [site] url, or take [seats.products.confluence] out".to_owned(),
                ),
            ),
            Self::KeyMissing => (
                Verdict::Warning,
                "not looked at: its seats and the groups that grant it are told with an organization key only".to_owned(),
                Some(
                    "nothing, if it is not used. Else add [site.organization] id and api_key; then \
                     [seats.products.confluence] keeps its seats within a budget"
                        .to_owned(),
                ),
            ),
            Self::NotTold { reason, remedy, limited } => {
                let (verdict, without) = if *limited {
                    (Verdict::Bad, "a run ends before it writes: [seats.products.confluence] limits what cannot be counted")
                } else {
                    (Verdict::Warning, "a refusal for want of its seats is told under its name all the same")
                };
                (verdict, format!("its seats cannot be counted: {reason}"), Some(format!("{remedy}. Without, {without}")))
            }
        };
        Check { what: WHAT.to_owned(), verdict, detail, remedy }
    }
}

fn are(used: u64) -> String {
    match used {
        1 => "1 seat is".to_owned(),
        n => format!("{n} seats are"),
    }
}

fn groups(granted_by: &[Group]) -> String {
    let named: Vec<String> = granted_by.iter().take(NAMED).map(|group| format!("“{}”", group.name)).collect();
    match (named.as_slice(), granted_by.len()) {
        ([], _) => "no group grants it".to_owned(),
        (named, all) if all > named.len() => {
            let more = count(all - named.len(), "further group", "further groups");
            format!("granted by {} and {more}", named.join(", "))
        }
        (named, _) => format!("granted by {}", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use entrain_domain::model::{Product, ProductKey, SiteGroupId};
    use entrain_domain::{FailureClass, FailureCode};

    use super::*;

    fn seats(seats: Seats, groups: usize) -> ConfluenceSeats {
        let group = |n: usize| SiteGroup {
            id: SiteGroupId::parse(format!("g-{n}")).unwrap(),
            name: format!("Wiki {n}").into(),
        };
        let granted_by: Vec<SiteGroup> = (1..=groups).map(group).collect();
        let product = Product {
            key: ProductKey("confluence".into()),
            name: "Confluence".into(),
            groups: granted_by.iter().map(|group| group.id.clone()).collect(),
            default_groups: std::collections::BTreeSet::new(),
            seats,
        };
        ConfluenceSeats { product, granted_by }
    }

    #[test]
    fn seats_and_groups_are_told_in_words_and_as_data() {
        let seen = told(Ok(Some(seats(Seats::Limited { limit: 10, used: 7 }, 2))), true);
        let check = seen.check();
        assert_eq!(check.detail, "7 of 10 seats are taken; granted by “Wiki 1”, “Wiki 2”");
        assert_eq!((check.verdict, check.remedy), (Verdict::Good, None));
        assert_eq!(
            serde_json::to_value(&seen).unwrap(),
            serde_json::json!({"state": "seen", "used": 7, "limit": 10, "limited": true,
                "granted_by": [{"id": "g-1", "name": "Wiki 1"}, {"id": "g-2", "name": "Wiki 2"}]})
        );
        let many = told(Ok(Some(seats(Seats::LimitNotTold { used: 1 }, 7))), false).check();
        assert!(
            many.detail.starts_with("1 seat is taken, and the organization does not say how many there are")
        );
        assert!(many.detail.ends_with("“Wiki 5” and 2 further groups"), "{}", many.detail);
        assert!(many.remedy.unwrap().contains("[seats.products.confluence] would"));
    }

    #[test]
    fn what_a_limit_needs_is_in_the_way_of_a_run_and_what_nobody_asked_for_is_not() {
        let refused = || {
            Failure::new(FailureCode::OrganizationRightMissing, FailureClass::Connection, "no", "Make a key")
        };
        for (limited, verdict) in [(true, Verdict::Bad), (false, Verdict::Warning)] {
            let check = told(Err(refused()), limited).check();
            assert_eq!(check.verdict, verdict);
            assert!(check.detail.contains("cannot be counted: no"), "{}", check.detail);
            assert!(check.remedy.unwrap().starts_with("Make a key. Without, "));
        }
        assert_eq!(told(Ok(None), true).check().verdict, Verdict::Bad);
        assert_eq!(told(Ok(None), false).check().verdict, Verdict::Good);
        let missing = Confluence::KeyMissing.check();
        assert!(
            missing.verdict == Verdict::Warning && missing.remedy.unwrap().contains("[site.organization]")
        );
    }
}
