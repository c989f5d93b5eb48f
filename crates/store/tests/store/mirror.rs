//! Both sides come back as they were read.

use entrain_domain::memory::MemoryChange;
use entrain_domain::model::{
    Account, AccountActivity, AccountId, AccountKind, AccountState, ApplicationId, Assignments,
    AttributeValue, Attributes, Coverage, DirectoryGroupId, DirectoryReading, DirectorySnapshot,
    DirectoryUser, DirectoryUserId, EmailAddress, Gone, MemberRef, SiteGroup, SiteGroupId, SiteMembers,
    SiteSnapshot, SiteStanding, Unread, UserKind, further_attribute,
};
use entrain_store::{Basis, Learnt, MirrorHead, SiteState, Store, Watermark};
use jiff::Timestamp;

use crate::support::on_both;

fn user(id: &str, name: &str) -> DirectoryUser {
    DirectoryUser {
        id: DirectoryUserId::parse(id).unwrap(),
        display_name: Some(name.into()),
        mail: Some(format!("{id}@acme.example").into()),
        user_principal_name: None,
        other_mail: None,
        account: AccountState::Disabled,
        kind: UserKind::Guest,
        attributes: Attributes::NONE,
    }
}

fn group(id: &str) -> DirectoryGroupId {
    DirectoryGroupId::parse(id).unwrap()
}

fn member(id: &str) -> MemberRef {
    MemberRef::User(DirectoryUserId::parse(id).unwrap())
}

fn reading() -> DirectoryReading {
    let mut reading = DirectoryReading::new();
    for n in 0..1200 {
        reading.put_user(user(&format!("u{n}"), "Ana \"quoted\" Müller"));
    }
    let department = further_attribute("department").unwrap().clone();
    let mut with_more = user("u1", "Ana \"quoted\" Müller");
    with_more.attributes = [(department, AttributeValue::Text("R&D".into()))].into_iter().collect();
    reading.put_user(with_more);
    reading.put_group(&group("g1"), "Jira users");
    reading.set_members(
        &group("g1"),
        [member("u1"), member("u2"), member("ghost"), member("unseen"), MemberRef::Group(group("g2"))],
    );
    reading.put_group(&group("g2"), "Nested");
    reading.set_members(&group("g2"), []);
    reading.put_group(&group("g3"), "Not read");
    reading.put_group(&group("g4"), "Failed");
    reading.members_unread(&group("g4"), Unread { reason: "503".into(), remedy: "later".into() });
    reading.user_gone(&DirectoryUserId::parse("ghost").unwrap(), Gone::SoftDeleted);
    reading
}

fn watermark(text: &str) -> Watermark {
    let issued_at = Timestamp::from_millisecond(1_800_000_000_123).unwrap();
    Watermark {
        users: format!("https://graph.example/users?{text}"),
        groups: format!("https://graph.example/groups?{text}"),
        issued_at,
    }
}

/// A snapshot as text, without regard to the order of objects.
fn picture(snapshot: &DirectorySnapshot) -> Vec<String> {
    let mut lines: Vec<String> = snapshot.users().map(|user| format!("{user:?}")).collect();
    for group in snapshot.groups() {
        let members = group.direct().map(|(users, groups)| {
            let mut ids: Vec<String> = users
                .iter()
                .map(|ix| snapshot.user_id_at(*ix))
                .map(|id| format!("{id} {:?} {:?}", snapshot.gone(id), snapshot.user(id).is_some()))
                .chain(groups.iter().map(|ix| snapshot.group_at(*ix).id.to_string()))
                .collect();
            ids.sort();
            ids
        });
        lines.push(format!("{} {} {members:?}", group.id, group.display_name));
    }
    lines.sort();
    lines
}

fn complete(reading: DirectoryReading) -> DirectorySnapshot {
    reading.finish(Coverage::Complete, Coverage::Complete)
}

fn basis(demand: &str) -> Basis {
    Basis {
        demand: demand.into(),
        rules: "rules".into(),
        full_at: Timestamp::from_millisecond(1_700_000_000_456).unwrap(),
    }
}

fn account(id: &str, email: Option<&str>) -> Account {
    Account {
        id: AccountId::parse(id).unwrap(),
        email: email.map(|text| EmailAddress::parse(text).unwrap()),
        display_name: "Ana".into(),
        activity: AccountActivity::Inactive,
        kind: AccountKind::Person,
    }
}

fn site_group(id: &str) -> SiteGroup {
    SiteGroup { id: SiteGroupId::parse(id).unwrap(), name: "G".into() }
}

fn standing() -> SiteStanding {
    SiteStanding {
        own_account: AccountId::parse("bot").unwrap(),
        products: Vec::new(),
        administrative_groups: std::collections::BTreeSet::default(),
        site_admin: None,
        administer: None,
        browse_users: None,
    }
}

/// Two accounts, two groups, the members of one.
fn site() -> SiteSnapshot {
    let accounts = vec![account("a1", Some("Ana@acme.example")), account("a2", None)];
    let members = accounts.iter().map(|account| account.id.clone()).collect();
    let mut site = SiteSnapshot::new(standing(), accounts, vec![site_group("s1"), site_group("s2")]);
    site.put_members(site_group("s1").id, SiteMembers::Complete(members));
    site
}

/// Learns observations and both sides.
pub(crate) async fn learn_all(
    store: &Store,
    connection: &str,
    changes: &[MemoryChange],
    directory: &DirectorySnapshot,
    watermark: &Watermark,
) {
    let (basis, site) = (basis("demand"), site());
    let state = SiteState::Settled;
    let learnt = Learnt { changes, directory, watermark, site: &site, state, basis: &basis, since: None };
    store.learn(connection, learnt).await.unwrap();
}

async fn learn(
    store: &Store,
    directory: &DirectorySnapshot,
    watermark: &Watermark,
    site: &SiteSnapshot,
    state: SiteState,
) {
    let basis = basis("demand");
    let learnt = Learnt { changes: &[], directory, watermark, site, state, basis: &basis, since: None };
    store.learn("Azure AD", learnt).await.unwrap();
}

async fn directory(store: &Store) -> DirectorySnapshot {
    complete(store.directory_mirror("Azure AD").await.unwrap().unwrap())
}

on_both!(the_directory_comes_back_as_it_was_read, |world| {
    let store = world.open().await;
    assert!(store.directory_mirror("Azure AD").await.unwrap().is_none());
    assert!(store.mirror_head("Azure AD").await.unwrap().is_none());
    assert_eq!(store.history("Azure AD", world.now()).await.unwrap().users_before, None);
    let first = complete(reading());
    learn(&store, &first, &watermark("one"), &site(), SiteState::Settled).await;
    let head = store.mirror_head("Azure AD").await.unwrap().unwrap();
    assert_eq!(
        head,
        MirrorHead { watermark: watermark("one"), basis: basis("demand"), state: SiteState::Settled }
    );
    let mirror = store.directory_mirror("Azure AD").await.unwrap().unwrap();
    assert!(!mirror.has_members(&group("g4")), "a group that could not be read is not known");
    assert_eq!(picture(&complete(mirror)), picture(&first));
    assert_eq!(store.history("Azure AD", world.now()).await.unwrap().users_before, Some(1200));

    // The next full read: one renamed, one gone for good, a group gone, a member back
    let mut second = reading();
    second.put_user(user("u7", "Ben"));
    second.user_gone(&DirectoryUserId::parse("u2").unwrap(), Gone::Deleted);
    second.group_gone(&group("g3"));
    second.group_gone(&group("g2"));
    second.put_user(user("ghost", "Back"));
    let second = complete(second);
    learn(&store, &second, &watermark("two"), &site(), SiteState::Settled).await;
    store.close().await;
    let store = world.open().await;
    assert_eq!(store.mirror_head("Azure AD").await.unwrap().unwrap().watermark, watermark("two"));
    let mirror = directory(&store).await;
    assert_eq!(picture(&mirror), picture(&second));
    assert!(mirror.group_is_gone(&group("g2")), "still named as nested, so it must be known to be gone");
});

on_both!(assignments_come_back_as_they_were_read, |world| {
    let store = world.open().await;
    let assignments = |application: &str, users: &[&str], groups: &[&str]| {
        let users = users.iter().map(|id| DirectoryUserId::parse(id).unwrap());
        let groups = groups.iter().map(|id| group(id));
        Assignments::new(ApplicationId::parse(application).unwrap(), users, groups)
    };
    let first = assignments("app", &["u1", "u2"], &["g1"]);
    let mut read = reading();
    read.set_assignments(first.clone());
    learn(&store, &complete(read), &watermark("one"), &site(), SiteState::Settled).await;
    assert_eq!(directory(&store).await.assignments(), Some(&first));
    // The same again touches nothing; another list is what is stored.
    let mut mirror = store.directory_mirror("Azure AD").await.unwrap().unwrap();
    mirror.set_assignments(first);
    let mirror = complete(mirror);
    assert!(mirror.changes().unwrap().is_empty());
    let second = assignments("app", &[], &["g1", "g2"]);
    let mut next = store.directory_mirror("Azure AD").await.unwrap().unwrap();
    next.set_assignments(second.clone());
    learn(&store, &complete(next), &watermark("two"), &site(), SiteState::Settled).await;
    assert_eq!(directory(&store).await.assignments(), Some(&second));
    // Another application, read in full: the list of the first one is gone.
    let other = assignments("other", &["u3"], &[]);
    let mut read = reading();
    read.set_assignments(other.clone());
    learn(&store, &complete(read), &watermark("three"), &site(), SiteState::Settled).await;
    assert_eq!(directory(&store).await.assignments(), Some(&other));
});

on_both!(a_mirror_that_was_brought_up_to_date_comes_back_so, |world| {
    let store = world.open().await;
    learn(&store, &complete(reading()), &watermark("one"), &site(), SiteState::Settled).await;
    let mut mirror = store.directory_mirror("Azure AD").await.unwrap().unwrap();
    mirror.put_user(user("u7", "Ben"));
    mirror.put_user(user("u8", "Ana \"quoted\" Müller"));
    mirror.user_gone(&DirectoryUserId::parse("u1").unwrap(), Gone::SoftDeleted);
    mirror.user_gone(&DirectoryUserId::parse("u3").unwrap(), Gone::Deleted);
    mirror.put_user(user("ghost", "Back"));
    mirror.put_group(&group("g1"), "Jira people");
    mirror.remove_member(&group("g1"), &member("u2"));
    mirror.add_member(&group("g1"), &member("u9"));
    mirror.group_gone(&group("g2"));
    mirror.put_group(&group("g5"), "New");
    let second = complete(mirror);
    let touched = second.changes().unwrap();
    assert_eq!(
        (touched.users.len(), touched.groups.len()),
        (4, 3),
        "who was said to be as known is not touched"
    );
    learn(&store, &second, &watermark("two"), &site(), SiteState::Settled).await;
    assert_eq!(picture(&directory(&store).await), picture(&second));
    assert!(directory(&store).await.group_is_gone(&group("g2")));
    let ghost = DirectoryUserId::parse("u1").unwrap();
    assert_eq!(directory(&store).await.gone(&ghost), Some(Gone::SoftDeleted));
    assert_eq!(store.mirror_head("Azure AD").await.unwrap().unwrap().watermark, watermark("two"));

    let head = store.mirror_head("Azure AD").await.unwrap().unwrap();
    store.advance("Azure AD", &watermark("three")).await.unwrap();
    let advanced = store.mirror_head("Azure AD").await.unwrap().unwrap();
    assert_eq!(advanced, MirrorHead { watermark: watermark("three"), ..head });
    assert_eq!(picture(&directory(&store).await), picture(&second));
    assert_eq!(store.history("Azure AD", world.now()).await.unwrap().users_before, Some(1199));
});

on_both!(a_read_with_gaps_moves_neither_mirror_nor_watermark, |world| {
    let store = world.open().await;
    let first = complete(reading());
    learn(&store, &first, &watermark("one"), &site(), SiteState::Settled).await;
    let gap = Coverage::Partial(Unread { reason: "503".into(), remedy: "later".into() });
    let second = DirectoryReading::new().finish(Coverage::Complete, gap);
    learn(&store, &second, &watermark("two"), &site(), SiteState::Writing).await;
    let head = store.mirror_head("Azure AD").await.unwrap().unwrap();
    assert_eq!((head.watermark, head.state), (watermark("one"), SiteState::Settled));
    assert_eq!(picture(&directory(&store).await), picture(&first));
});

on_both!(the_site_comes_back_as_it_was_read_and_written, |world| {
    let store = world.open().await;
    let read = site();
    learn(&store, &complete(reading()), &watermark("one"), &read, SiteState::Writing).await;
    assert_eq!(store.mirror_head("Azure AD").await.unwrap().unwrap().state, SiteState::Writing);
    let mirror = store.site_mirror("Azure AD").await.unwrap().unwrap();
    assert_eq!(mirror.accounts, read.accounts());
    assert_eq!(mirror.accounts[0].email.as_ref().unwrap().as_str(), "Ana@acme.example");
    assert_eq!(mirror.groups, [site_group("s1"), site_group("s2")]);
    assert_eq!(mirror.members.len(), 1);
    assert_eq!(mirror.members[&site_group("s1").id], [account("a1", None).id, account("a2", None).id]);

    // A new account in a new group; the members of the old one were written and not read back
    let mut written = SiteSnapshot::remembered(standing(), mirror);
    assert!(written.changes().unwrap().accounts.is_empty());
    written.put_account(account("a1", Some("Ana@acme.example")));
    written.put_account(account("a3", Some("cy@acme.example")));
    written.put_group(site_group("s3"));
    written.put_members(site_group("s3").id, SiteMembers::Complete(vec![account("a3", None).id]));
    written.forget_members(&site_group("s1").id);
    let touched = written.changes().unwrap();
    assert_eq!((touched.accounts.len(), touched.groups.len()), (1, 2));
    store.learn_site("Azure AD", &written).await.unwrap();
    assert_eq!(store.mirror_head("Azure AD").await.unwrap().unwrap().state, SiteState::Settled);
    let mirror = store.site_mirror("Azure AD").await.unwrap().unwrap();
    assert_eq!(mirror.accounts.len(), 3);
    assert_eq!(mirror.groups, [site_group("s1"), site_group("s2"), site_group("s3")]);
    assert_eq!(mirror.members.keys().collect::<Vec<_>>(), [&site_group("s3").id]);

    // Read in full again, without what is gone
    learn(&store, &complete(reading()), &watermark("two"), &site(), SiteState::Settled).await;
    let mirror = store.site_mirror("Azure AD").await.unwrap().unwrap();
    assert_eq!((mirror.accounts.len(), mirror.groups.len(), mirror.members.len()), (2, 2, 1));
});

on_both!(people_and_groups_are_found_by_a_part_of_a_name_whatever_its_case, |world| {
    let store = world.open().await;
    assert!(store.find_people("Azure AD", "ana", 5).await.unwrap().is_none(), "nothing was read yet");
    let mut reading = reading();
    reading.put_user(user("x1", "Örjan 100%_\\"));
    reading.put_group(&group("g9"), "Größe ÄÖ");
    learn(&store, &complete(reading), &watermark("one"), &site(), SiteState::Settled).await;
    let people = async |text: &str, limit| {
        let found = store.find_people("Azure AD", text, limit).await.unwrap().unwrap();
        found.iter().map(|user| user.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(people("ana \"QUOTED\" mü", 3).await, ["u0", "u1000", "u1001"], "by name, then by address");
    assert_eq!(people("ANA \"quoted\" MÜ", 2000).await.len(), 1200);
    for text in ["örjan", "ÖRJAN", "x1", "100%_", "\\"] {
        assert_eq!(people(text, 9).await, ["x1"], "{text}");
    }
    // What is a sign of the database or of JSON finds nothing by being one
    for text in ["%", "_", "account", "live"] {
        let expected: &[&str] = if text == "%" || text == "_" { &["x1"] } else { &[] };
        assert_eq!(people(text, 9).await, expected, "{text}");
    }
    let groups = store.find_groups("Azure AD", "größe äö", 9).await.unwrap().unwrap();
    assert_eq!(groups.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>(), ["g9"]);
    let account = AccountId::parse("a1").unwrap();
    let account = store.mirrored_account("Azure AD", &account).await.unwrap().unwrap();
    assert_eq!(account.email.unwrap().as_str(), "Ana@acme.example");
});

on_both!(what_an_older_entrain_wrote_is_found_as_well_and_the_next_full_read_puts_it_right, |world| {
    let store = world.open().await;
    let mut read = reading();
    read.put_user(user("x1", "Örjan"));
    learn(&store, &complete(read.clone()), &watermark("one"), &site(), SiteState::Settled).await;
    let found = async |text: &str| {
        let found = store.find_people("Azure AD", text, 9).await.unwrap().unwrap();
        found.iter().map(|user| user.id.to_string()).collect::<Vec<_>>()
    };
    // Before there were names to look for
    world.tamper("UPDATE mirror_objects SET find = NULL, find_sum = NULL").await;
    assert_eq!(found("örjan").await, ["x1"]);
    // Beside a newer one: the name in the body is another by now
    world.tamper("UPDATE mirror_objects SET find = 'former', find_sum = 1 WHERE id = 'x1'").await;
    assert!(found("former").await.is_empty(), "nobody is found by a name that is not theirs");
    learn(&store, &complete(read), &watermark("two"), &site(), SiteState::Settled).await;
    assert_eq!(found("örjan").await, ["x1"]);
});

on_both!(h_05_names_without_end_are_stored_and_found_by_their_beginning, |world| {
    let store = world.open().await;
    // Four bytes each, and none like the one before, so that nothing can be packed
    let name: String = (0..300_u32).filter_map(|n| char::from_u32(0x2_0000 + n * 7919 % 40_000)).collect();
    let mut read = reading();
    read.put_user(DirectoryUser { user_principal_name: Some(name.as_str().into()), ..user("x1", &name) });
    read.put_group(&group("g9"), &name);
    learn(&store, &complete(read), &watermark("one"), &site(), SiteState::Settled).await;
    let begin: String = name.chars().take(100).collect();
    assert_eq!(store.find_people("Azure AD", &begin, 9).await.unwrap().unwrap().len(), 1);
    assert_eq!(store.find_groups("Azure AD", &begin, 9).await.unwrap().unwrap().len(), 1);
});
