//! Both sides come back as they were read.

use entrain_domain::model::{
    Account, AccountActivity, AccountId, AccountKind, AccountState, Attributes, Coverage, DirectoryGroupId,
    DirectoryReading, DirectorySnapshot, DirectoryUser, DirectoryUserId, EmailAddress, Gone, MemberRef,
    SiteGroup, SiteGroupId, SiteMembers, SiteSnapshot, SiteStanding, Unread, UserKind,
};
use entrain_store::Watermark;
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

on_both!(the_directory_comes_back_as_it_was_read, |world| {
    let store = world.open().await;
    assert!(store.mirror("Azure AD").await.unwrap().is_none());
    assert_eq!(store.history("Azure AD", world.now()).await.unwrap().users_before, None);
    let first = complete(reading());
    store.learn("Azure AD", &[], &first, &watermark("one")).await.unwrap();
    let mirror = store.mirror("Azure AD").await.unwrap().unwrap();
    assert_eq!(mirror.watermark, watermark("one"));
    assert!(!mirror.reading.has_members(&group("g4")), "a group that could not be read is not known");
    assert_eq!(picture(&complete(mirror.reading)), picture(&first));
    assert_eq!(store.history("Azure AD", world.now()).await.unwrap().users_before, Some(1200));

    // The next read: one renamed, one gone for good, a group gone, a member back
    let mut second = reading();
    second.put_user(user("u7", "Ben"));
    second.user_gone(&DirectoryUserId::parse("u2").unwrap(), Gone::Deleted);
    second.group_gone(&group("g3"));
    second.put_user(user("ghost", "Back"));
    let second = complete(second);
    store.learn("Azure AD", &[], &second, &watermark("two")).await.unwrap();
    store.close().await;
    let mirror = world.open().await.mirror("Azure AD").await.unwrap().unwrap();
    assert_eq!(mirror.watermark, watermark("two"));
    assert_eq!(picture(&complete(mirror.reading)), picture(&second));
});

on_both!(a_read_with_gaps_moves_neither_mirror_nor_watermark, |world| {
    let store = world.open().await;
    let first = complete(reading());
    store.learn("Azure AD", &[], &first, &watermark("one")).await.unwrap();
    let gap = Coverage::Partial(Unread { reason: "503".into(), remedy: "later".into() });
    let second = DirectoryReading::new().finish(Coverage::Complete, gap);
    store.learn("Azure AD", &[], &second, &watermark("two")).await.unwrap();
    let mirror = store.mirror("Azure AD").await.unwrap().unwrap();
    assert_eq!(mirror.watermark, watermark("one"));
    assert_eq!(picture(&complete(mirror.reading)), picture(&first));
});

on_both!(the_site_comes_back_as_it_was_read, |world| {
    let store = world.open().await;
    let account = |id: &str, email: Option<&str>| Account {
        id: AccountId::parse(id).unwrap(),
        email: email.map(|text| EmailAddress::parse(text).unwrap()),
        display_name: "Ana".into(),
        activity: AccountActivity::Inactive,
        kind: AccountKind::Person,
    };
    let site_group = |id: &str| SiteGroup { id: SiteGroupId::parse(id).unwrap(), name: "G".into() };
    let standing = SiteStanding {
        own_account: AccountId::parse("bot").unwrap(),
        products: Vec::new(),
        administrative_groups: std::collections::BTreeSet::default(),
        site_admin: None,
        administer: None,
        browse_users: None,
    };
    let accounts = vec![account("a1", Some("Ana@acme.example")), account("a2", None)];
    let mut site = SiteSnapshot::new(standing, accounts.clone(), vec![site_group("s1"), site_group("s2")]);
    let members = vec![accounts[0].id.clone(), accounts[1].id.clone()];
    site.put_members(SiteGroupId::parse("s1").unwrap(), SiteMembers::Complete(members.clone()));
    store.learn_site("Azure AD", &site).await.unwrap();
    let mirror = store.site_mirror("Azure AD").await.unwrap().unwrap();
    assert_eq!(mirror.accounts, accounts);
    assert_eq!(mirror.accounts[0].email.as_ref().unwrap().as_str(), "Ana@acme.example");
    assert_eq!(mirror.groups, [site_group("s1"), site_group("s2")]);
    assert_eq!(mirror.members[&SiteGroupId::parse("s1").unwrap()], members);
    assert_eq!(mirror.members.len(), 1);
    assert_eq!(mirror.at, world.now());
});
