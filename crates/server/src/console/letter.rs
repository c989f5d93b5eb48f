//! A plan as a letter: the cause before the list, then who joins, moves and leaves.

mod gist;
mod people;
mod sections;
mod why;

use entrain_domain::plan::StepKind;
use entrain_engine::plan_view::{PlanView, StepView};

use super::parts::{Chip, number, sentence, share};

pub(crate) use gist::Gist;
use people::{Parts, key};
pub(crate) use sections::kept;
pub(crate) use why::Why;

/// Rows of a section that is one among others.
const FEW: usize = 3;
/// Rows of a page that shows one section alone.
pub(crate) const MANY: usize = 60;
/// Kinds of steps about groups alone.
const OF_GROUPS: [&str; 3] = ["create_group", "rename_group", "adopt_group"];
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
    pub(crate) ticked: bool,
}

/// Rows under one heading.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) word: String,
    pub(crate) title: String,
    pub(crate) note: String,
    pub(crate) chip: Option<Chip>,
    pub(crate) say: Option<String>,
    /// The word under which all of it is chosen for an approval, where something of it is held.
    pub(crate) pick: Option<&'static str>,
    pub(crate) ticked: bool,
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
    /// The place of the first row of a section that is paged.
    pub(crate) from: i64,
}

/// A letter.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    /// The first finding, for the headline.
    pub(crate) finding: String,
    pub(crate) paragraphs: Vec<String>,
    /// What holds it: the finding, and what it is measured by.
    pub(crate) held: Vec<(String, String)>,
    pub(crate) tabs: Vec<Tab>,
    pub(crate) sections: Vec<Section>,
    /// The first of what is set aside.
    pub(crate) asides: Vec<(String, String, String)>,
    pub(crate) all_asides: usize,
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
    /// The place at which the next page begins.
    pub(crate) next: Option<i64>,
    /// Rows of sections that are paged.
    paged: usize,
    /// Whether held steps can be chosen for an approval.
    pub(crate) picks: bool,
    /// Boxes that are ticked, and how many of them stand on other pages of it.
    pub(crate) ticked: usize,
    pub(crate) elsewhere: usize,
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
        let gist = Gist::of(plan, &parts, cause);
        let mut letter = Self::begun(&gist, wanted);
        letter.fill(&gist, plan, &parts);
        letter
    }

    /// A letter whose sections are still to be put in.
    pub(crate) fn begun(gist: &Gist, wanted: Wanted) -> Self {
        Self {
            finding: gist.finding(),
            paragraphs: gist.paragraphs(),
            held: gist.held.iter().map(|(_, reason)| holds(reason)).collect(),
            tabs: tabs(gist, &wanted.show),
            sections: Vec::new(),
            asides: gist
                .asides
                .iter()
                .map(|(object, reason, remedy)| (object.clone(), sentence(reason), sentence(remedy)))
                .collect(),
            all_asides: gist.all_asides,
            seats: gist.seats.iter().map(seats).collect(),
            seats_change: gist.seats.values().any(|(before, after, _)| before != after),
            steps: gist.steps,
            held_steps: gist.held_steps,
            removals: gist.held_removals,
            requests: number(gist.cost as u64),
            mails: gist.mails,
            taken_off: gist.kind("remove_user"),
            undoable: gist.undoable,
            empties: gist.held.iter().any(|(guard, _)| guard == "empty_directory"),
            wanted,
            next: None,
            paged: 0,
            picks: false,
            ticked: 0,
            elsewhere: 0,
        }
    }
}

/// A group, and what becomes of it.
fn group_row(step: &StepView) -> Row {
    let (icon, text, before) = match step.kind.as_str() {
        "create_group" => ("plus", "made".to_owned(), ""),
        "adopt_group" => ("ok", "taken over as it is".to_owned(), "was there"),
        _ => ("rules", step.new_name.clone().unwrap_or_default(), ""),
    };
    Row {
        key: step.id.clone(),
        name: group_of(step).to_owned(),
        mail: String::new(),
        before,
        cuts: Vec::new(),
        adds: vec![Tag { class: "add", icon, text }],
        after: "",
        cost: "",
        held: usize::from(step.held_by.is_some()),
        field: "step",
        ticked: false,
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), chars.as_str()))
}

fn tabs(gist: &Gist, show: &str) -> Vec<Tab> {
    let rows = |word| gist.tally(word).rows;
    [
        ("", "All", gist.steps),
        ("joiners", "Joiners", rows("joiners")),
        ("movers", "Movers", rows("movers")),
        ("leavers", "Leavers", rows("leavers") + rows("cause")),
        ("groups", "Groups", rows("groups")),
        ("held", "Held", gist.held_steps),
    ]
    .into_iter()
    .filter(|(word, _, n)| *n > 0 || word.is_empty() || *word == show)
    .map(|(word, label, n)| Tab { word, label, n: number(n as u64), current: word == show })
    .collect()
}

fn seats((product, (before, after, limit)): (&String, &(u64, u64, Option<u64>))) -> Seats {
    let all = limit.unwrap_or(*before.max(after));
    Seats {
        product: product.clone(),
        before: number(*before),
        after: number(*after),
        changes: before != after,
        limit: limit.map(number),
        share_before: share(*before, all),
        share_after: share(*after, all),
        near: limit.is_some_and(|limit| limit.saturating_sub(*after) * 10 <= limit),
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
        assert_eq!(letter.finding, "Held: 10 people would leave Jira Field at once");
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

    /// A letter made of kept rows alone.
    fn from_rows(gist: &Gist, all: &[entrain_domain::plan::PlanRow], wanted: Wanted) -> Letter {
        let mut letter = Letter::begun(gist, wanted);
        let mut at = 0;
        while let Some((next, ask)) = letter.ask(gist, at) {
            let wanted = &ask.rows;
            let fits = |row: &&entrain_domain::plan::PlanRow| {
                (wanted.from..wanted.until).contains(&row.place)
                    && row.held >= wanted.held
                    && row.find.contains(&wanted.find)
            };
            let rows: Vec<_> = all.iter().filter(fits).take(wanted.limit as usize).cloned().collect();
            letter.put(gist, &ask, kept(rows));
            at = next;
        }
        letter
    }

    #[test]
    fn a_plan_that_was_told_apart_makes_the_same_letter() {
        let plan = plan();
        let (gist, rows) = Gist::and_rows(&plan, None);
        // As they are kept
        let gist: Gist = serde_json::from_str(&serde_json::to_string(&gist).unwrap()).unwrap();
        assert_eq!(rows.len(), 11, "ten who leave and one who joins");
        for show in ["", "joiners", "leavers", "movers", "groups", "held"] {
            for (find, from) in [("", 0), ("ana@", 0), ("jira", 0), ("leaver 1", 4), ("nobody", 0)] {
                let wanted = || Wanted { show: show.into(), find: find.into(), from };
                let (one, other) = (Letter::of(&plan, wanted()), from_rows(&gist, &rows, wanted()));
                assert_eq!(format!("{one:?}"), format!("{other:?}"), "{show} {find} {from}");
            }
        }
    }

    #[test]
    fn a_long_section_is_paged_to_its_end_and_a_search_over_all_sections_too() {
        let person = |n: usize| {
            let kind = if n < 100 { "add_member" } else { "remove_member" };
            json!({"id": format!("{kind}/g{n}/u{n}"), "kind": kind, "reason": "member", "undoable": true,
                "user": {"name": format!("Person {n:03}"), "directory_id": format!("u{n}")}, "group": {"name": format!("G{n}")}})
        };
        let steps: Vec<_> = (0..150).map(person).collect();
        let plan = PlanView::of(
            &json!({"connection": "c", "status": "changes", "steps": steps, "held": [], "set_aside": []}),
        );
        let (gist, rows) = Gist::and_rows(&plan, None);
        for (show, find, all) in [("joiners", "", 0..100), ("leavers", "", 100..150), ("", "person", 0..150)]
        {
            let (mut from, mut seen, mut pages) = (0, Vec::new(), 0);
            loop {
                let letter = from_rows(&gist, &rows, Wanted { show: show.into(), find: find.into(), from });
                let shown = letter.sections.iter().flat_map(|section| &section.rows);
                let names: Vec<String> = shown.map(|row| row.name.clone()).collect();
                assert!(names.len() <= MANY);
                seen.extend(names);
                pages += 1;
                let Some(next) = letter.next else { break };
                from = next;
            }
            assert_eq!(pages, all.len().div_ceil(MANY));
            assert_eq!(seen, all.map(|n| format!("Person {n:03}")).collect::<Vec<_>>(), "{show} {find}");
        }
    }

    #[test]
    fn a_person_is_explained_step_by_step() {
        let why = Why::of(&plan(), "u10").unwrap();
        assert_eq!(why.links[0].because, ["No longer a member.", "Entrain gave it."]);
        assert!(why.links[0].cuts && why.links[0].held.as_deref() == Some("Removals"));
        assert!(Why::of(&plan(), "nobody").is_none());
    }
}
