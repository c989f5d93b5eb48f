//! Links and ledger agree with `domain::memory`, change for change.

use std::collections::BTreeMap;

use entrain_domain::memory::{
    AppliedValues, FormerGroup, GroupLink, Hand, Memory, MemoryChange, OnLadder, Origin, UserLink,
};
use entrain_domain::model::{
    AccountId, AttributeValue, Coverage, DirectoryGroupId, DirectoryReading, DirectoryUserId, Leaving,
    ProductKey, ProfileField, SiteGroupId, Unread,
};
use entrain_domain::policy::Measure;
use entrain_store::{Store, Watermark};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::support::on_both;

/// Links and ledger as text, in order.
pub(crate) fn picture(memory: &Memory) -> Vec<String> {
    let mut lines: Vec<String> = memory
        .users()
        .map(|link| format!("{link:?}"))
        .chain(memory.groups().map(|link| format!("{link:?}")))
        .chain(memory.all_applied().into_iter().map(|(a, values)| format!("{a} {values:?}")))
        .chain(memory.ladder().map(|place| format!("{place:?}")))
        .chain(memory.queue().map(|(product, user, since)| format!("{product:?} {user} {since}")))
        .chain(memory.all_memberships().map(|(g, a, o)| format!("{g} {a} {o:?}")))
        .collect();
    lines.sort();
    lines
}

/// Learns changes alone: a read with gaps leaves the mirror as it is.
pub(crate) async fn learn(store: &Store, connection: &str, changes: &[MemoryChange]) {
    let gap = || Coverage::Partial(Unread { reason: "test".into(), remedy: "none".into() });
    let snapshot = DirectoryReading::new().finish(gap(), gap());
    let watermark =
        Watermark { users: String::new(), groups: String::new(), issued_at: jiff::Timestamp::UNIX_EPOCH };
    crate::mirror::learn_all(store, connection, changes, &snapshot, &watermark).await;
}

fn change(random: &mut StdRng) -> MemoryChange {
    let user = DirectoryUserId::parse(format!("u{}", random.random_range(0..12))).unwrap();
    let account = AccountId::parse(format!("a{}", random.random_range(0..12))).unwrap();
    let directory = DirectoryGroupId::parse(format!("d{}", random.random_range(0..5))).unwrap();
    let group = SiteGroupId::parse(format!("g{}", random.random_range(0..5))).unwrap();
    let origin = [Origin::Created, Origin::Adopted, Origin::Found][random.random_range(0..3)];
    let product = ProductKey(["jira-software", "p'; --"][random.random_range(0..2)].into());
    match random.random_range(0..12) {
        10 => MemoryChange::AwaitSeat {
            product,
            user,
            since: jiff::Timestamp::from_second(random.random_range(0..1_000_000)).unwrap(),
        },
        11 => MemoryChange::LeaveQueue { product, user },
        0 => MemoryChange::LinkUser(UserLink { user, account, address: None, origin }),
        1 => MemoryChange::LinkGroup(GroupLink {
            anchor: directory.into(),
            group,
            name: "G'; --".into(),
            origin,
        }),
        3 => {
            let value = format!("v{}'; --", random.random_range(0..3));
            let values = [(ProfileField::JobTitle, value.as_str().into())].into();
            MemoryChange::ApplyAttributes { account, values: AppliedValues::Profile { values } }
        }
        4 => {
            let key = ["entrain", "other"][random.random_range(0..2)].to_owned();
            let list =
                AttributeValue::List(vec!["a".into(), format!("{}", random.random_range(0..9)).into()]);
            let values = [("x".into(), AttributeValue::Flag(true)), ("y \"".into(), list)].into();
            MemoryChange::ApplyAttributes { account, values: AppliedValues::Property { key, values } }
        }
        5 => MemoryChange::EnterLadder(Box::new(OnLadder {
            user,
            account,
            name: "N'; --".into(),
            origin,
            leaving: Leaving::ALL[random.random_range(0..3)],
            since: jiff::Timestamp::from_second(random.random_range(0..9)).unwrap(),
            groups: vec![FormerGroup { id: group, name: "G \"".into() }],
            passed: BTreeMap::new(),
        })),
        6 | 7 => MemoryChange::PassRung {
            user,
            measure: Measure::ALL[random.random_range(0..3)],
            hand: [Hand::Entrain, Hand::Other][random.random_range(0..2)],
            at: jiff::Timestamp::from_millisecond(random.random_range(0..9)).unwrap(),
        },
        8 => match random.random_range(0..2) {
            0 => MemoryChange::StepBack { user, measure: Measure::ALL[random.random_range(0..3)] },
            _ => MemoryChange::LeaveLadder { user },
        },
        2 => MemoryChange::OwnMembership { group, account, origin, path: None },
        _ => MemoryChange::DisownMembership { group, account },
    }
}

on_both!(what_is_learnt_equals_what_the_domain_remembers, |world| {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let store = world.open().await;
    let mut memory = Memory::new();
    for _ in 0..40 {
        // Runs of one kind, as a first run has them, beside single changes
        let mut changes: Vec<MemoryChange> =
            (0..random.random_range(1..20)).map(|_| change(&mut random)).collect();
        if random.random_range(0..2) == 0 {
            changes.sort_by_key(|change| matches!(change, MemoryChange::LinkUser(_)));
        }
        for change in &changes {
            memory.apply(change);
        }
        learn(&store, "Azure AD", &changes).await;
        assert_eq!(picture(&store.memory("Azure AD").await.unwrap()), picture(&memory), "seed {seed}");
    }
    assert!(picture(&store.memory("Other").await.unwrap()).is_empty());
    store.close().await;
    assert_eq!(picture(&world.open().await.memory("Azure AD").await.unwrap()), picture(&memory));
});

on_both!(a_membership_has_a_history_from_beginning_to_end, |world| {
    use entrain_domain::plan::{StepId, StepKind};
    use entrain_domain::run::{Intent, Outcome, StepEnd, Trigger};

    let store = world.open().await;
    let (group, account) = (SiteGroupId::parse("g").unwrap(), AccountId::parse("a").unwrap());
    let own = |origin, path: &[&str]| MemoryChange::OwnMembership {
        group: group.clone(),
        account: account.clone(),
        origin,
        path: Some(path.iter().map(|name| (*name).into()).collect()),
    };
    let run = crate::runs::run_id("r1");
    store.begin(&run, "Azure AD", Trigger::Manual, world.now()).await.unwrap();
    learn(&store, "Azure AD", &[own(Origin::Found, &["Outer", "Inner"])]).await;
    // Found again, and found by another connection: neither begins it anew
    learn(&store, "Azure AD", &[own(Origin::Found, &["Other"])]).await;
    learn(&store, "Other", &[own(Origin::Found, &["Elsewhere"])]).await;

    let user = entrain_domain::model::DirectoryUserId::parse("u").unwrap();
    let other = AccountId::parse("b").unwrap();
    assert_eq!(store.known_since("Azure AD", &user, &account).await.unwrap(), Some(world.now()));
    assert_eq!(store.known_since("Azure AD", &user, &other).await.unwrap(), None);

    let step = StepId::from_stored("remove_member/g/a");
    let intent = Intent::RemoveMember { group: group.clone(), account: account.clone() };
    let later = world.now() + jiff::SignedDuration::from_hours(1);
    store.intend(&run, &step, StepKind::RemoveMember, &intent, later).await.unwrap();
    let gone = MemoryChange::DisownMembership { group: group.clone(), account: account.clone() };
    let end = StepEnd {
        step,
        outcome: Outcome::Done,
        attempts: 1,
        answer: "removed".into(),
        at: later,
        changes: vec![gone.clone()],
        audit: None,
    };
    store.settle(&run, &end).await.unwrap();
    let past = store.past_memberships("Azure AD", &group).await.unwrap();
    let [one] = &past[..] else { panic!("{past:#?}") };
    assert_eq!((one.since, one.until), (world.now(), Some(later)));
    assert_eq!((one.how, one.path.as_deref()), (Origin::Found, Some("Outer › Inner")));
    assert_eq!((one.run.as_ref(), one.ended_by.as_ref()), (Some(&run), Some(&run)));
    assert_eq!(one.ended.as_deref(), Some("removed"));
    assert_eq!(store.past_memberships("Other", &group).await.unwrap()[0].until, None);
    // What leaves the ledger a second time changes nothing
    learn(&store, "Azure AD", &[gone]).await;
    assert_eq!(store.past_memberships("Azure AD", &group).await.unwrap(), past);
    assert_eq!(
        store.known_since("Azure AD", &user, &account).await.unwrap(),
        Some(world.now()),
        "also when it is over"
    );

    world.tamper("UPDATE membership_history SET path = 'Board'").await;
    assert!(store.past_memberships("Azure AD", &group).await.is_err(), "a changed row is refused");
});

on_both!(many_links_and_memberships_are_learnt_in_a_few_statements, |world| {
    let store = world.open().await;
    let mut changes = Vec::new();
    for n in 0..3000 {
        let account = AccountId::parse(format!("account-{n}")).unwrap();
        changes.push(MemoryChange::LinkUser(UserLink {
            user: DirectoryUserId::parse(format!("user-{n}")).unwrap(),
            account,
            address: Some(format!("{n}@acme.example").into()),
            origin: Origin::Found,
        }));
    }
    for n in 0..9000 {
        let group = SiteGroupId::parse(format!("group-{}", n % 50)).unwrap();
        let account = AccountId::parse(format!("account-{}", n / 3)).unwrap();
        changes.push(MemoryChange::OwnMembership { group, account, origin: Origin::Created, path: None });
    }
    let mut memory = Memory::new();
    for change in &changes {
        memory.apply(change);
    }
    learn(&store, "Azure AD", &changes).await;
    assert_eq!(picture(&store.memory("Azure AD").await.unwrap()), picture(&memory));
});

on_both!(h_07_text_of_the_clouds_is_a_value_and_never_a_statement, |world| {
    let store = world.open().await;
    let hostile = [
        "'; DROP TABLE user_links; --",
        "' OR '1'='1",
        "x'), ('y",
        "\"; DELETE FROM runs; \"",
        "$1",
        "?1",
        "%_\\%",
        "E'\\x27'",
        "/* */ -- ;",
        "\\'; --",
        "$$; SELECT 1; $$",
        "\u{2019}\u{02BC}＇",
    ];
    let mut memory = Memory::new();
    for (n, text) in hostile.iter().enumerate() {
        let user = DirectoryUserId::parse(format!("u{n}")).unwrap();
        let account = AccountId::parse(format!("a{n}")).unwrap();
        let group = SiteGroupId::parse(format!("g{n}")).unwrap();
        let anchor = DirectoryGroupId::parse(format!("d{n}")).unwrap();
        let values = [(ProfileField::JobTitle, (*text).into())].into();
        let changes = [
            MemoryChange::LinkUser(UserLink {
                user,
                account: account.clone(),
                address: Some((*text).into()),
                origin: Origin::Found,
            }),
            MemoryChange::LinkGroup(GroupLink {
                anchor: anchor.into(),
                group: group.clone(),
                name: (*text).into(),
                origin: Origin::Created,
            }),
            MemoryChange::OwnMembership {
                group,
                account: account.clone(),
                origin: Origin::Created,
                path: Some(std::iter::once((*text).into()).collect()),
            },
            MemoryChange::ApplyAttributes { account, values: AppliedValues::Profile { values } },
        ];
        for change in &changes {
            memory.apply(change);
        }
        learn(&store, "Azure AD", &changes).await;
    }
    assert_eq!(
        picture(&store.memory("Azure AD").await.unwrap()),
        picture(&memory),
        "each came back as it was"
    );
    for text in hostile {
        // As the name of a connection, and as what is searched for
        learn(&store, text, &[]).await;
        assert!(picture(&store.memory(text).await.unwrap()).is_empty(), "{text}: sees what is another's");
        assert!(store.journal_about("Azure AD", text, 10).await.unwrap().is_empty(), "{text}");
        assert!(store.get(text).await.unwrap().is_none(), "{text}");
        assert!(store.runs(Some(text), 10).await.unwrap().is_empty(), "{text}");
    }
    assert_eq!(
        picture(&store.memory("Azure AD").await.unwrap()),
        picture(&memory),
        "and nothing was lost by it"
    );
});
