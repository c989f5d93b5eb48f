//! The people of a plan: a row for each, and what most of those who leave have in common.

use std::collections::BTreeMap;

use entrain_engine::plan_view::Life;

use super::{CAUSE, Row, Tag, group_of};

/// How a person is found again.
pub(super) fn key(life: &Life<'_>) -> String {
    let person = life.person;
    person.directory_id.clone().or_else(|| person.site_id.clone()).unwrap_or_else(|| person.name.clone())
}

pub(super) fn row(life: &Life<'_>) -> Row {
    let cut = |text: String| Tag { class: "cut", icon: "minus", text };
    let add = |icon: &'static str, text: String| Tag { class: "add", icon, text };
    let mut cuts: Vec<Tag> = life.leaves.iter().map(|step| cut(group_of(step).to_owned())).collect();
    cuts.extend(life.rungs.iter().map(|step| {
        cut(match step.kind.as_str() {
            "suspend_user" => "suspended".to_owned(),
            "deactivate_user" => "deactivated".to_owned(),
            _ => "taken off the site".to_owned(),
        })
    }));
    let mut adds: Vec<Tag> = Vec::new();
    if life.invited.is_some() {
        adds.push(add("mail", "invited".into()));
    }
    adds.extend(life.returns.iter().map(|step| {
        add("ok", if step.kind == "restore_user" { "restored".into() } else { "activated again".into() })
    }));
    adds.extend(life.joins.iter().map(|step| add("plus", group_of(step).to_owned())));
    for step in &life.updates {
        let changes = step.update.as_ref().map(|update| update.changes().join(", ")).unwrap_or_default();
        adds.push(Tag { class: "", icon: "rules", text: changes });
    }
    Row {
        key: key(life),
        name: life.person.name.clone(),
        mail: life.person.mail.clone().unwrap_or_default(),
        before: if life.invited.is_some() { "no account" } else { "" },
        after: if life.leaves() { "less access" } else { "" },
        cost: if life.steps().any(|step| !step.undoable) { "cannot be undone" } else { "" },
        held: life.steps().filter(|step| step.held_by.is_some()).count(),
        field: "person",
        ticked: false,
        cuts,
        adds,
    }
}

/// What a search looks through, in small letters.
pub(super) fn sought(row: &Row) -> String {
    let tags = row.cuts.iter().chain(&row.adds).map(|tag| tag.text.as_str());
    let texts: Vec<&str> = [row.name.as_str(), row.mail.as_str()].into_iter().chain(tags).collect();
    texts.join("\n").to_lowercase()
}

pub(super) fn matches(row: &Row, find: &str) -> bool {
    let has = |text: &str| text.to_lowercase().contains(find);
    find.is_empty()
        || has(&row.name)
        || has(&row.mail)
        || row.cuts.iter().chain(&row.adds).any(|tag| has(&tag.text))
}

/// The group that most of those who only lose something leave, with how many they are, where that is one cause.
pub(super) fn cause(lives: &[Life<'_>]) -> Option<(String, usize)> {
    let mut of_group: BTreeMap<&str, usize> = BTreeMap::new();
    let leavers: Vec<&Life<'_>> =
        lives.iter().filter(|life| life.leaves() && life.rungs.is_empty()).collect();
    for step in leavers.iter().flat_map(|life| &life.leaves) {
        *of_group.entry(group_of(step)).or_default() += 1;
    }
    let (group, n) = of_group.into_iter().max_by_key(|(_, n)| *n)?;
    (n >= CAUSE && n * 2 >= leavers.len() && !group.is_empty()).then(|| (group.to_owned(), n))
}

pub(super) struct Parts<'a> {
    pub(super) held_by: Vec<&'a Life<'a>>,
    pub(super) joiners: Vec<&'a Life<'a>>,
    pub(super) movers: Vec<&'a Life<'a>>,
    pub(super) leavers: Vec<&'a Life<'a>>,
    pub(super) others: Vec<&'a Life<'a>>,
}

impl<'a> Parts<'a> {
    /// Everybody, each in one part.
    pub(super) fn of(lives: &'a [Life<'a>]) -> (Self, Option<(String, usize)>) {
        let cause = cause(lives);
        let mut parts =
            Self { held_by: vec![], joiners: vec![], movers: vec![], leavers: vec![], others: vec![] };
        for life in lives {
            if by_cause(life, cause.as_ref()) {
                parts.held_by.push(life);
            } else if life.joins() {
                parts.joiners.push(life);
            } else if life.moves() {
                parts.movers.push(life);
            } else if life.leaves() {
                parts.leavers.push(life);
            } else {
                parts.others.push(life);
            }
        }
        (parts, cause)
    }

    /// The people of a section, by its word.
    pub(super) fn named(&self, word: &str) -> &[&'a Life<'a>] {
        match word {
            "cause" => &self.held_by,
            "joiners" => &self.joiners,
            "movers" => &self.movers,
            "leavers" => &self.leavers,
            "attributes" => &self.others,
            _ => &[],
        }
    }
}

/// Whether this person leaves the group that is told as one cause.
pub(super) fn by_cause(life: &Life<'_>, cause: Option<&(String, usize)>) -> bool {
    cause.is_some_and(|(group, _)| {
        life.leaves() && life.rungs.is_empty() && life.leaves.iter().any(|step| group_of(step) == group)
    })
}
