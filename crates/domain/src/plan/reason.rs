//! Why a step is there: source record → rule → nesting path → link. A step without a reason cannot be built.

use std::fmt;
use std::sync::Arc;

use std::time::Duration;

use jiff::Timestamp;

use super::step::StepId;
use super::targets::Former;
use crate::memory::Origin;
use crate::model::{ApplicationId, Evidence, Lead, Leaving, RunId};
use crate::policy::Measure;

/// The reason of a step, as a chain that can be printed as one sentence. Small, because every membership of a large tenant
/// has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The person is in scope and has no account.
    NoAccount {
        /// A group in scope that the person is in, as the path down to the one that holds them.
        path: Arc<[Arc<str>]>,
    },
    /// Everybody takes part (`users = "all"`), and the person has no account.
    NoAccountEverybody,
    /// The application of the scope is assigned to the person (`users = "assigned"`), who has no account.
    NoAccountAssigned {
        /// The application.
        application: ApplicationId,
    },
    /// The group is in scope and the site has none of that name.
    NoGroup(Box<Wanted>),
    /// The group is in scope and the site has one of that name which nobody has linked.
    GroupExists(Box<Wanted>),
    /// The document names the group and the site has none of that name.
    NoNamedGroup {
        /// Who fills it, in words.
        filled: Arc<str>,
    },
    /// The group is in scope, and the site group of its name was linked to a directory group that takes part no more.
    TakesOver {
        /// The directory group's own name.
        directory_name: Arc<str>,
        /// What became of the other one.
        former: Former,
    },
    /// Attributes of the directory differ from what was last written to the account.
    Attributes(Box<Differing>),
    /// The directory has another name for the group than the site.
    Renamed(Box<Renamed>),
    /// The person is a member in the directory and not on the site.
    Member {
        /// From the group in scope down to the one that holds the person.
        path: Arc<[Arc<str>]>,
    },
    /// A person takes back what an earlier run did.
    TakenBack(Box<Earlier>),
    /// The group is one of those that everybody in scope is a member of.
    Everybody,
    /// The group is one of those that people are given with their invitation.
    Newcomer,
    /// The person is not, or no longer, a member in the directory.
    NotEntitled {
        /// How that shows.
        evidence: Evidence,
        /// The names of the directory groups that fill the group; none where everybody in scope does.
        directory_names: Arc<[Arc<str>]>,
        /// How the membership came into the ledger; `None` where it is taken away because the group is authoritative.
        owned: Option<Origin>,
    },
    /// The person has left, and the time that the rules give is over.
    Left(Box<Left>),
    /// The person is back, and Entrain took the rung.
    Returned {
        /// How they had left.
        leaving: Leaving,
        /// When the rung was taken.
        taken_at: Timestamp,
        /// The rung.
        measure: Measure,
    },
}

/// A directory group that takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its own name.
    pub directory_name: Arc<str>,
    /// The selector that names it.
    pub selector: Arc<str>,
}

/// A group that has another name by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// The directory group's own name.
    pub directory_name: Arc<str>,
    /// The name on the site so far.
    pub before: Arc<str>,
}

/// What of an account is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differing {
    /// The fields that differ, joined.
    pub fields: String,
    /// The part of the account, as the document calls its section.
    pub section: &'static str,
    /// Whether anything was written before.
    pub before: super::guard::Before,
}

/// A step that an earlier run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// The run.
    pub run: RunId,
    /// The step of it.
    pub step: StepId,
}

/// Why a rung of the ladder is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// How they have left.
    pub leaving: Leaving,
    /// Since when.
    pub since: Timestamp,
    /// The rung.
    pub measure: Measure,
    /// The delay that the rules give it.
    pub delay: Duration,
    /// How the account came to be known.
    pub origin: Origin,
    /// What the person leads on the site.
    pub leads: Vec<Lead>,
}

/// A day, for people.
fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// `7d`, or hours and minutes where it is no whole number of days.
pub(crate) fn span(delay: Duration) -> String {
    let minutes = delay.as_secs() / 60;
    match (minutes / 1440, minutes % 1440) {
        (days, 0) if days > 0 => format!("{days}d"),
        (0, minutes) if minutes % 60 == 0 => format!("{}h", minutes / 60),
        (0, minutes) => format!("{minutes}m"),
        (days, minutes) if minutes % 60 == 0 => format!("{days}d {}h", minutes / 60),
        (days, minutes) => format!("{days}d {}h {}m", minutes / 60, minutes % 60),
    }
}

impl Reason {
    /// The groups through which the person is reached, where the step is about that.
    pub fn path(&self) -> Option<&Arc<[Arc<str>]>> {
        match self {
            Self::NoAccount { path } | Self::Member { path } => Some(path),
            _ => None,
        }
    }

    /// The links of the chain, from the source record on: (what, text), as `explain` prints them.
    pub fn chain(&self) -> Vec<(&'static str, String)> {
        let joined =
            |path: &[Arc<str>]| path.iter().map(|p| format!("“{p}”")).collect::<Vec<_>>().join(" › ");
        match self {
            Self::NoAccount { path } => vec![
                ("source", format!("enabled in the directory, member of {}", joined(path))),
                ("rule", "in scope".into()),
                ("site", "no account of this address".into()),
            ],
            Self::NoAccountEverybody => vec![
                ("source", "enabled in the directory".into()),
                ("rule", "everybody takes part".into()),
                ("site", "no account of this address".into()),
            ],
            Self::NoAccountAssigned { application } => vec![
                ("source", "enabled in the directory".into()),
                ("rule", format!("the application {application} is assigned to them")),
                ("site", "no account of this address".into()),
            ],
            Self::NoGroup(wanted) => vec![
                ("source", format!("directory group “{}”", wanted.directory_name)),
                ("rule", format!("named by scope “{}”", wanted.selector)),
                ("site", "no group of this name".into()),
            ],
            Self::GroupExists(wanted) => vec![
                ("source", format!("directory group “{}”", wanted.directory_name)),
                ("rule", format!("named by scope “{}”", wanted.selector)),
                ("site", "a group of this name exists and is not linked".into()),
            ],
            Self::NoNamedGroup { filled } => {
                vec![("rule", filled.to_string()), ("site", "no group of this name".into())]
            }
            Self::TakesOver { directory_name, former } => vec![
                ("source", format!("directory group “{directory_name}”")),
                (
                    "link",
                    match former {
                        Former::Deleted => {
                            "the directory group that the site group stood for was deleted in the directory"
                                .into()
                        }
                        Former::NotInScope => {
                            "the directory group that the site group stood for is no longer in scope".into()
                        }
                    },
                ),
                ("site", "the group and its members stay, and follow the new group".into()),
            ],
            Self::Everybody => vec![
                ("source", "in scope".into()),
                ("rule", "default group: everybody in scope is a member".into()),
                ("site", "not a member".into()),
            ],
            Self::Newcomer => vec![
                ("source", "is invited".into()),
                ("rule", "default group: given to people whom Entrain invites".into()),
                ("site", "not a member".into()),
            ],
            Self::Attributes(differing) => vec![
                ("source", format!("attributes of the directory: {}", differing.fields)),
                ("rule", format!("mapped under [attributes.{}]", differing.section)),
                (
                    "site",
                    match differing.before {
                        super::guard::Before::Never => "nothing was written yet".into(),
                        super::guard::Before::Once => "differs from what was last written".into(),
                    },
                ),
            ],
            Self::Renamed(renamed) => vec![
                ("source", format!("directory group “{}”", renamed.directory_name)),
                ("link", "linked to this site group for good".into()),
                ("site", format!("still called “{}”", renamed.before)),
            ],
            Self::Member { path } => vec![
                ("source", format!("member through {}", joined(path))),
                ("rule", "memberships are synced".into()),
                ("site", "not a member".into()),
            ],
            Self::TakenBack(earlier) => vec![
                ("journal", format!("done by run {}: {}", earlier.run, earlier.step)),
                ("rule", "a person takes the run back".into()),
            ],
            Self::NotEntitled { evidence, directory_names, owned } => vec![
                (
                    "source",
                    match evidence {
                        Evidence::NotAMember if directory_names.is_empty() => "no longer in scope".into(),
                        Evidence::NotAMember => {
                            format!("no longer in {}, directly or nested", any_of(directory_names))
                        }
                        Evidence::Disabled => "disabled in the directory".into(),
                        Evidence::Deleted => "deleted in the directory".into(),
                        Evidence::TakenBack => "granted by Entrain".into(),
                        Evidence::OutOfScope(rule) => {
                            format!("takes no part, though in {}: {}", any_of(directory_names), rule.words())
                        }
                        Evidence::NobodyLinked => {
                            format!("nobody in {} has this account", any_of(directory_names))
                        }
                    },
                ),
                (
                    "ledger",
                    match owned {
                        Some(Origin::Created) => "granted by Entrain",
                        Some(Origin::Adopted | Origin::Found) => "was present on both sides",
                        None => "not Entrain's own, but the group is authoritative",
                    }
                    .to_owned(),
                ),
                ("site", "still a member".into()),
            ],
            Self::Left(left) => {
                let owned = match left.origin {
                    Origin::Created => "invited by Entrain",
                    Origin::Adopted | Origin::Found => {
                        "was there before; [leavers] accounts takes linked accounts"
                    }
                };
                let mut chain = vec![
                    ("source", format!("{} since {}", left.leaving.in_words(), day(left.since))),
                    ("rule", format!("{} = {}", left.measure.key(), span(left.delay))),
                    ("ledger", owned.to_owned()),
                ];
                if !left.leads.is_empty() {
                    let leads: Vec<String> = left.leads.iter().map(ToString::to_string).collect();
                    chain.push(("site", format!("still leads {}", leads.join(", "))));
                }
                chain
            }
            Self::Returned { leaving, taken_at, measure } => vec![
                ("source", "back in the directory and in scope".into()),
                (
                    "ledger",
                    format!(
                        "Entrain took the rung “{measure}” on {}, {}",
                        day(*taken_at),
                        leaving.in_words()
                    ),
                ),
            ],
        }
    }
}

/// “A” or “B”; the scope, where there is no group.
fn any_of(names: &[Arc<str>]) -> String {
    if names.is_empty() {
        return "scope".into();
    }
    names.iter().map(|name| format!("“{name}”")).collect::<Vec<_>>().join(" or ")
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (_, text)) in self.chain().iter().enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            f.write_str(text)?;
        }
        Ok(())
    }
}
