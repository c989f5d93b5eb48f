//! The sections of a letter: which rows each of them asks for, and how it is told with them. A section that is shown
//! alone, or searched, is paged; sections beside each other have a few rows each.

use entrain_domain::plan::{PlanRow, PlanRowsWanted};
use entrain_engine::plan_view::{Life, PlanView};

use super::gist::{Gist, SECTIONS, of_groups, row_of};
use super::people::{Parts, matches, row};
use super::{FEW, Letter, MANY, Row, Section, group_row};
use crate::console::parts::{Chip, count};

/// Groups of a section that is one among others.
const FEW_GROUPS: usize = 12;

/// What a section asks for.
pub(crate) struct Ask {
    word: &'static str,
    /// Only rows of which something is held.
    held: bool,
    /// Whether it is paged.
    alone: bool,
    /// Rows that it may show; one more says whether there are more.
    most: usize,
    pub(crate) rows: PlanRowsWanted,
}

impl Letter {
    /// What the sections after this one ask for next, until the page is full: the next section's number, and its ask.
    pub(crate) fn ask(&self, gist: &Gist, after: usize) -> Option<(usize, Ask)> {
        if self.next.is_some() {
            return None;
        }
        (after..SECTIONS.len()).find_map(|at| Some((at + 1, self.ask_of(gist, SECTIONS[at])?)))
    }

    fn ask_of(&self, gist: &Gist, word: &'static str) -> Option<Ask> {
        let show = self.wanted.show.as_str();
        let shown_under = if word == "cause" { "leavers" } else { word };
        if !(show.is_empty() || show == shown_under || show == "held") {
            return None;
        }
        let tally = gist.tally(word);
        // Groups are shown whole beside what is held: they ask a person
        let held = show == "held" && word != "groups";
        if tally.rows == 0 || held && tally.held_rows == 0 {
            return None;
        }
        let find = self.wanted.find.to_lowercase();
        let alone = show == shown_under || !find.is_empty();
        let most = match (alone, word) {
            (true, _) => MANY.saturating_sub(self.paged),
            (false, "groups") => FEW_GROUPS,
            (false, _) => FEW,
        };
        let (first, until) = gist.places(word);
        let from = if alone { first.max(self.wanted.from) } else { first };
        let limit = u32::try_from(most + 1).unwrap_or(u32::MAX);
        let rows = PlanRowsWanted { from, until, held: i64::from(held), find, limit };
        Some(Ask { word, held, alone, most, rows })
    }

    /// Tells a section with the rows that it asked for.
    pub(crate) fn put(&mut self, gist: &Gist, ask: &Ask, mut rows: Vec<(i64, Row)>) {
        if rows.is_empty() {
            return;
        }
        let Ask { word, held, alone, most, .. } = *ask;
        let (tally, searched) = (gist.tally(word), !ask.rows.find.is_empty());
        let cut = rows.get(most).map(|(place, _)| *place);
        rows.truncate(most);
        if alone {
            self.next = cut;
            self.paged += rows.len();
        }
        if rows.is_empty() {
            return;
        }
        let all = if held { tally.held_rows } else { tally.rows };
        let steps = if held { tally.held_row_steps } else { tally.steps };
        let is_groups = word == "groups";
        let note = match (is_groups, searched, cut) {
            (true, true, Some(_)) => format!("more than {}", count(rows.len() as u64, "group", "groups")),
            (true, true, None) => count(rows.len() as u64, "group", "groups"),
            (true, ..) => count(all as u64, "group", "groups"),
            (false, ..) => {
                let people = count(all as u64, "person", "people");
                format!("{people}, {}", count(steps as u64, "step", "steps"))
            }
        };
        let say = (is_groups && gist.kind("adopt_group") > 0).then(|| {
            "A group that is on the site already is looked after by Entrain from now on. Nobody is taken out by that."
                .to_owned()
        });
        let held_words = if is_groups { "held: asks you" } else { "held" };
        self.sections.push(Section {
            word: if word == "cause" { "leavers".into() } else { word.into() },
            title: match word {
                "cause" => format!("Leaving {}", gist.cause.as_ref().map_or("", |(group, _)| group)),
                "joiners" => "Joiners".into(),
                "movers" => "Movers".into(),
                "leavers" => "Leavers".into(),
                "groups" => "Groups".into(),
                _ => "Attributes".into(),
            },
            note,
            chip: (tally.held > 0).then(|| Chip::new("warn", "held", held_words)),
            say,
            pick: (tally.held > 0 && !searched).then_some(word),
            ticked: false,
            more: if alone { 0 } else { all.saturating_sub(rows.len()) },
            rows: rows.into_iter().map(|(_, row)| row).collect(),
        });
    }

    /// Fills all sections from the plan itself.
    pub(super) fn fill(&mut self, gist: &Gist, plan: &PlanView, parts: &Parts<'_>) {
        let mut at = 0;
        while let Some((next, ask)) = self.ask(gist, at) {
            let wanted = &ask.rows;
            let (first, _) = gist.places(ask.word);
            let fits = |(place, row): &(i64, Row)| {
                *place >= wanted.from
                    && i64::try_from(row.held).unwrap_or(i64::MAX) >= wanted.held
                    && matches(row, &wanted.find)
            };
            let limit = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
            let rows: Vec<(i64, Row)> = if ask.word == "groups" {
                (first..).zip(of_groups(plan).into_iter().map(group_row)).filter(fits).take(limit).collect()
            } else {
                let lives = parts.named(ask.word).iter();
                (first..).zip(lives.map(|life: &&Life<'_>| row(life))).filter(fits).take(limit).collect()
            };
            self.put(gist, &ask, rows);
            at = next;
        }
    }
}

/// Rows as they were kept.
pub(crate) fn kept(rows: Vec<PlanRow>) -> Vec<(i64, Row)> {
    let read = |row: PlanRow| Some((row.place, row_of(serde_json::from_str(&row.body).ok()?)?));
    rows.into_iter().filter_map(read).collect()
}
