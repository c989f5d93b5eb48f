//! Taking back what a run did: what is given back, what stays because somebody else has had a hand in it since, and what is
//! only said.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::support::*;
use entrain_domain::memory::{Anchor, Hand, MemoryChange, OnLadder, Origin, UserLink};
use entrain_domain::model::*;
use entrain_domain::plan::{
    Action, Approval, Guard, Plan, PlanInput, Reversible, StepId, StepKind, groups_to_undo, undo,
};
use entrain_domain::policy::{Limit, Measure};
use entrain_domain::run::{Intent, JournalEntry, Outcome};
use entrain_domain::verify::verify_undo;

fn entry(outcome: Outcome, intent: Intent) -> JournalEntry {
    let kind = match &intent {
        Intent::CreateUser { .. } => StepKind::CreateUser,
        Intent::UpdateUser { .. } => StepKind::UpdateUser,
        Intent::CreateGroup { .. } => StepKind::CreateGroup,
        Intent::RenameGroup { .. } => StepKind::RenameGroup,
        Intent::AdoptGroup { .. } => StepKind::AdoptGroup,
        Intent::AddMember { .. } => StepKind::AddMember,
        Intent::RemoveMember { .. } => StepKind::RemoveMember,
        Intent::TakeRung { measure, .. } => StepKind::of_rung(*measure),
        Intent::ComeBack { from, .. } => StepKind::of_way_back(*from),
    };
    JournalEntry {
        step: StepId::from_stored(&format!("{kind}/step")),
        kind,
        outcome,
        attempts: 1,
        answer: "201".into(),
        at: "2026-11-01T08:00:00Z".parse().unwrap(),
        intent,
    }
}

pub(crate) fn done(intent: Intent) -> JournalEntry {
    entry(Outcome::Done, intent)
}

pub(crate) fn added(group: &str, name: &str) -> Intent {
    Intent::AddMember { group: sid(group), account: aid(name) }
}
fn removed(group: &str, name: &str) -> Intent {
    Intent::RemoveMember { group: sid(group), account: aid(name) }
}
fn invited(name: &str) -> Intent {
    let address = EmailAddress::parse(&mail(name)).unwrap();
    Intent::CreateUser { user: uid(name), address, name: format!("Name {name}") }
}
fn rung(name: &str, measure: Measure) -> Intent {
    Intent::TakeRung { user: uid(name), account: aid(name), measure, name: format!("Name {name}") }
}
fn renamed(group: &str, before: &str, name: &str) -> Intent {
    let (before, name) = (before.to_owned(), name.to_owned());
    Intent::RenameGroup { group: gid(group).into(), site_group: sid(group), before, name }
}

impl World {
    fn undoing<R>(&self, journal: &[JournalEntry], ask: impl FnOnce(&PlanInput<'_>) -> R) -> R {
        let directory = self.directory();
        let mut site = self.site(&directory);
        for id in groups_to_undo(&self.input(&directory, &site), journal) {
            if !self.unread_site_groups.contains(&id) {
                let members = self.site_groups[&id].1.iter().cloned().collect();
                site.put_members(id, SiteMembers::Complete(members));
            }
        }
        ask(&self.input(&directory, &site))
    }

    /// The plan that takes a journal back; the second opinion agrees with it.
    pub(crate) fn undo(&self, journal: &[JournalEntry]) -> Plan {
        let run = RunId::parse("run-7").unwrap();
        self.undoing(journal, |input| {
            let plan = undo(input, &run, journal);
            assert_eq!(verify_undo(input, &plan, journal), [], "{}", render(&plan));
            plan
        })
    }

    /// Steps and notes of that plan, one a line.
    pub(crate) fn taken_back(&self, journal: &[JournalEntry]) -> String {
        let plan = self.undo(journal);
        let steps = plan.steps.iter().map(|step| {
            let group = step.action.group().map(|g| format!(" {}", g.name)).unwrap_or_default();
            let person = step.action.person().map(|p| format!(" {}", p.name)).unwrap_or_default();
            let after = step.after.first().map(|at| format!(" after {at}")).unwrap_or_default();
            format!("{}{person}{group}{after}", step.action.kind())
        });
        let notes = plan.notes.iter().map(|note| format!("{}: {}", note.object, note.reason));
        steps.chain(notes).collect::<Vec<_>>().join("\n")
    }

    fn groups_asked(&self, journal: &[JournalEntry]) -> Vec<SiteGroupId> {
        self.undoing(journal, |input| groups_to_undo(input, journal))
    }

    fn own(&mut self, group: &str, name: &str, origin: Origin) {
        self.memory.own_membership(&sid(group), &aid(name), origin);
    }

    /// Somebody leaves, and Entrain takes these rungs.
    fn off(&mut self, name: &str, rungs: &[Measure]) {
        self.memory.apply(&MemoryChange::EnterLadder(Box::new(OnLadder {
            user: uid(name),
            account: aid(name),
            name: Arc::from(format!("Name {name} as she left")),
            origin: Origin::Created,
            leaving: Leaving::Disabled,
            since: self.now,
            groups: Vec::new(),
            passed: BTreeMap::new(),
        })));
        for measure in rungs {
            self.pass(name, *measure, Hand::Entrain);
        }
    }

    fn pass(&mut self, name: &str, measure: Measure, hand: Hand) {
        let at = self.now;
        self.memory.apply(&MemoryChange::PassRung { user: uid(name), measure, hand, at });
    }
}

/// Ana was invited and is in both groups, Ben was there before and is in one.
fn settled() -> World {
    let mut world =
        World::new(&["Team*"]).group("Team a", &["ana", "ben"]).group("Team b", &["ana"]).account("ben");
    world.converge();
    world
}

#[test]
fn what_was_given_is_taken_and_what_was_taken_is_given_the_last_first() {
    let mut world = settled();
    world.put_account("cem", Some("cem@example.com"), AccountKind::Person);
    let journal = [done(removed("Team b", "cem")), done(added("Team a", "ben"))];
    assert_eq!(world.taken_back(&journal), "remove_member Name ben Team a\nadd_member Name cem Team b");

    let plan = world.undo(&journal);
    assert_eq!(
        plan.steps[0].reason.to_string(),
        "done by run run-7: add_member/step; a person takes the run back"
    );
    let Action::RemoveMember { removal, person, .. } = &plan.steps[0].action else { panic!() };
    assert_eq!((&removal.site_group, &removal.account), (&sid("Team a"), &aid("ben")));
    assert_eq!((removal.owned, removal.proof.evidence()), (Some(Origin::Created), Evidence::TakenBack));
    assert_eq!(person.directory_id, Some(uid("ben")));
    let Action::AddMember { person, group } = &plan.steps[1].action else { panic!() };
    assert_eq!(person.directory_id, None, "nobody in the directory is linked to the account");
    assert_eq!(
        person.mail.as_ref().map(EmailAddress::as_str),
        Some("cem@example.com"),
        "as the site shows it"
    );
    assert_eq!(group.anchor, Anchor::Directory(gid("Team b")));
}

#[test]
fn only_what_the_run_itself_did_is_taken_back() {
    let world = settled();
    for outcome in [Outcome::Intent, Outcome::AlreadyDone, Outcome::Failed, Outcome::NotDone] {
        let journal = [entry(outcome, added("Team a", "ben")), entry(outcome, invited("ana"))];
        assert_eq!(world.taken_back(&journal), "", "{outcome:?}");
        assert_eq!(world.groups_asked(&journal), [], "{outcome:?}");
    }
}

#[test]
fn whoever_was_invited_loses_every_group_that_entrain_gave_and_stays() {
    let journal = [done(invited("ana")), done(added("Team a", "ana"))];
    let told = "remove_member Name ana Team a\n\
                remove_member Name ana Team b\n\
                user “Name ana” <ana@example.com>: the invitation was sent and cannot be called back; the account stays, \
                without groups";
    assert_eq!(settled().taken_back(&journal), told, "once, although two entries ask for it");

    let mut found = settled();
    let link = found.memory.user(&uid("ana")).unwrap().clone();
    found.memory.link_user(UserLink { origin: Origin::Found, ..link });
    assert_eq!(
        found.taken_back(&journal[..1]),
        told.lines().last().unwrap(),
        "an account that was there is not the run's"
    );
}

#[test]
fn the_members_of_the_groups_that_a_run_changed_are_asked_for_and_of_those_that_hold_its_invitees() {
    let mut world = settled().site_group("Sales", &[]);
    let journal = [
        done(added("Sales", "ben")),
        done(removed("gone", "ben")),
        done(invited("ana")),
        done(added("Team a", "ana")),
        done(renamed("Team a", "Old", "Team a")),
    ];
    assert_eq!(world.groups_asked(&journal), [sid("Sales"), sid("Team a"), sid("Team b")]);
    world.own("gone", "ana", Origin::Created);
    assert_eq!(
        world.groups_asked(&journal[2..3]),
        [sid("Team a"), sid("Team b")],
        "what the site has no more is not asked"
    );
    assert_eq!(world.groups_asked(&[done(invited("ben"))]), [], "Ben was not invited");
    assert_eq!(world.groups_asked(&[done(removed("Sales", "ben"))]), [sid("Sales")]);
}

#[test]
fn a_membership_that_changed_hands_since_stays() {
    let journal = [done(added("Team a", "ben"))];
    let mut out = settled();
    out.by_hand_out("Team a", "ben");
    assert_eq!(out.taken_back(&journal), "", "somebody took him out already");

    let mut own = settled();
    own.memory.disown_membership(&sid("Team a"), &aid("ben"));
    assert_eq!(
        own.taken_back(&journal),
        "Name ben in group “Team a”: the membership is somebody's own by now: the ledger does not have it"
    );

    let back = [done(removed("Team a", "ben"))];
    assert_eq!(settled().taken_back(&back), "", "somebody put him back already");
}

#[test]
fn a_group_that_is_gone_or_cannot_be_read_is_said() {
    let journal = [done(added("Team a", "ben"))];
    let mut unread = settled();
    unread.unread_site_groups.insert(sid("Team a"));
    assert_eq!(unread.taken_back(&journal), "Name ben in group “Team a”: 503 on page 2");
    assert_eq!(unread.taken_back(&[done(removed("Team a", "ben"))]), "", "and nothing is given blindly");

    let mut unasked = settled().site_group("Sales", &["ben"]);
    unasked.own("Sales", "ben", Origin::Created);
    unasked.unread_site_groups.insert(sid("Sales"));
    assert_eq!(
        unasked.taken_back(&[done(added("Sales", "ben"))]),
        "Name ben in group “Sales”: the members of the group were not read"
    );

    let mut gone = settled();
    gone.site_groups.remove(&sid("Team a"));
    assert_eq!(
        gone.taken_back(&journal),
        "Name ben in group s-Team_a: the group is not on the site any more"
    );
    assert_eq!(
        gone.taken_back(&[done(removed("Team a", "ben"))]),
        "Name ben in group s-Team_a: the group was deleted since; the membership cannot be given back"
    );
}

#[test]
fn an_account_that_is_gone_gets_nothing_back_and_is_named_as_well_as_can_be() {
    let world = settled();
    assert_eq!(
        world.taken_back(&[done(removed("Team a", "nobody"))]),
        "712020:nobody in group “Team a”: the account is not on the site any more; the membership cannot be given back"
    );
    let mut lost = settled();
    lost.accounts.remove(&aid("ben"));
    assert_eq!(
        lost.taken_back(&[done(removed("Team a", "ben"))]),
        "Name ben in group “Team a”: the account is not on the site any more; the membership cannot be given back",
        "the directory still knows him"
    );
}

#[test]
fn a_group_that_stands_for_nothing_any_more_is_called_by_its_name() {
    let mut world = settled();
    world.memory.unlink_group(&sid("Team a"));
    let plan = world.undo(&[done(added("Team a", "ben"))]);
    assert_eq!(plan.steps[0].action.group().unwrap().anchor, Anchor::named("Team a"));
}

#[test]
fn protected_accounts_and_our_own_are_left_as_they_are() {
    type Protect = fn(&mut World);
    let cases: [(&str, Protect); 2] = [
        ("by id", |world| {
            world.rules.protected.accounts.insert(aid("ben"));
        }),
        ("by address", |world| {
            world.rules.protected.addresses.insert(mail("ben"));
        }),
    ];
    for (how, protect) in cases {
        let mut world = settled();
        world.put_account("cem", Some(&mail("cem")), AccountKind::Person);
        protect(&mut world);
        assert_eq!(
            world.taken_back(&[done(added("Team a", "ben"))]),
            "Name ben in group “Team a”: the account is protected",
            "{how}"
        );
        world.by_hand_out("Team a", "ben");
        assert_eq!(world.taken_back(&[done(removed("Team a", "ben"))]), "", "{how}");
        assert_eq!(
            world.taken_back(&[done(removed("Team a", "cem"))]),
            "add_member Name cem Team a",
            "{how}: the others are not protected"
        );
    }
    let mut world = settled();
    world.put_account("sync-bot", None, AccountKind::Person);
    assert_eq!(world.taken_back(&[done(removed("Team a", "sync-bot"))]), "", "our own");
}

#[test]
fn access_comes_back_rung_by_rung_and_before_the_groups() {
    let mut world = settled();
    world.by_hand_out("Team a", "ana");
    world.off("ana", &[Measure::Suspend, Measure::Deactivate]);
    let journal = [
        done(removed("Team a", "ana")),
        done(rung("ana", Measure::Suspend)),
        done(rung("ana", Measure::Deactivate)),
        done(added("Team a", "ben")),
    ];
    assert_eq!(
        world.taken_back(&journal),
        "remove_member Name ben Team a\n\
         reactivate_user Name ana as she left\n\
         restore_user Name ana as she left after 1\n\
         add_member Name ana Team a after 2",
        "under the name by which she left"
    );
    assert_eq!(
        world.taken_back(&journal[1..2]),
        "restore_user Name ana as she left",
        "the last run's suspension alone"
    );
}

#[test]
fn access_that_entrain_no_longer_withholds_is_not_given_back() {
    let journal = [done(rung("ana", Measure::Suspend))];
    assert_eq!(settled().taken_back(&journal), "", "she is not on the ladder any more");

    let mut other = settled();
    other.off("ana", &[]);
    other.pass("ana", Measure::Suspend, Hand::Other);
    assert_eq!(other.taken_back(&journal), "", "somebody else's suspension is theirs");
    let mut further = settled();
    further.off("ana", &[Measure::Deactivate]);
    assert_eq!(further.taken_back(&journal), "", "the suspension was taken back, another rung is her place");

    let mut again = settled();
    again.off("ana", &[Measure::Suspend]);
    again.put_account("ana-new", Some("ana.new@example.com"), AccountKind::Person);
    let old = Intent::TakeRung {
        user: uid("ana"),
        account: aid("ana-new"),
        measure: Measure::Suspend,
        name: "Ana".into(),
    };
    assert_eq!(again.taken_back(&[done(old)]), "", "it is another account that is on the ladder");

    let mut relinked = settled();
    relinked.off("ana", &[Measure::Suspend]);
    let link = relinked.memory.user(&uid("ana")).unwrap().clone();
    relinked.memory.link_user(UserLink { user: uid("eve"), ..link });
    assert_eq!(relinked.taken_back(&journal), "", "the account is another person's by now");
}

#[test]
fn whoever_left_the_site_since_has_no_access_to_get_back() {
    let journal = [done(rung("ana", Measure::Suspend))];
    let told = "user “Name ana as she left”: is not on the site any more, so there is no access to give back";
    let mut removed = settled();
    removed.off("ana", &[Measure::Suspend, Measure::Remove]);
    assert_eq!(removed.taken_back(&journal), told, "by Entrain's own hand");
    let mut lost = settled();
    lost.off("ana", &[Measure::Suspend]);
    lost.accounts.remove(&aid("ana"));
    assert_eq!(lost.taken_back(&journal), told, "by another");
}

#[test]
fn what_cannot_be_taken_back_is_said() {
    let world = settled();
    let back = Intent::ComeBack {
        user: uid("ana"),
        account: aid("ana"),
        from: Reversible::Suspend,
        name: "Name ana".into(),
    };
    let journal = [
        done(Intent::CreateGroup { group: gid("Team a").into(), name: "Team a".into() }),
        done(rung("ana", Measure::Remove)),
        done(back),
    ];
    assert_eq!(
        world.taken_back(&journal),
        "user “Name ana”: got the access back because the person is back in the directory; that is not taken again\n\
         user “Name ana”: was taken off the site; only a new invitation brings the person back\n\
         group “Team a”: groups are never deleted; it stays, without the members that Entrain put there"
    );
}

#[test]
fn an_adopted_group_is_let_go_and_what_was_found_in_it_is_somebody_s_own() {
    let adopted = |group: &str| {
        let (name, site_group) = ("Team a".to_owned(), sid("Team a"));
        [done(Intent::AdoptGroup { group: gid(group).into(), site_group, name })]
    };
    let mut world = settled();
    world.own("Team a", "zoe", Origin::Found);
    world.own("Team a", "cem", Origin::Adopted);
    let plan = world.undo(&adopted("Team a"));
    let disowned = |name: &str| MemoryChange::DisownMembership { group: sid("Team a"), account: aid(name) };
    assert_eq!(
        plan.records,
        [disowned("cem"), disowned("zoe"), MemoryChange::UnlinkGroup { group: sid("Team a") }],
        "what Entrain granted stays in the ledger"
    );
    assert_eq!(
        world.taken_back(&adopted("Team a")),
        "group “Team a”: is let go: Entrain no longer manages it, and its members are somebody's own"
    );
    let plan = world.undo(&adopted("Team b"));
    assert!(
        plan.records.is_empty() && plan.notes.is_empty(),
        "it stands for something else by now: {plan:?}"
    );
}

#[test]
fn a_group_gets_its_old_name_back_unless_the_name_was_touched_since() {
    let world = settled();
    let old_name = |world: &World, before: &str, name: &str| {
        let plan = world.undo(&[done(renamed("Team a", before, name))]);
        plan.steps.iter().find_map(|step| match &step.action {
            Action::RenameGroup { renaming, .. } => {
                Some((renaming.site_id.clone(), renaming.name.to_string()))
            }
            _ => None,
        })
    };
    let back = |name: &str| Some((sid("Team a"), name.to_owned()));
    assert_eq!(old_name(&world, "Old team", "Team a"), back("Old team"));
    assert_eq!(old_name(&world, "TEAM A", "Team a"), back("TEAM A"), "it does not stand in its own way");

    let told = |world: &World, before: &str, name: &str| {
        assert_eq!(old_name(world, before, name), None);
        world.taken_back(&[done(renamed("Team a", before, name))])
    };
    assert_eq!(
        told(&world, "Old team", "Team one"),
        "group “Team a”: was called “Team one” by the run and has another name since"
    );
    assert_eq!(told(&world, "Team b", "Team a"), "group “Team a”: another group is called “Team b” by now");
    let mut other = world.clone();
    other.memory.unlink_group(&sid("Team a"));
    other.link(&gid("Team c").into(), &sid("Team a"), "Team a", Origin::Adopted);
    assert_eq!(
        told(&other, "Old team", "Team a"),
        "group “Team a”: was called “Team a” by the run and has another name since",
        "it stands for another group"
    );
    let mut gone = world.clone();
    gone.site_groups.remove(&sid("Team a"));
    assert_eq!(told(&gone, "Old team", "Team a"), "group “Team a”: is not on the site any more");
}

#[test]
fn what_a_run_gave_is_not_taken_by_the_hundred_unless_a_person_says_so() {
    let mut world = settled();
    world.rules.limits.removals = Limit { percent: 0, number: 1 };
    let journal = [done(added("Team a", "ben")), done(added("Team a", "ana"))];
    let plan = world.undo(&journal);
    assert!(plan.steps.iter().all(|step| step.hold == Some(Guard::Removals)), "{}", render(&plan));
    assert!(plan.held.iter().all(|held| held.guard == Guard::Removals) && !plan.held.is_empty());
    assert!(plan.released.is_empty());
    world.approval = Approval::Held;
    let plan = world.undo(&journal);
    assert_eq!((plan.open_steps().count(), plan.held.len()), (2, 0), "{}", render(&plan));
    assert!(!plan.released.is_empty());
    world.approval = Approval::None;
    assert_eq!(world.undo(&journal[..1]).held, [], "one is within the limit");
}

#[test]
fn what_is_taken_back_makes_the_fingerprint_of_the_plan_and_not_the_hour() {
    let mut world = settled();
    let given = world.undo(&[done(added("Team a", "ben"))]);
    let other = world.undo(&[done(added("Team a", "ana"))]);
    assert_ne!(given.digest, other.digest);
    world.now = "2026-11-03T08:00:00Z".parse().unwrap();
    assert_eq!(given.digest, world.undo(&[done(added("Team a", "ben"))]).digest);
}
