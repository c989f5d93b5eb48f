//! Invariants over random worlds: whatever the two sides look like, a plan applied leaves nothing to plan, takes away
//! only what the ledger owns and the directory completely denies, and passes the second opinion. A failing case
//! prints its input; proptest keeps the seed beside this file.

use std::collections::BTreeSet;

use crate::support::*;
use entrain_domain::model::*;
use entrain_domain::plan::{Action, Approval, Guard, PlanInput, Removal, plan};
use entrain_domain::policy::{Existing, GroupMode};
use entrain_domain::verify::verify;
use proptest::prelude::*;

const PEOPLE: [&str; 12] = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "pa", "pb"];
const GROUPS: [&str; 6] = ["Jira a", "Jira b", "Jira c", "inner d", "inner e", "Jira f"];

#[derive(Debug, Clone)]
enum Event {
    Join(usize, usize),
    Leave(usize, usize),
    Nest(usize, usize),
    Unnest(usize, usize),
    Disable(usize),
    Enable(usize),
    Delete(usize),
    ByHandAdd(usize, usize),
    ByHandRemove(usize, usize),
    Unread(usize),
    Readable(usize),
    Rename(usize, usize),
    Converge,
}

fn event() -> impl Strategy<Value = Event> {
    let (p, g) = (0..PEOPLE.len(), 0..GROUPS.len());
    prop_oneof![
        6 => (p.clone(), g.clone()).prop_map(|(p, g)| Event::Join(p, g)),
        4 => (p.clone(), g.clone()).prop_map(|(p, g)| Event::Leave(p, g)),
        2 => (g.clone(), g.clone()).prop_map(|(a, b)| Event::Nest(a, b)),
        1 => (g.clone(), g.clone()).prop_map(|(a, b)| Event::Unnest(a, b)),
        1 => p.clone().prop_map(Event::Disable),
        1 => p.clone().prop_map(Event::Enable),
        1 => p.clone().prop_map(Event::Delete),
        1 => (p.clone(), g.clone()).prop_map(|(p, g)| Event::ByHandAdd(p, g)),
        1 => (p, g.clone()).prop_map(|(p, g)| Event::ByHandRemove(p, g)),
        1 => g.clone().prop_map(Event::Unread),
        1 => g.clone().prop_map(Event::Readable),
        1 => (g.clone(), g).prop_map(|(a, b)| Event::Rename(a, b)),
        4 => Just(Event::Converge),
    ]
}

fn happen(world: &mut World, event: &Event) {
    match *event {
        Event::Join(p, g) => {
            if world.users.contains_key(PEOPLE[p]) {
                world.groups.get_mut(GROUPS[g]).unwrap().users.insert(PEOPLE[p].into());
            }
        }
        Event::Leave(p, g) => {
            world.groups.get_mut(GROUPS[g]).unwrap().users.remove(PEOPLE[p]);
        }
        Event::Nest(a, b) => {
            world.groups.get_mut(GROUPS[a]).unwrap().groups.insert(GROUPS[b].into());
        }
        Event::Unnest(a, b) => {
            world.groups.get_mut(GROUPS[a]).unwrap().groups.remove(GROUPS[b]);
        }
        Event::Disable(p) => {
            world.users.entry(PEOPLE[p].into()).and_modify(|s| *s = AccountState::Disabled);
        }
        Event::Enable(p) => {
            world.users.insert(PEOPLE[p].into(), AccountState::Enabled);
        }
        Event::Delete(p) => {
            world.users.remove(PEOPLE[p]);
            for group in world.groups.values_mut() {
                group.users.remove(PEOPLE[p]);
            }
        }
        Event::ByHandAdd(p, g) => {
            if world.accounts.contains_key(&aid(PEOPLE[p]))
                && let Some(group) = world.site_groups.get_mut(&sid(GROUPS[g]))
            {
                group.1.insert(aid(PEOPLE[p]));
            }
        }
        Event::ByHandRemove(p, g) => {
            if let Some(group) = world.site_groups.get_mut(&sid(GROUPS[g])) {
                group.1.remove(&aid(PEOPLE[p]));
            }
        }
        Event::Unread(g) => world.groups.get_mut(GROUPS[g]).unwrap().unread = true,
        Event::Readable(g) => world.groups.get_mut(GROUPS[g]).unwrap().unread = false,
        Event::Rename(a, b) => {
            world.groups.get_mut(GROUPS[a]).unwrap().name = format!("{} {b}", GROUPS[a]);
        }
        Event::Converge => {
            check_and_apply(world);
        }
    }
}

/// Plans, checks what a plan may never do, applies, and plans again.
fn check_and_apply(world: &mut World) {
    let plan = world.plan();
    let directory = world.directory();
    for step in &plan.steps {
        if let Action::RemoveMember { group, removal, .. } = &step.action {
            let Removal { site_group, account, .. } = &**removal;
            let owned = world.memory.membership(site_group, account).is_some();
            assert!(
                owned || world.rules.mode == GroupMode::Authoritative,
                "removes what is not owned: {step:?}"
            );
            assert!(world.rules.mode != GroupMode::Additive);
            assert!(
                matches!(
                    directory.closure(group.directory_id().unwrap(), Nesting::Flatten),
                    Closure::Complete(_)
                ),
                "without a complete read"
            );
        }
    }
    for (key, group) in &world.groups {
        if group.unread {
            let touched = plan
                .steps
                .iter()
                .any(|s| s.action.group().is_some_and(|g| g.directory_id() == Some(&gid(key))));
            assert!(!touched, "touches an unread group:\n{}", render(&plan));
        }
    }
    let by_hand: Vec<(SiteGroupId, AccountId)> = world
        .site_groups
        .iter()
        .flat_map(|(g, (_, members))| members.iter().map(move |a| (g.clone(), a.clone())))
        .filter(|(g, a)| world.memory.membership(g, a).is_none())
        .collect();
    world.converge();
    if world.rules.mode == GroupMode::Managed {
        for (group, account) in by_hand {
            assert!(world.site_groups[&group].1.contains(&account), "a membership made by hand was lost");
        }
    }
}

fn start(mode: GroupMode) -> World {
    let mut world = World::new(&["Jira *"]);
    for group in GROUPS {
        world = world.group(group, &[]);
    }
    for person in &PEOPLE[..8] {
        world = world.user(person);
    }
    world = world.account("p0").account("p9").site_group("jira f", &["p9"]);
    world.rules.mode = mode;
    world.rules.existing = Existing::Adopt;
    world.approval = Approval::EvenEmpty;
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_history_converges_and_takes_only_what_is_owned(
        events in proptest::collection::vec(event(), 1..60),
        mode in prop_oneof![
            4 => Just(GroupMode::Managed), 1 => Just(GroupMode::Additive), 1 => Just(GroupMode::Authoritative)
        ],
    ) {
        let mut world = start(mode);
        for event in &events {
            happen(&mut world, event);
        }
        check_and_apply(&mut world);
    }

    /// After everything is readable and converged, the site's managed groups are exactly what the directory says, plus
    /// what people added by hand.
    #[test]
    fn the_end_state_is_the_desired_one(events in proptest::collection::vec(event(), 1..60)) {
        let mut world = start(GroupMode::Managed);
        let mut by_hand: BTreeSet<(usize, usize)> = BTreeSet::new();
        for event in &events {
            if let Event::ByHandAdd(p, g) = event { by_hand.insert((*p, *g)); }
            happen(&mut world, event);
        }
        for group in world.groups.values_mut() { group.unread = false; }
        check_and_apply(&mut world);
        let directory = world.directory();
        for key in GROUPS.iter().filter(|k| k.starts_with("Jira")) {
            let Some(link) = world.memory.group(&gid(key)) else { continue };
            let Closure::Complete(closure) = directory.closure(&gid(key), Nesting::Flatten) else { panic!("all is readable") };
            let wanted: BTreeSet<AccountId> = closure.members()
                .filter_map(|ix| directory.user_at(ix))
                .filter(|u| u.account == AccountState::Enabled)
                .map(|u| world.memory.user(&u.id).expect("matched").account.clone())
                .collect();
            let have = &world.site_groups[&link.group].1;
            prop_assert!(wanted.is_subset(have), "{key}: {wanted:?} not in {have:?}");
            for extra in have.difference(&wanted) {
                let owned = world.memory.membership(&link.group, extra).is_some();
                prop_assert!(!owned, "{key}: {extra} is owned, not wanted, and still there");
            }
        }
    }

    /// Without anybody's word no run takes away more than the limits allow.
    #[test]
    fn limits_are_never_passed_unapproved(gone in 0usize..40, others in 0usize..40) {
        let names: Vec<String> = (0..gone + others).map(|n| format!("x{n}")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut world = World::new(&["*"]).group("big", &all);
        world.converge();
        for name in &names[..gone] { world.groups.get_mut("big").unwrap().users.remove(name); }
        let plan = world.plan();
        let open = plan.open_steps().count();
        prop_assert!(open <= 10 || open * 100 <= (gone + others) * 20, "{open} of {}", gone + others);
        if open == 0 && gone > 0 {
            prop_assert!(plan.held.iter().any(|h| matches!(h.guard, Guard::Removals | Guard::EmptyGroup | Guard::EmptyDirectory)));
        }
    }

    /// The order in which the directory names its objects does not matter.
    #[test]
    fn a_plan_does_not_depend_on_the_order_of_reading(
        members in proptest::collection::vec((0..PEOPLE.len(), 0..GROUPS.len()), 1..40),
        nests in proptest::collection::vec((0..GROUPS.len(), 0..GROUPS.len()), 0..8),
    ) {
        let read = |reverse: bool| {
            let mut reading = DirectoryReading::new();
            let mut people: Vec<_> = PEOPLE.iter().collect();
            let mut groups: Vec<_> = (0..GROUPS.len()).collect();
            if reverse { people.reverse(); groups.reverse(); }
            for name in people {
                reading.put_user(DirectoryUser {
                    id: uid(name), display_name: Some((*name).into()), mail: Some(mail(name).into()),
                    user_principal_name: None, other_mail: None, account: AccountState::Enabled, kind: UserKind::Member, attributes: Attributes::NONE,
                });
            }
            for g in groups {
                reading.put_group(&gid(GROUPS[g]), GROUPS[g]);
                let mut list: Vec<MemberRef> = members.iter().filter(|(_, at)| *at == g)
                    .map(|(p, _)| MemberRef::User(uid(PEOPLE[*p])))
                    .chain(nests.iter().filter(|(outer, _)| *outer == g).map(|(_, inner)| MemberRef::Group(gid(GROUPS[*inner]))))
                    .collect();
                if reverse { list.reverse(); }
                reading.set_members(&gid(GROUPS[g]), list);
            }
            reading.finish(Coverage::Complete, Coverage::Complete)
        };
        let world = start(GroupMode::Managed);
        let digest = |directory: &DirectorySnapshot| {
            let site = world.site(directory);
            let input = PlanInput {
                directory, site: &site, rules: &world.rules, memory: &world.memory, lookups: &world.lookups,
                history: world.history, approval: world.approval, now: world.now, focus: entrain_domain::plan::Focus::Everything, };
            let plan = plan(&input);
            assert!(verify(&input, &plan).is_empty());
            plan.digest
        };
        prop_assert_eq!(digest(&read(false)), digest(&read(true)));
    }
}
