//! The sync of one person beside a run over everything.

use std::collections::BTreeSet;

use entrain_domain::memory::{Anchor, GroupLink, MemoryChange, Origin, UserLink};
use entrain_domain::model::{
    Account, AccountActivity, AccountId, AccountKind, Coverage, DirectoryGroupId, DirectoryReading,
    DirectoryUserId, Presence, RunId, SiteGroup, SiteGroupId, SiteMembers, SiteSnapshot, SiteStanding,
};
use entrain_domain::plan::{StepId, StepKind};
use entrain_domain::run::{AuditNote, Intent, Outcome, Phase, RunStatus, RunSubject, StepEnd, Trigger};
use entrain_store::{Basis, Learnt, PersonClaim, SiteState, Store, Watermark};
use jiff::SignedDuration;

use super::runs::{report, run_id};
use crate::support::{World, on_both};

const C: &str = "Azure AD";

fn user(n: usize) -> DirectoryUserId {
    DirectoryUserId::parse(format!("user-{n}")).unwrap()
}
fn account(n: usize) -> AccountId {
    AccountId::parse(format!("acc-{n}")).unwrap()
}
fn group(n: usize) -> SiteGroupId {
    SiteGroupId::parse(format!("sg-{n}")).unwrap()
}
fn link(n: usize) -> MemoryChange {
    MemoryChange::LinkUser(UserLink {
        user: user(n),
        account: account(n),
        address: Some(format!("Person{n}@example.com").into()),
        origin: Origin::Created,
    })
}
fn owns(g: usize, n: usize) -> MemoryChange {
    MemoryChange::OwnMembership { group: group(g), account: account(n), origin: Origin::Created, path: None }
}
fn disowns(g: usize, n: usize) -> MemoryChange {
    MemoryChange::DisownMembership { group: group(g), account: account(n) }
}

async fn claim(store: &Store, world: &World, n: usize, run: &RunId) -> PersonClaim {
    let until = world.now() + SignedDuration::from_mins(5);
    store.claim_person(C, &user(n), run, until).await.unwrap()
}

async fn begin(store: &Store, world: &World, n: usize, run: &RunId) {
    let subject = RunSubject::Person(user(n));
    store.begin_about(run, C, Trigger::SignIn, &subject, world.now()).await.unwrap();
}

fn site(groups: &[(usize, &[usize])]) -> SiteSnapshot {
    let standing = SiteStanding {
        own_account: AccountId::parse("me").unwrap(),
        products: Vec::new(),
        administrative_groups: BTreeSet::new(),
        site_admin: Some(true),
        administer: Some(true),
        browse_users: Some(true),
    };
    let known = groups.iter().map(|(n, _)| SiteGroup { id: group(*n), name: format!("G{n}").into() });
    let mut site = SiteSnapshot::new(standing, Vec::new(), known.collect());
    for (n, members) in groups {
        site.put_members(group(*n), SiteMembers::Complete(members.iter().map(|m| account(*m)).collect()));
    }
    site
}

async fn learn(store: &Store, world: &World, changes: &[MemoryChange], since: Option<i64>) {
    let mut reading = DirectoryReading::new();
    let (parent, child) =
        (DirectoryGroupId::parse("dg-1").unwrap(), DirectoryGroupId::parse("dg-2").unwrap());
    reading.put_group(&parent, "Parent");
    reading.put_group(&child, "Child");
    reading.set_members(&parent, [entrain_domain::model::MemberRef::Group(child.clone())]);
    reading.set_members(&child, []);
    let directory = reading.finish(Coverage::Complete, Coverage::Complete);
    let watermark = Watermark { users: "u".into(), groups: "g".into(), issued_at: world.now() };
    let basis = Basis { demand: "d".into(), rules: "r".into(), full_at: world.now() };
    let learnt = Learnt {
        changes,
        directory: &directory,
        watermark: &watermark,
        site: &site(&[(1, &[1, 2]), (2, &[])]),
        state: SiteState::Settled,
        basis: &basis,
        since,
    };
    store.learn(C, learnt).await.unwrap();
}

on_both!(one_sync_of_a_person_at_a_time_and_a_dead_one_gives_way, |world| {
    let store = world.open().await;
    let (one, two) = (run_id("run-1"), run_id("run-2"));
    assert_eq!(claim(&store, &world, 1, &one).await, PersonClaim::Ours);
    assert_eq!(claim(&store, &world, 1, &two).await, PersonClaim::Run(one.clone()));
    assert_eq!(claim(&store, &world, 2, &two).await, PersonClaim::Ours, "somebody else");
    begin(&store, &world, 1, &one).await;
    // Never released: its process is gone.
    world.set(world.now() + SignedDuration::from_mins(6));
    let dead = store.abandoned(C).await.unwrap();
    assert!(dead.iter().map(|run| &run.id).eq([&one]));
    assert_eq!(claim(&store, &world, 1, &two).await, PersonClaim::Ours);
    store.release_person(C, &user(1), &one).await.unwrap();
    assert_eq!(store.claimed_by(C, &user(1)).await.unwrap(), Some(two.clone()), "the dead one frees nothing");
    store.release_person(C, &user(1), &two).await.unwrap();
    assert_eq!(store.claimed_by(C, &user(1)).await.unwrap(), None);
});

on_both!(of_many_racing_syncs_of_a_person_one_goes, |world| {
    let (store, other) = (world.open().await, world.open().await);
    for round in 0..8 {
        let mut racers = tokio::task::JoinSet::new();
        for n in 0..8 {
            let store = if n % 2 == 0 { store.clone() } else { other.clone() };
            let (run, until) =
                (run_id(&format!("run-{round}-{n}")), world.now() + SignedDuration::from_mins(5));
            racers.spawn(async move {
                let claim = store.claim_person(C, &user(1), &run, until).await.unwrap();
                (claim == PersonClaim::Ours).then_some(run)
            });
        }
        let ours: Vec<RunId> = racers.join_all().await.into_iter().flatten().collect();
        assert_eq!(ours.len(), 1, "round {round}");
        store.release_person(C, &user(1), &ours[0]).await.unwrap();
    }
});

on_both!(a_run_sees_who_was_synced_since_it_began_and_no_clock_is_asked, |world| {
    let store = world.open().await;
    let run = run_id("run-1");
    let before = store.gate(C).await.unwrap();
    claim(&store, &world, 1, &run).await;
    begin(&store, &world, 1, &run).await;
    store.learn_of_person(C, &[link(1)]).await.unwrap();
    let passed = async |since: i64| {
        (
            store.overtaken(C, Some(&user(1)), None, since).await.unwrap(),
            store.overtaken(C, None, Some(&account(1)), since).await.unwrap(),
            store.overtaken(C, Some(&user(2)), Some(&account(2)), since).await.unwrap(),
        )
    };
    assert_eq!(passed(before).await, (true, true, false));
    let during = store.gate(C).await.unwrap();
    assert_eq!(passed(during).await, (true, true, false), "it is under way");
    world.set(world.now() - SignedDuration::from_hours(2));
    store.release_person(C, &user(1), &run).await.unwrap();
    assert_eq!(passed(during).await, (true, true, false), "it ended since");
    let after = store.gate(C).await.unwrap();
    assert_eq!(passed(after).await, (false, false, false));
    assert!(!store.overtaken("Other", Some(&user(1)), None, before).await.unwrap());
});

on_both!(a_run_learns_nothing_of_whoever_was_synced_since_it_began, |world| {
    let store = world.open().await;
    learn(&store, &world, &[link(1), link(2), owns(1, 1), owns(1, 2)], None).await;
    let since = store.gate(C).await.unwrap();
    let run = run_id("run-1");
    claim(&store, &world, 1, &run).await;
    begin(&store, &world, 1, &run).await;
    store.learn_of_person(C, &[owns(2, 1)]).await.unwrap();
    store.release_person(C, &user(1), &run).await.unwrap();
    // What the run saw is older than the sign-in.
    learn(&store, &world, &[disowns(1, 1), disowns(2, 1), disowns(1, 2)], Some(since)).await;
    let memory = store.memory(C).await.unwrap();
    assert!(memory.membership(&group(1), &account(1)).is_some());
    assert!(memory.membership(&group(2), &account(1)).is_some());
    assert!(memory.membership(&group(1), &account(2)).is_none(), "of others it learns");
});

on_both!(a_persons_part_of_memory_has_their_own_and_the_size_of_the_whole, |world| {
    let store = world.open().await;
    let linked = MemoryChange::LinkGroup(GroupLink {
        anchor: Anchor::Directory(DirectoryGroupId::parse("dg-1").unwrap()),
        group: group(1),
        name: "G1".into(),
        origin: Origin::Created,
    });
    let changes = [link(1), link(2), link(3), linked, owns(1, 1), owns(1, 2), owns(1, 3), owns(2, 2)];
    learn(&store, &world, &changes, None).await;
    let part = store.person_memory(C, &user(1), &[]).await.unwrap();
    assert_eq!(part.users().len(), 1);
    assert_eq!(part.all_memberships().count(), 1);
    assert_eq!(part.groups().len(), 1);
    assert_eq!((part.linked_people(), part.membership_count(), part.holders()), (3, 4, 3));
    assert_eq!(part.memberships_of(&group(1)), 3);
    let beside = store.person_memory(C, &user(9), &[account(2)]).await.unwrap();
    assert_eq!(beside.user_of(&account(2)), Some(&user(2)), "whose account it is");
    assert_eq!(store.linked_by(C, "person2@EXAMPLE.com").await.unwrap(), [user(2)]);
    assert_eq!(store.linked_by(C, "acc-3").await.unwrap(), [user(3)]);
    assert!(store.linked_by(C, "nobody").await.unwrap().is_empty());
});

on_both!(what_was_written_for_a_person_is_in_the_sites_mirror_and_nothing_else_moves, |world| {
    let store = world.open().await;
    let none = store.patch_site(C, &[], &[], &[(group(1), account(1), Presence::Out)], None).await;
    none.unwrap();
    assert!(store.site_mirror(C).await.unwrap().is_none(), "nothing is made of nothing");
    learn(&store, &world, &[], None).await;
    let (head, stamp) = (store.mirror_head(C).await.unwrap(), store.ground_stamp(C).await.unwrap());
    let new = Account {
        id: account(5),
        email: None,
        display_name: "Five".into(),
        activity: AccountActivity::Active,
        kind: AccountKind::Person,
    };
    let members = [
        (group(1), account(1), Presence::Out),
        (group(1), account(5), Presence::In),
        (group(2), account(5), Presence::In),
    ];
    store.patch_site(C, std::slice::from_ref(&new), &[], &members, None).await.unwrap();
    assert_eq!(store.ground_stamp(C).await.unwrap(), stamp);
    let made = SiteGroup { id: group(3), name: "G3".into() };
    store
        .patch_site(C, &[], std::slice::from_ref(&made), &[(group(3), account(5), Presence::In)], None)
        .await
        .unwrap();
    assert_eq!(store.mirror_head(C).await.unwrap(), head);
    assert_ne!(store.ground_stamp(C).await.unwrap(), stamp, "the groups are others now");
    let mirror = store.site_mirror(C).await.unwrap().unwrap();
    assert_eq!(mirror.accounts, [new]);
    assert_eq!(mirror.members[&group(1)], [account(2), account(5)]);
    assert_eq!(mirror.members[&group(2)], [account(5)]);
    assert_eq!(mirror.members[&group(3)], [account(5)]);
    let ground = store.ground(C).await.unwrap();
    assert_eq!(ground.site.len(), 3);
    let parent = ground.directory.iter().find(|group| &*group.name == "Parent").unwrap();
    assert_eq!(parent.nested, [DirectoryGroupId::parse("dg-2").unwrap()]);
});

on_both!(a_persons_run_is_no_last_run_no_unfinished_run_and_its_calls_are_its_own_to_settle, |world| {
    let store = world.open().await;
    let run = run_id("run-1");
    let since = store.gate(C).await.unwrap();
    claim(&store, &world, 1, &run).await;
    begin(&store, &world, 1, &run).await;
    let step = StepId::from_stored("add_member/dg-1/user-1");
    let intent = Intent::AddMember { group: group(1), account: account(1) };
    store.intend(&run, &step, StepKind::AddMember, &intent, world.now()).await.unwrap();
    assert!(store.unfinished(C).await.unwrap().is_none());
    assert!(store.open_intents(C).await.unwrap().is_empty(), "the call is under way");
    assert_eq!(store.open_beside(C, &user(1), &run_id("run-2")).await.unwrap().len(), 1);
    assert!(store.open_beside(C, &user(1), &run).await.unwrap().is_empty());
    // Somebody else's sync is their own affair, as long as it is alive and not at the same account.
    assert!(store.open_beside(C, &user(2), &run_id("run-2")).await.unwrap().is_empty());
    store.learn_of_person(C, &[link(1)]).await.unwrap();
    assert!(store.open_beside(C, &user(2), &run_id("run-2")).await.unwrap().is_empty());
    let taken = UserLink { user: user(2), account: account(1), address: None, origin: Origin::Created };
    learn(&store, &world, &[MemoryChange::LinkUser(taken)], None).await;
    assert_eq!(store.open_beside(C, &user(2), &run_id("run-2")).await.unwrap().len(), 1);
    let now = world.now();
    world.set(now + SignedDuration::from_mins(6));
    assert_eq!(store.open_beside(C, &user(3), &run_id("run-2")).await.unwrap().len(), 1, "it is dead");
    world.set(now);
    assert!(store.orphans("me").await.unwrap().is_empty(), "nobody takes it over");
    assert_eq!(store.written_beside(C, since).await.unwrap(), [group(1)]);
    let end = StepEnd {
        step,
        outcome: Outcome::Done,
        attempts: 1,
        answer: "added".into(),
        at: world.now(),
        changes: vec![owns(1, 1)],
        audit: None,
    };
    store.settle(&run, &end).await.unwrap();
    let note = AuditNote {
        actor: "entrain".into(),
        action: "run_ended".into(),
        object: run.to_string(),
        detail: String::new(),
    };
    store.end(&report(&run, RunStatus::Converged, world.now()), note).await.unwrap();
    store.release_person(C, &user(1), &run).await.unwrap();
    assert!(store.last_ended(C).await.unwrap().is_none());
    let history = store.history(C, world.now()).await.unwrap();
    assert_eq!(
        history.converged_before,
        entrain_domain::plan::Before::Never,
        "of everything nothing is said"
    );
    assert_eq!(store.written_beside(C, since).await.unwrap(), [group(1)]);
    assert!(store.written_beside(C, store.gate(C).await.unwrap()).await.unwrap().is_empty());
    assert_eq!(store.runs(Some(C), 5).await.unwrap().len(), 1, "it is listed like any other");
});

on_both!(of_somebody_whom_nobody_knows_nothing_is_kept, |world| {
    let store = world.open().await;
    let before = store.gate(C).await.unwrap();
    let run = run_id("run-1");
    claim(&store, &world, 7, &run).await;
    store.release_person(C, &user(7), &run).await.unwrap();
    assert!(!store.overtaken(C, Some(&user(7)), None, before).await.unwrap());
});

on_both!(p_8_what_was_done_counts_for_whoever_comes_next_although_it_is_not_counted_for_everybody, |world| {
    let store = world.open().await;
    let run = run_id("run-1");
    claim(&store, &world, 1, &run).await;
    let subject = RunSubject::Person(user(1));
    let planned = (Phase::Applying, "{}");
    store.begin_planned((&run, C), Trigger::SignIn, &subject, world.now(), planned).await.unwrap();
    let summary = store.run(&run).await.unwrap();
    assert_eq!((summary.phase, summary.trigger), (Phase::Applying, Trigger::SignIn));
    assert_eq!(store.plan(&run).await.unwrap().as_deref(), Some("{}"));
    let removed = async || {
        let about = store.about_person(C, &user(2), world.now()).await.unwrap();
        assert!(about.head.is_none() && about.mirrored.is_none());
        about.history.last_24h.get(StepKind::RemoveMember)
    };
    assert_eq!(removed().await, 0);
    let step = StepId::from_stored("remove_member/dg-1/user-1");
    let intent = Intent::RemoveMember { group: group(1), account: account(1) };
    store.intend(&run, &step, StepKind::RemoveMember, &intent, world.now()).await.unwrap();
    assert_eq!(removed().await, 0);
    let end = StepEnd {
        step,
        outcome: Outcome::Done,
        attempts: 1,
        answer: "removed".into(),
        at: world.now(),
        changes: Vec::new(),
        audit: None,
    };
    store.settle(&run, &end).await.unwrap();
    assert_eq!(removed().await, 1, "at once, within the same moment");
    let note = AuditNote {
        actor: "entrain".into(),
        action: "run_ended".into(),
        object: run.to_string(),
        detail: String::new(),
    };
    let gate = store.gate(C).await.unwrap();
    store.end_person(&report(&run, RunStatus::Converged, world.now()), note, &user(1)).await.unwrap();
    assert_eq!(store.run(&run).await.unwrap().phase, Phase::Ended);
    assert!(store.claimed_by(C, &user(1)).await.unwrap().is_none());
    assert_eq!(store.gate(C).await.unwrap(), gate + 1, "the gate is passed");
    assert!(store.overtaken(C, Some(&user(1)), None, gate).await.unwrap());
});
