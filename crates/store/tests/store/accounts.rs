//! Accounts, sessions, links that work once, and what runs came to in numbers.

use entrain_domain::accounts::{AccountChange, Chosen, DirectoryPerson, LinkFor, Session};
use entrain_domain::service::Role;
use entrain_store::Error;
use jiff::SignedDuration;

use crate::support::on_both;

/// Gives one person's sign-in to another's account, behind the store's back.
const TAMPER: &str = "UPDATE account_identities SET account = \
    (SELECT id FROM accounts WHERE folded = 'ana@acme.example') WHERE subject LIKE 't/b%'";

/// The hash of a password that its holder chose.
pub(crate) fn own(hash: &str) -> (String, Chosen) {
    (hash.into(), Chosen::ByHolder)
}

on_both!(w_02_a_password_that_was_handed_out_stays_so_until_its_holder_chooses_another, |world| {
    let store = world.open().await;
    let given = |hash: &str| (hash.to_owned(), Chosen::ByAnother);
    let ana = store.make_account("Ana", Role::Viewer, given("h1"), None, "cli").await.unwrap();
    let bo = store.make_account("Bo", Role::Viewer, given("h2"), None, "cli").await.unwrap();
    store.close().await;
    let store = world.open().await;
    let chosen = async |id: &str| store.account(id).await.unwrap().unwrap().chosen;
    assert_eq!(chosen(&ana.id).await, Chosen::ByAnother);
    store.change_account(&ana.id, AccountChange::Role(Role::Operator), "cli").await.unwrap();
    assert_eq!(chosen(&ana.id).await, Chosen::ByAnother);
    let change = |hash: &str, chosen| AccountChange::Password(hash.into(), chosen);
    store.change_account(&ana.id, change("h3", Chosen::ByHolder), "Ana").await.unwrap();
    assert_eq!(chosen(&ana.id).await, Chosen::ByHolder);
    store.change_account(&ana.id, change("h4", Chosen::ByAnother), "cli").await.unwrap();
    assert_eq!(chosen(&ana.id).await, Chosen::ByAnother);
    let told = store.audit_before(None, 1).await.unwrap().remove(0).detail;
    assert!(told.contains("to be changed at the next sign-in"), "{told}");
    // Nobody spares themselves the change behind the store's back
    world.tamper("UPDATE accounts SET handed_out = 0").await;
    for id in [&ana.id, &bo.id] {
        assert!(matches!(store.account(id).await, Err(Error::Damaged { .. })));
    }
});

on_both!(accounts_are_changed_and_never_removed_and_one_administrator_stays, |world| {
    let store = world.open().await;
    let ana = store.make_account("Ana Ruiz", Role::Administrator, own("h1"), None, "cli").await.unwrap();
    let taken = store.make_account("ANA RUIZ", Role::Viewer, own("h2"), None, "cli").await;
    assert!(matches!(taken, Err(Error::AccountExists(_))), "{taken:?}");
    assert_eq!(store.account_named("ana ruiz").await.unwrap(), Some(ana.clone()));
    for change in [AccountChange::Disable, AccountChange::Role(Role::Viewer)] {
        let last = store.change_account(&ana.id, change, "cli").await;
        assert!(matches!(last, Err(Error::LastAdministrator(_))), "{last:?}");
    }
    let bo = store.make_account("Bo", Role::Administrator, own("h3"), None, "Ana Ruiz").await.unwrap();
    store.change_account(&ana.id, AccountChange::Role(Role::Approver), "Bo").await.unwrap();
    store.change_account(&ana.id, AccountChange::Disable, "Bo").await.unwrap();
    store.close().await;
    let store = world.open().await;
    let ana = store.account(&ana.id).await.unwrap().unwrap();
    assert_eq!((ana.role, ana.disabled_at), (Role::Approver, Some(world.now())));
    let unknown = store.change_account("nobody", AccountChange::Enable, "Bo").await;
    assert!(matches!(unknown, Err(Error::AccountUnknown(_))), "{unknown:?}");
    let actions: Vec<String> =
        store.audit_before(None, 10).await.unwrap().into_iter().map(|entry| entry.action).collect();
    assert_eq!(actions, ["account_disabled", "account_role", "account_created", "account_created"]);

    // whoever raises a role behind the store's back is found out
    world.tamper("UPDATE accounts SET role = 'administrator'").await;
    assert!(matches!(store.account(&ana.id).await, Err(Error::Damaged { .. })));
    assert_eq!(store.account(&bo.id).await.unwrap().unwrap().role, Role::Administrator);
});

on_both!(w_02_sessions_end_with_their_account_and_with_its_password, |world| {
    let store = world.open().await;
    let ana = store.make_account("Ana", Role::Viewer, own("h1"), None, "cli").await.unwrap();
    let session = |id: &str| Session {
        id: id.into(),
        account: ana.id.clone(),
        began_at: world.now(),
        seen_at: world.now(),
        ends_at: world.now().checked_add(SignedDuration::from_hours(12)).unwrap(),
        address: "192.0.2.1".into(),
        agent: "a\0browser".into(),
    };
    for id in ["s1", "s2"] {
        store.begin_session(session(id), None).await.unwrap();
    }
    assert_eq!(store.sessions(Some(&ana.id)).await.unwrap().len(), 2);
    store.session_seen("s1").await.unwrap();
    store.end_session("s1").await.unwrap();
    store.end_session("s1").await.unwrap();
    assert_eq!(store.session("s1").await.unwrap(), None);
    store
        .change_account(&ana.id, AccountChange::Password("h2".into(), Chosen::ByHolder), "Ana")
        .await
        .unwrap();
    assert_eq!(store.session("s2").await.unwrap(), None);
    store.begin_session(session("s3"), None).await.unwrap();
    store.change_account(&ana.id, AccountChange::Disable, "cli").await.unwrap();
    assert!(store.sessions(None).await.unwrap().is_empty());
    let refused = store.begin_session(session("s4"), None).await;
    assert!(matches!(refused, Err(Error::AccountUnknown(_))), "{refused:?}");
});

on_both!(a_link_works_once_and_the_first_administrators_only_while_there_is_none, |world| {
    let store = world.open().await;
    let ends = world.now().checked_add(SignedDuration::from_hours(1)).unwrap();
    store.make_link("first", None, ends).await.unwrap();
    store.make_link("also-first", None, ends).await.unwrap();
    store.make_link("over", None, world.now()).await.unwrap();
    assert_eq!(store.link("first").await.unwrap(), Some(LinkFor::First));
    assert_eq!((store.link("over").await.unwrap(), store.link("never").await.unwrap()), (None, None));
    for wrong in ["over", "never"] {
        let spent = store.make_account("X", Role::Viewer, own("h"), Some(wrong.into()), "X").await;
        assert!(matches!(spent, Err(Error::LinkSpent)), "{spent:?}");
    }
    let ana =
        store.make_account("Ana", Role::Administrator, own("h"), Some("first".into()), "Ana").await.unwrap();
    for again in ["first", "also-first"] {
        let spent = store.make_account("Bo", Role::Administrator, own("h"), Some(again.into()), "Bo").await;
        assert!(matches!(spent, Err(Error::LinkSpent)), "{again}: {spent:?}");
    }
    store.make_link("enter", Some(&ana.id), ends).await.unwrap();
    let session = Session {
        id: "s1".into(),
        account: ana.id.clone(),
        began_at: world.now(),
        seen_at: world.now(),
        ends_at: ends,
        address: String::new(),
        agent: String::new(),
    };
    store.begin_session(session.clone(), Some("enter".into())).await.unwrap();
    let again = store.begin_session(Session { id: "s2".into(), ..session }, Some("enter".into())).await;
    assert!(matches!(again, Err(Error::LinkSpent)), "{again:?}");
});

on_both!(people_of_the_directory_are_found_by_id_and_never_by_name, |world| {
    let store = world.open().await;
    let person = |object: char, name: &str| DirectoryPerson {
        tenant_id: "T".into(),
        object_id: String::from(object).repeat(12),
        name: name.into(),
    };
    let too_early = store.admit(person('a', "bo@acme.example"), Role::Administrator).await;
    assert!(matches!(too_early, Err(Error::LinkSpent)), "the first account is made at the machine");
    let ana =
        store.make_account("ana@acme.example", Role::Administrator, own("h1"), None, "cli").await.unwrap();

    // Whoever is called like a local account gets one of their own
    let other = store.admit(person('b', "Ana@acme.example"), Role::Viewer).await.unwrap();
    assert_eq!(other.name, "Ana@acme.example (bbbbbbbb)");
    assert_ne!(other.id, ana.id);
    let third = store.admit(person('c', "Ana@acme.example"), Role::Viewer).await.unwrap();
    assert_eq!(third.name, "Ana@acme.example (cccccccc)");

    // The same person under another name, with another role
    let again = store.admit(person('b', "ana.ruiz@acme.example"), Role::Administrator).await.unwrap();
    assert_eq!((again.id.as_str(), again.role), (other.id.as_str(), Role::Administrator));
    assert_eq!(again.name, other.name, "a name stands in decisions and stays");
    // An administrator with a password stays, for the day on which the directory's sign-in does not work
    let last = store.change_account(&ana.id, AccountChange::Disable, "x").await;
    assert!(matches!(last, Err(Error::LastAdministrator(_))), "{last:?}");
    let password =
        store.change_account(&other.id, AccountChange::Password("h".into(), Chosen::ByHolder), "x").await;
    assert!(matches!(password, Err(Error::AccountOfDirectory(_))), "{password:?}");

    let now = world.now();
    let session = Session {
        id: "s".into(),
        account: other.id.clone(),
        began_at: now,
        seen_at: now,
        ends_at: now + SignedDuration::from_hours(1),
        address: String::new(),
        agent: String::new(),
    };
    store.begin_session(session, None).await.unwrap();
    store.turn_away(person('b', "ana.ruiz@acme.example"), "in no group").await.unwrap();
    assert_eq!(store.session("s").await.unwrap(), None, "whoever is turned away is signed out");
    store.turn_away(person('d', "stranger@acme.example"), "in no group").await.unwrap();
    let told: Vec<(String, String)> = store
        .audit_before(None, 20)
        .await
        .unwrap()
        .into_iter()
        .map(|entry| (entry.action, entry.actor))
        .collect();
    let by = "sign-in with Microsoft";
    let expected = [
        ("sign_in_refused", "stranger@acme.example"),
        ("sign_in_refused", "ana.ruiz@acme.example"),
        ("signed_in", "Ana@acme.example (bbbbbbbb)"),
        ("account_role", by),
        ("account_created", by),
        ("account_created", by),
        ("account_created", "cli"),
    ];
    let expected: Vec<(String, String)> = expected.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec();
    assert_eq!(told, expected);
    assert_eq!(store.accounts().await.unwrap().len(), 3, "a stranger has no account");

    // whoever hangs an identity on another account is found out
    world.tamper(TAMPER).await;
    let tampered = store.admit(person('b', "x"), Role::Viewer).await;
    assert!(matches!(tampered, Err(Error::Damaged { .. })), "{tampered:?}");
});
