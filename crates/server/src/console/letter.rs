//! A plan as a letter: the cause before the list, then who joins, moves and leaves.

mod people;
mod why;

use std::fmt::Write as _;

use entrain_domain::plan::StepKind;
use entrain_engine::plan_view::{Life, PlanView, SeatsView, StepView};
use people::{cause, matches, row};

use super::parts::{Chip, count, number, sentence, share};

pub(super) use people::{Parts, key};
pub(crate) use why::Why;

/// Rows of a section that is one among others.
const FEW: usize = 3;
/// Rows of a page that shows one section alone.
pub(crate) const MANY: usize = 60;
/// People leaving one group that are told as one cause, when they are at least half of all leavers.
const CAUSE: usize = 4;

/// What a step of this kind does.
pub(crate) fn does(kind: StepKind) -> &'static str {
    match kind {
        StepKind::CreateUser => "Invite",
        StepKind::UpdateUser => "Write attributes",
        StepKind::CreateGroup => "Make the group",
        StepKind::RenameGroup => "Rename the group",
        StepKind::AdoptGroup => "Take over the group",
        StepKind::AddMember => "Add to a group",
        StepKind::RemoveMember => "Remove from a group",
        StepKind::SuspendUser => "Suspend",
        StepKind::RestoreUser => "Restore",
        StepKind::DeactivateUser => "Deactivate",
        StepKind::ReactivateUser => "Activate again",
        StepKind::RemoveUser => "Take off the site",
    }
}

/// What a step does, with its group.
pub(crate) fn did(step: &StepView) -> String {
    let kind = StepKind::from_word(&step.kind);
    let Some(group) = &step.group else { return kind.map_or("", does).to_owned() };
    match kind {
        Some(StepKind::AddMember) => format!("Add to {}", group.name),
        Some(StepKind::RemoveMember) => format!("Remove from {}", group.name),
        Some(StepKind::RenameGroup) => {
            format!("Rename {} to {}", group.name, step.new_name.as_deref().unwrap_or("another name"))
        }
        Some(kind) => format!("{} {}", does(kind), group.name),
        None => group.name.clone(),
    }
}

/// A mark in a row: what is added or cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) class: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) text: String,
}

/// A person or group, and what becomes of it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// How the page of the explanation finds it.
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) mail: String,
    /// What it is before, where that is worth a word.
    pub(crate) before: &'static str,
    pub(crate) cuts: Vec<Tag>,
    pub(crate) adds: Vec<Tag>,
    pub(crate) after: &'static str,
    pub(crate) cost: &'static str,
    /// Steps of it that are held.
    pub(crate) held: usize,
    /// The field under which it is chosen for an approval: `person` or `step`.
    pub(crate) field: &'static str,
}

/// Rows under one heading.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) word: String,
    pub(crate) title: String,
    pub(crate) note: String,
    pub(crate) chip: Option<Chip>,
    pub(crate) say: Option<String>,
    /// The word under which all of it is chosen for an approval, with its number of held steps.
    pub(crate) pick: Option<(&'static str, usize)>,
    pub(crate) rows: Vec<Row>,
    /// Rows that are not shown here.
    pub(crate) more: usize,
}

/// A tab above the sections.
#[derive(Debug, Clone)]
pub(crate) struct Tab {
    pub(crate) word: &'static str,
    pub(crate) label: &'static str,
    pub(crate) n: String,
    pub(crate) current: bool,
}

/// Seats of a product, before and after.
#[derive(Debug, Clone)]
pub(crate) struct Seats {
    pub(crate) product: String,
    pub(crate) before: String,
    pub(crate) after: String,
    pub(crate) changes: bool,
    pub(crate) limit: Option<String>,
    pub(crate) share_before: u64,
    pub(crate) share_after: u64,
    pub(crate) near: bool,
}

/// What somebody wants to see of a letter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) show: String,
    pub(crate) find: String,
    pub(crate) from: usize,
}

/// A letter.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) paragraphs: Vec<String>,
    /// What holds it: the finding, and what it is measured by.
    pub(crate) held: Vec<(String, String)>,
    pub(crate) tabs: Vec<Tab>,
    pub(crate) sections: Vec<Section>,
    pub(crate) asides: Vec<(String, String, String)>,
    pub(crate) seats: Vec<Seats>,
    pub(crate) seats_change: bool,
    pub(crate) steps: usize,
    pub(crate) held_steps: usize,
    pub(crate) removals: usize,
    pub(crate) requests: String,
    pub(crate) mails: usize,
    pub(crate) taken_off: usize,
    pub(crate) undoable: usize,
    pub(crate) empties: bool,
    pub(crate) wanted: Wanted,
    pub(crate) next: Option<usize>,
    /// Whether held steps can be chosen for an approval.
    pub(crate) picks: bool,
}

fn guard_word(guard: &str) -> String {
    let words = guard.replace('_', " ");
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), chars.as_str()))
}

fn group_of(step: &StepView) -> &str {
    step.group.as_ref().map_or("", |group| group.name.as_str())
}

/// What a guard says: the finding, and what it is measured by.
fn holds(reason: &str) -> (String, String) {
    let finding = short(reason);
    let rest = reason.trim().strip_prefix(finding).unwrap_or_default();
    let rest = sentence(rest.trim_start_matches([',', ';', ':', ' ']));
    (capital(finding), rest)
}

/// What a guard says, without its numbers' background.
pub(crate) fn short(reason: &str) -> &str {
    let short = reason.split([';', ':']).next().unwrap_or_default();
    short.split(", of ").next().unwrap_or_default().trim()
}

impl Letter {
    pub(crate) fn of(plan: &PlanView, wanted: Wanted) -> Self {
        let lives = plan.lives();
        let (parts, cause) = Parts::of(&lives);
        let held_steps = plan.steps.iter().filter(|step| step.held_by.is_some()).count();
        let mut letter = Self {
            paragraphs: paragraphs(plan, &parts, cause.as_ref()),
            held: plan.held.iter().map(|held| holds(&held.reason)).collect(),
            tabs: tabs(plan, &parts, held_steps, &wanted.show),
            sections: Vec::new(),
            asides: plan
                .set_aside
                .iter()
                .map(|one| (one.object.clone(), sentence(&one.reason), sentence(&one.remedy)))
                .collect(),
            seats: plan.seats.iter().map(seats).collect(),
            seats_change: plan.seats.values().any(|seats| seats.before != seats.after),
            steps: plan.steps.len(),
            held_steps,
            removals: plan.of_kind("remove_member").filter(|step| step.held_by.is_some()).count(),
            requests: number(plan.cost() as u64),
            mails: plan.of_kind("create_user").filter(|step| !step.undoable).count(),
            taken_off: plan.of_kind("remove_user").count(),
            undoable: plan.steps.iter().filter(|step| step.undoable).count(),
            empties: plan.held.iter().any(|held| held.guard == "empty_directory"),
            wanted,
            next: None,
            picks: false,
        };
        letter.fill(plan, &parts, cause.as_ref());
        letter
    }

    fn fill(&mut self, plan: &PlanView, parts: &Parts<'_>, cause: Option<&(String, usize)>) {
        let show = self.wanted.show.clone();
        let wants = |word: &str| show.is_empty() || show == word;
        let is_held = |life: &&&Life<'_>| life.steps().any(|step| step.held_by.is_some());
        if let Some((group, _)) = cause
            && (wants("leavers") || show == "held")
        {
            let steps: usize = parts.held_by.iter().map(|life| life.steps().count()).sum();
            let people = count(parts.held_by.len() as u64, "person", "people");
            let note = format!("{people}, {}", count(steps as u64, "step", "steps"));
            self.section("cause", &format!("Leaving {group}"), note, &parts.held_by);
        }
        let plain: [(&'static str, &str, &Vec<&Life<'_>>); 4] = [
            ("joiners", "Joiners", &parts.joiners),
            ("movers", "Movers", &parts.movers),
            ("leavers", "Leavers", &parts.leavers),
            ("attributes", "Attributes", &parts.others),
        ];
        for (word, title, lives) in plain {
            let chosen: Vec<&Life<'_>> = if show == "held" {
                lives.iter().filter(is_held).copied().collect()
            } else if wants(word) {
                lives.clone()
            } else {
                continue;
            };
            let steps: usize = chosen.iter().map(|life| life.steps().count()).sum();
            let people = count(chosen.len() as u64, "person", "people");
            let note = format!("{people}, {}", count(steps as u64, "step", "steps"));
            self.section(word, title, note, &chosen);
        }
        if wants("groups") || show == "held" {
            self.groups(plan);
        }
    }

    fn section(&mut self, word: &'static str, title: &str, note: String, lives: &[&Life<'_>]) {
        let find = self.wanted.find.to_lowercase();
        let rows: Vec<Row> = lives.iter().map(|life| row(life)).filter(|row| matches(row, &find)).collect();
        if rows.is_empty() {
            return;
        }
        let held: usize =
            lives.iter().map(|life| life.steps().filter(|step| step.held_by.is_some()).count()).sum();
        let alone =
            self.wanted.show == word || word == "cause" && self.wanted.show == "leavers" || !find.is_empty();
        let (from, most) = if alone { (self.wanted.from, MANY) } else { (0, FEW) };
        let all = rows.len();
        let shown: Vec<Row> = rows.into_iter().skip(from).take(most).collect();
        let rest = all.saturating_sub(from + shown.len());
        if alone && rest > 0 {
            self.next = Some(from + shown.len());
        }
        self.sections.push(Section {
            word: if word == "cause" { "leavers".into() } else { word.into() },
            title: title.into(),
            note,
            chip: (held > 0).then(|| Chip::new("warn", "held", "held")),
            say: None,
            pick: (held > 0 && find.is_empty()).then_some((word, held)),
            rows: shown,
            more: if alone { 0 } else { rest },
        });
    }

    fn groups(&mut self, plan: &PlanView) {
        let find = self.wanted.find.to_lowercase();
        let kinds = ["create_group", "rename_group", "adopt_group"];
        let steps: Vec<&StepView> = kinds.iter().flat_map(|kind| plan.of_kind(kind)).collect();
        let rows: Vec<Row> = steps
            .iter()
            .map(|step| {
                let (icon, text, after) = match step.kind.as_str() {
                    "create_group" => ("plus", "made".to_owned(), ""),
                    "adopt_group" => ("ok", "taken over as it is".to_owned(), "was there"),
                    _ => ("rules", step.new_name.clone().unwrap_or_default(), ""),
                };
                Row {
                    key: step.id.clone(),
                    name: group_of(step).to_owned(),
                    mail: String::new(),
                    before: after,
                    cuts: Vec::new(),
                    adds: vec![Tag { class: "add", icon, text }],
                    after: "",
                    cost: "",
                    held: usize::from(step.held_by.is_some()),
                    field: "step",
                }
            })
            .filter(|row| matches(row, &find))
            .collect();
        if rows.is_empty() {
            return;
        }
        let held = steps.iter().filter(|step| step.held_by.is_some()).count();
        let adopted = steps.iter().filter(|step| step.kind == "adopt_group").count();
        let alone = self.wanted.show == "groups";
        let (all, most) = (rows.len(), if alone { MANY } else { 12 });
        self.sections.push(Section {
            word: "groups".into(),
            title: "Groups".into(),
            note: count(all as u64, "group", "groups"),
            chip: (held > 0).then(|| Chip::new("warn", "held", "held: asks you")),
            say: (adopted > 0).then(|| {
                "A group that is on the site already is looked after by Entrain from now on. Nobody is taken out by that."
                    .to_owned()
            }),
            pick: (held > 0 && find.is_empty()).then_some(("groups", held)),
            more: all.saturating_sub(most),
            rows: rows.into_iter().take(most).collect(),
        });
    }

    /// The first finding, for the headline.
    pub(crate) fn finding(plan: &PlanView) -> String {
        let Some(held) = plan.held.first() else {
            return if plan.has_changes() {
                "A plan that nothing holds".into()
            } else {
                "Nothing to do".into()
            };
        };
        if held.guard == "removals"
            && let Some((group, n)) = cause(&plan.lives())
        {
            return format!("Held: {} would leave {group} at once", count(n as u64, "person", "people"));
        }
        format!("Held: {}", short(&held.reason))
    }
}

fn paragraphs(plan: &PlanView, parts: &Parts<'_>, cause: Option<&(String, usize)>) -> Vec<String> {
    if !plan.has_changes() {
        return vec![if plan.held.is_empty() {
            "There is nothing to do: the site is as the directory says.".into()
        } else {
            "Nothing is planned; a limit holds.".into()
        }];
    }
    let mut lives = Vec::new();
    for (n, one, many) in [
        (parts.joiners.len(), "person joins", "people join"),
        (parts.movers.len(), "person changes groups", "people change groups"),
        (parts.leavers.len() + parts.held_by.len(), "person loses access", "people lose access"),
        (parts.others.len(), "person gets new attributes", "people get new attributes"),
        (plan.of_kind("create_group").count(), "group is made", "groups are made"),
        (plan.of_kind("adopt_group").count(), "group is taken over", "groups are taken over"),
    ] {
        if n > 0 {
            lives.push(count(n as u64, one, many));
        }
    }
    let joined = match lives.as_slice() {
        [] => "groups are renamed".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    };
    let held = plan.steps.iter().any(|step| step.held_by.is_some());
    let mut text =
        if held { format!("If you approve everything, {joined}.") } else { format!("{}.", capital(&joined)) };
    let removals = plan.of_kind("remove_member").count();
    if let Some((group, n)) = cause {
        let theirs: usize = parts.held_by.iter().map(|life| life.leaves.len()).sum();
        let of = count(removals as u64, "removal has", "removals have");
        let people = count(*n as u64, "person is", "people are");
        // Writing into a text cannot fail
        let _ = write!(
            text,
            " {} of the {of} one cause: {people} no longer in {group} in the directory.",
            number(theirs as u64)
        );
    }
    let mut paragraphs = vec![text];
    if held && removals > 0 {
        paragraphs.push(
            "If that was meant, approve it. If it was a slip, put it right in Entra: the next run will then find nothing to remove."
                .into(),
        );
    }
    paragraphs
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), chars.as_str()))
}

fn tabs(plan: &PlanView, parts: &Parts<'_>, held: usize, show: &str) -> Vec<Tab> {
    let groups =
        ["create_group", "rename_group", "adopt_group"].iter().map(|kind| plan.of_kind(kind).count()).sum();
    [
        ("", "All", plan.steps.len()),
        ("joiners", "Joiners", parts.joiners.len()),
        ("movers", "Movers", parts.movers.len()),
        ("leavers", "Leavers", parts.leavers.len() + parts.held_by.len()),
        ("groups", "Groups", groups),
        ("held", "Held", held),
    ]
    .into_iter()
    .filter(|(word, _, n)| *n > 0 || word.is_empty() || *word == show)
    .map(|(word, label, n)| Tab { word, label, n: number(n as u64), current: word == show })
    .collect()
}

fn seats((product, seats): (&String, &SeatsView)) -> Seats {
    let limit = seats.limit.unwrap_or(seats.before.max(seats.after));
    Seats {
        product: product.clone(),
        before: number(seats.before),
        after: number(seats.after),
        changes: seats.before != seats.after,
        limit: seats.limit.map(number),
        share_before: share(seats.before, limit),
        share_after: share(seats.after, limit),
        near: seats.limit.is_some_and(|limit| limit.saturating_sub(seats.after) * 10 <= limit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan() -> PlanView {
        let leaver = |n: usize| {
            json!({"id": format!("remove_member/g2/u{n}"), "kind": "remove_member", "undoable": true,
                "user": {"name": format!("Leaver {n}"), "directory_id": format!("u{n}")},
                "group": {"name": "Jira Field", "directory_id": "g2"},
                "reason": "no longer a member; Entrain gave it", "held_by": "removals"})
        };
        let mut steps: Vec<_> = (10..20).map(leaver).collect();
        steps.push(
            json!({"id": "create_user/u1", "kind": "create_user", "reason": "enabled", "undoable": false,
            "user": {"name": "Ana Ruiz", "directory_id": "u1", "mail": "ana@x.example"}}),
        );
        steps.push(json!({"id": "add_member/g1/u1", "kind": "add_member", "reason": "member through “A”", "undoable": true,
            "user": {"name": "Ana Ruiz", "directory_id": "u1", "mail": "ana@x.example"}, "group": {"name": "Jira Users"}}));
        PlanView::of(&json!({
            "connection": "Azure AD", "digest": "d", "status": "held", "steps": steps, "set_aside": [],
            "held": [{"guard": "removals", "reason": "10 memberships of “Jira Field” would be removed, of 12 known; the limit is 20 %"}],
            "seats": {"jira-software": {"before": 95, "after": 96, "limit": 100}}
        }))
    }

    #[test]
    fn the_cause_comes_before_the_list() {
        let letter = Letter::of(&plan(), Wanted::default());
        assert_eq!(Letter::finding(&plan()), "Held: 10 people would leave Jira Field at once");
        assert_eq!(
            letter.paragraphs[0],
            "If you approve everything, 1 person joins and 10 people lose access. 10 of the 10 removals have one \
             cause: 10 people are no longer in Jira Field in the directory."
        );
        let titles: Vec<&str> = letter.sections.iter().map(|section| section.title.as_str()).collect();
        assert_eq!(titles, ["Leaving Jira Field", "Joiners"]);
        assert_eq!(
            (letter.sections[0].rows.len(), letter.sections[0].more),
            (3, 7),
            "three, and a link to the rest"
        );
        assert_eq!(letter.sections[1].rows[0].cost, "cannot be undone");
        assert_eq!((letter.mails, letter.undoable, letter.steps, letter.removals), (1, 11, 12, 10));
        assert!(letter.seats[0].near && letter.seats[0].changes);
    }

    #[test]
    fn a_section_alone_has_all_its_rows_and_a_search_finds_them() {
        let show = |show: &str, find: &str| {
            Letter::of(&plan(), Wanted { show: show.into(), find: find.into(), from: 0 })
        };
        assert_eq!(show("leavers", "").sections[0].rows.len(), 10);
        assert_eq!(show("held", "").sections.len(), 1);
        let found = show("", "ana@");
        assert_eq!((found.sections.len(), found.sections[0].rows[0].name.as_str()), (1, "Ana Ruiz"));
    }

    #[test]
    fn a_person_is_explained_step_by_step() {
        let why = Why::of(&plan(), "u10").unwrap();
        assert_eq!(why.links[0].because, ["No longer a member.", "Entrain gave it."]);
        assert!(why.links[0].cuts && why.links[0].held.as_deref() == Some("Removals"));
        assert!(Why::of(&plan(), "nobody").is_none());
    }
}
