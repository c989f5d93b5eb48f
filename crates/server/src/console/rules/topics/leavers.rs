//! What becomes of people who have left.

use super::{Kind, Topic, field};

const RUNGS: &str = "7d, 36h; 0s is at once";

pub(super) const LEAVERS: Topic = Topic {
    word: "leavers",
    title: "Leavers",
    heading: "What becomes of people who have left",
    trial: None,
    fields: &[
        field(
            "leavers.suspend_after",
            "Suspend access after",
            Kind::Code,
            (RUNGS, "never"),
            "For people disabled or deleted in Entra. Needs an organization key; the seat is free from then on.",
        ),
        field(
            "leavers.deactivate_after",
            "Deactivate managed accounts after",
            Kind::Code,
            (RUNGS, "never"),
            "Needs an organization key and a verified domain; the account is closed for all Atlassian products.",
        ),
        field(
            "leavers.remove_after",
            "Take people off the site after",
            Kind::Code,
            (RUNGS, "never"),
            "Only a new invitation brings them back.",
        ),
        field(
            "leavers.accounts",
            "On whose accounts",
            Kind::Choice(&[("invited", "Those that Entrain invited"), ("linked", "Every linked account")]),
            ("", "invited"),
            "Accounts that were there before are somebody else's, unless you say so.",
        ),
        field(
            "leavers.disabled.suspend_after",
            "Disabled: suspend access after",
            Kind::Code,
            ("or never", "as above"),
            "Another time for people who are disabled in Entra.",
        ),
        field(
            "leavers.disabled.deactivate_after",
            "Disabled: deactivate after",
            Kind::Code,
            ("or never", "as above"),
            "Another time for people who are disabled in Entra.",
        ),
        field(
            "leavers.disabled.remove_after",
            "Disabled: take off the site after",
            Kind::Code,
            ("or never", "as above"),
            "Another time for people who are disabled in Entra.",
        ),
        field(
            "leavers.deleted.suspend_after",
            "Deleted: suspend access after",
            Kind::Code,
            ("or never", "as above"),
            "Another time for people who are deleted in Entra.",
        ),
        field(
            "leavers.deleted.deactivate_after",
            "Deleted: deactivate after",
            Kind::Code,
            ("or never", "as above"),
            "Another time for people who are deleted in Entra.",
        ),
        field(
            "leavers.deleted.remove_after",
            "Deleted: take off the site after",
            Kind::Code,
            ("or never", "as above"),
            "Another time for people who are deleted in Entra.",
        ),
        field(
            "leavers.out_of_scope.suspend_after",
            "Out of scope: suspend access after",
            Kind::Code,
            (RUNGS, "never"),
            "For people who are enabled in Entra and take no part any more. They lose their groups in any case.",
        ),
        field(
            "leavers.out_of_scope.deactivate_after",
            "Out of scope: deactivate after",
            Kind::Code,
            (RUNGS, "never"),
            "The times for disabled and deleted people are not for them.",
        ),
        field(
            "leavers.out_of_scope.remove_after",
            "Out of scope: take off the site after",
            Kind::Code,
            (RUNGS, "never"),
            "Only a new invitation brings them back.",
        ),
    ],
};
