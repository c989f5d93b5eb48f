//! Why a person is, or is not, where they are: each link of the chain in its words, and how each membership stands on the
//! site.

use std::time::Duration;

use crate::explain::{places, settled, text};
use crate::groups::each;
use crate::support::*;
use entrain_domain::memory::{Origin, UserLink};
use entrain_domain::model::*;
use entrain_domain::plan::explain::{NotFound, Which, Who};
use entrain_domain::policy::{Expr, GroupMode, GroupSelector, Guests, Memberships};

/// How a membership stands on the site, as the chain of a person and a group says it.
fn on_site(world: &World, user: &str, group: &str) -> String {
    text(&world.why_membership(user, group), "site")
}

#[test]
fn every_way_into_a_group_but_the_first_is_told_besides() {
    let mut world = World::new(&["A"]).group("A", &["ana"]).group("B", &["ana"]).nest("A", "B");
    world.converge();
    let told = "“A”: member through “A” and one other way; in the group on the site, granted by Entrain | also through “A” › “B”";
    assert_eq!(text(&world.why_user("u-ana"), "group"), told);
    assert_eq!(
        text(&world.why_membership("u-ana", "A"), "group"),
        "“A”: member through “A” and one other way | also through “A” › “B”"
    );
}

#[test]
fn a_person_is_named_with_the_ids_of_both_sides() {
    let world = settled().user("cleo").account("stranger");
    let object = |text: &str| world.why_user(text).object;
    assert_eq!(object("u-ana"), "user “Name ana” <ana@example.com> (u-ana), account 712020:ana");
    assert_eq!(object("u-cleo"), "user “Name cleo” <cleo@example.com> (u-cleo)");
    assert_eq!(object("712020:stranger"), "account “Name stranger” (712020:stranger)");
}

#[test]
fn the_record_says_what_the_directory_knows_of_somebody() {
    let mut world = settled().account("stranger");
    let record = |world: &World, who: &str| text(&world.why_user(who), "record");
    assert_eq!(record(&world, "u-ana"), "Name ana, ana@example.com: enabled member of Entra ID");
    assert_eq!(
        record(&world, "712020:stranger"),
        "an account of the site; nobody in the directory is linked to it"
    );
    world.users.remove("ben");
    for group in world.groups.values_mut() {
        group.users.remove("ben");
    }
    assert_eq!(record(&world, "u-ben"), "known from earlier runs; the directory no longer lists the user");
    world.gone.insert("ben".into());
    assert_eq!(record(&world, "u-ben"), "in the recycle bin of Entra ID; may come back within 30 days");
}

#[test]
fn the_steps_about_a_person_name_their_groups() {
    let world = World::new(&["*"]).group("x", &["ana"]);
    assert_eq!(
        text(&world.why_user("u-ana"), "step"),
        "create_user: is invited at the next sync, because enabled in the directory, member of “x”; in scope; no account of \
         this address | add_member “x”: is added at the next sync, because member through “x”; memberships are synced; not \
         a member"
    );
}

#[test]
fn the_removal_of_a_stranger_is_a_step_about_that_account_and_no_other() {
    let mut world = settled().account("stranger").account("other");
    world.rules.mode = GroupMode::Authoritative;
    world.by_hand_in("Jira users", "stranger");
    assert!(text(&world.why_user("712020:stranger"), "step").starts_with(
        "remove_member “Jira users”: is taken out once a person approves (held by authoritative)"
    ));
    assert_eq!(text(&world.why_user("712020:other"), "step"), "nothing to do");
}

#[test]
fn groups_out_of_scope_in_which_entrain_put_somebody_are_told_to_stay() {
    let mut world = settled();
    world.rules.scope.exclude_groups = vec![GroupSelector::parse("Jira admins").unwrap()];
    let why = world.why_user("u-ben");
    let told = "“Jira admins”: the scope no longer names the group; granted by Entrain; a group that is no longer in scope is \
                left as it is";
    assert!(text(&why, "group").ends_with(told), "{why:#?}");
    assert_eq!(places(&why).len(), 2, "and the group in scope is told once: {why:#?}");
    assert!(!text(&world.why_user("u-ana"), "group").contains("Jira admins"), "Ana was never in it");
}

/// The members of such a group are read where it is one of administrators, for the ladder.
#[test]
fn nothing_is_done_about_a_membership_of_a_group_that_the_scope_does_not_name() {
    let mut world = settled();
    world.rules.scope.exclude_groups = vec![GroupSelector::parse("Jira admins").unwrap()];
    world.administrative.insert(sid("Jira admins"));
    world.rules.leavers.disabled.suspend = Some(Duration::ZERO);
    let nothing = "on the site, and Entrain does nothing about it, because the scope does not name the group";
    assert_eq!(
        world.why_membership("u-ben", "Jira admins").verdict,
        format!(
            "Name ben is in “Jira admins” {nothing} (the directory has them there: member through “Jira admins”)"
        )
    );
    assert_eq!(
        world.why_membership("u-ana", "Jira admins").verdict,
        format!(
            "Name ana is not in “Jira admins” {nothing} (they are not in “Jira admins”, directly or through nesting)"
        )
    );
    // Nobody read who is in it: nothing is claimed.
    world.administrative.clear();
    let verdict = world.why_membership("u-ben", "Jira admins").verdict;
    assert!(
        verdict.starts_with("it is not known whether Name ben is in “Jira admins” on the site ("),
        "{verdict}"
    );
    assert!(
        verdict.contains("Entrain does nothing about it, because the scope does not name the group"),
        "{verdict}"
    );
}

#[test]
fn a_link_to_another_account_is_not_told_as_the_link_to_this_one() {
    let mut world = settled().account("old");
    let link = world.memory.user(&uid("ana")).unwrap().clone();
    let shown = "account 712020:ana (“Name ana”, ana@example.com, active)";
    assert_eq!(
        text(&world.why_user("u-ana"), "link"),
        format!("linked to {shown}: the account was there and matched ana@example.com")
    );
    world.accounts.get_mut(&aid("ana")).unwrap().activity = AccountActivity::Inactive;
    assert!(text(&world.why_user("u-ana"), "link").contains("deactivated or suspended"));
    world.memory.link_user(UserLink { account: aid("lost"), ..link });
    world.accounts.get_mut(&aid("ana")).unwrap().activity = AccountActivity::Active;
    assert_eq!(
        text(&world.why_user("u-ana"), "link"),
        format!("matched with {shown} by address; linked at the next sync")
    );
}

#[test]
fn whoever_takes_no_part_is_told_the_rule_that_says_so() {
    let mut world = World::new(&["Jira *"]).group("Jira users", &["ana", "gus"]);
    world.guests.insert("gus".into());
    world.rules.scope.guests = Guests::Exclude;
    world.rules.scope.filter = Some(Expr::condition("user.department != \"Lab\"").unwrap());
    world.attributes.insert("ana".into(), vec![("department", "Lab".into())]);
    let scope = |who: &str| text(&world.why_user(who), "scope");
    assert_eq!(
        scope("u-ana"),
        "takes no part: the filter of the scope does not hold for them: user.department != \"Lab\""
    );
    assert_eq!(scope("u-gus"), "takes no part: guests take no part (guests = \"exclude\")");
}

#[test]
fn in_which_group_only_direct_members_count_decides_why_somebody_takes_no_part() {
    let mut world = World::new(&["Jira *"])
        .group("Jira direct", &[])
        .group("Berlin", &["ana"])
        .nest("Jira direct", "Berlin")
        .group("Jira open", &["ben"])
        .group("Bonn", &["cem"])
        .nest("Jira open", "Bonn");
    world.rules.nestings = each(&[("Jira direct", Nesting::Direct)]);
    let scope = |world: &World, who: &str| text(&world.why_user(who), "scope");
    assert_eq!(
        scope(&world, "u-ana"),
        "takes no part: only in groups nested in “Jira direct”, which takes direct members only (nesting)"
    );
    assert_eq!(scope(&world, "u-ben"), "takes part: in “Jira open”, which the scope names by “Jira *”");
    world.groups.get_mut("Bonn").unwrap().unread = true;
    world.groups.get_mut("Jira open").unwrap().users.insert("ana".into());
    assert_eq!(
        scope(&world, "u-ana"),
        "takes no part: the members of “Jira open” are not completely known, so it brings nobody"
    );
}

#[test]
fn a_membership_is_told_by_the_ledger_the_directory_and_the_site() {
    let mut world = settled();
    assert_eq!(on_site(&world, "u-ben", "Jira admins"), "in the group on the site, granted by Entrain");
    assert_eq!(on_site(&world, "u-ana", "Jira admins"), "not in the group on the site");
    world.by_hand_in("Jira admins", "ana");
    assert_eq!(
        on_site(&world, "u-ana", "Jira admins"),
        "in the group on the site, put there by somebody else: Entrain leaves it alone"
    );
    world.groups.get_mut("Jira admins").unwrap().users.insert("ana".into());
    assert_eq!(
        on_site(&world, "u-ana", "Jira admins"),
        "in the group on the site; Entrain notes it at the next sync"
    );
    world.memory.own_membership(&sid("Jira admins"), &aid("ana"), Origin::Found);
    assert_eq!(
        on_site(&world, "u-ana", "Jira admins"),
        "in the group on the site, and was before Entrain came"
    );
    world.groups.get_mut("Jira admins").unwrap().users.remove("ana");
    assert_eq!(
        world.why_membership("u-ana", "Jira admins").verdict,
        "Name ana is still in “Jira admins” and is taken out at the next sync, because they are not in “Jira admins”, \
         directly or through nesting"
    );
    world.by_hand_out("Jira admins", "ana");
    assert_eq!(on_site(&world, "u-ana", "Jira admins"), "no longer in the group on the site");
    assert_eq!(on_site(&world, "u-ana", "Berlin"), "no site group is managed for it");
}

#[test]
fn a_membership_that_the_mode_keeps_is_said_to_stay_for_now() {
    let mut world = settled();
    world.rules.mode = GroupMode::Additive;
    world.groups.get_mut("Jira admins").unwrap().users.remove("ben");
    assert_eq!(
        world.why_membership("u-ben", "Jira admins").verdict,
        "Name ben is in “Jira admins” and stays for now, although they are not in “Jira admins”, directly or through nesting"
    );
}

#[test]
fn somebody_protected_whom_others_took_out_is_told_why_they_stay_out() {
    let mut world = settled();
    world.by_hand_out("Jira admins", "ben");
    world.rules.protected.addresses.insert(mail("ben"));
    assert_eq!(
        on_site(&world, "u-ben", "Jira admins"),
        "not in the group on the site: on the protected list; not added to “Jira admins”"
    );
}

#[test]
fn a_membership_is_told_with_its_own_step_and_the_invitation_and_no_other() {
    let world = World::new(&["*"]).group("x", &["ana"]).group("y", &["ana"]);
    let why = world.why_membership("u-ana", "x");
    let steps: Vec<&str> = why
        .chain
        .iter()
        .filter(|link| link.what == "step")
        .map(|link| link.text.split(':').next().unwrap())
        .collect();
    assert_eq!(steps, ["create_user", "add_member “x”"]);
}

#[test]
fn a_group_that_is_not_there_yet_holds_nobody() {
    let world = settled().group("Jira new", &["ana"]);
    assert_eq!(on_site(&world, "u-ben", "Jira new"), "the site has no such group yet");
    let why = world.why_user("u-ana");
    let new = places(&why).iter().find(|place| &*place.name == "Jira new").unwrap();
    assert_eq!((new.member, new.on_site), (true, Some(false)));
    assert_eq!(
        new.site, "not in the group on the site; is added at the next sync",
        "of one group its name is enough"
    );
}

#[test]
fn a_membership_that_was_not_read_is_not_known_and_why() {
    let mut world = settled();
    world.unread_site_groups.insert(sid("Jira admins"));
    assert_eq!(on_site(&world, "u-ben", "Jira admins"), "the members of the site group are not known");
    world.rules.memberships = Memberships::Leave;
    assert_eq!(
        on_site(&world, "u-ben", "Jira admins"),
        "sync_memberships is off: memberships are left alone"
    );
}

#[test]
fn a_step_about_another_group_is_not_told_of_a_group_that_is_set_aside() {
    let mut world =
        settled().group("Jira twin", &["ana"]).site_group("Jira ops", &[]).group("Jira ops", &["ana"]);
    world = world.group("Jira second", &[]);
    world.groups.get_mut("Jira second").unwrap().name = "Jira twin".into();
    let why = world.why_user("u-ana");
    let twin = places(&why).iter().find(|p| p.directory_id == Some(gid("Jira twin"))).unwrap();
    assert_eq!(twin.site, "no site group is managed for it");
}

#[test]
fn the_step_about_a_site_group_is_told_whichever_directory_group_asks_for_it() {
    let mut world = World::new(&["Staff"]).group("Staff", &["ana", "ben"]).account("ana").account("ben");
    world.converge();
    world.groups.remove("Staff");
    world = world.group("New staff", &["ana"]);
    world.groups.get_mut("New staff").unwrap().name = "Staff".into();
    assert_eq!(
        world.why_membership("u-ben", "g-Staff").verdict,
        "Name ben is still in “Staff” and is taken out once a person approves (held by adoption), because the directory no \
         longer lists the group g-Staff",
        "the new group takes the site group of the old one over"
    );
}

#[test]
fn what_newcomers_are_given_is_told_as_theirs() {
    let mut world = World::new(&["Jira *"])
        .group("Jira users", &["ana", "ben"])
        .account("ana")
        .site_group("welcome", &["ana"])
        .site_group("everyone", &["ana"]);
    world.rules.defaults.newcomers.push("welcome".into());
    world.rules.defaults.everybody.push("everyone".into());
    assert_eq!(
        on_site(&world, "u-ben", "welcome"),
        "not in the group on the site; is added at the next sync",
        "he is to be invited"
    );
    world.converge();
    world.unread_site_groups.insert(sid("everyone"));
    assert_eq!(on_site(&world, "u-ana", "everyone"), "the members of the site group are not known");
    world.unread_site_groups.clear();
    let not_read =
        "who is in the group on the site is not read: it is the person's own, and Entrain leaves it alone";
    assert_eq!(on_site(&world, "u-ben", "welcome"), not_read);
    assert_eq!(on_site(&world, "u-ana", "everyone"), "in the group on the site, and was before Entrain came");
    assert_eq!(on_site(&world, "u-ana", "welcome"), not_read);
}

#[test]
fn long_lists_name_five_and_count_the_rest() {
    let mut world = World::new(&["a"]).group("a", &[]);
    for name in ["b", "c", "d", "e", "f", "g", "h"] {
        world = world.group(name, &["ana"]);
        let verdict = world.why_user("u-ana").verdict;
        let told = verdict.rsplit_once("only in ").unwrap().1;
        let expected = match name {
            "b" => "“b”",
            "c" => "“b” and “c”",
            "d" => "“b”, “c” and “d”",
            "e" => "“b”, “c”, “d” and “e”",
            "f" => "“b”, “c”, “d”, “e” and “f”",
            "g" => "“b”, “c”, “d”, “e”, “f” and 1 more",
            _ => "“b”, “c”, “d”, “e”, “f” and 2 more",
        };
        assert_eq!(told, expected);
    }
}

/// All ways through groups of one name look alike; what is followed is bounded all the same.
#[test]
fn a_thicket_of_groups_of_one_name_ends() {
    let names: Vec<String> = (0..9).map(|n| format!("G{n}")).collect();
    let mut world = World::new(&["g-G0"]);
    for name in &names {
        world = world.group(name, if name == "G8" { &["ana"] } else { &[] });
        world.groups.get_mut(name).unwrap().name = "Same".into();
    }
    for outer in &names {
        for inner in names.iter().filter(|inner| *inner != outer) {
            world = world.nest(outer, inner);
        }
    }
    let why = world.why_user("u-ana");
    let lengths: Vec<usize> = places(&why)[0].paths.iter().map(Vec::len).collect();
    assert_eq!(lengths, [2, 3, 4, 5, 6, 7], "of eight and nine there are too many to look at");
}

#[test]
fn whoever_and_whatever_only_one_side_knows_is_found_by_id_as_well() {
    let mut world = settled().user("new").user("Zoe").account("stranger").site_group("Loose", &[]);
    world.users.remove("ben");
    for group in world.groups.values_mut() {
        group.users.remove("ben");
    }
    let who =
        |user: &str, account: Option<&str>| Ok(Who { user: Some(uid(user)), account: account.map(aid) });
    assert_eq!(world.user_found("U-NEW"), who("new", None), "only the directory knows her");
    assert_eq!(world.user_found(" U-BEN "), who("ben", Some("ben")), "only the memory knows him");
    assert_eq!(world.user_found("u-Zoe"), who("Zoe", None), "an id is also meant as it is written");
    assert_eq!(world.user_found("712020:stranger"), Ok(Who { user: None, account: Some(aid("stranger")) }));
    world.accounts.remove(&aid("ana"));
    assert_eq!(world.user_found("712020:ana"), who("ana", Some("ana")));
    assert_eq!(world.group_found("s-Loose"), Ok(Which { directory: None, site: Some(sid("Loose")) }));
    world.site_groups.remove(&sid("Jira admins"));
    assert_eq!(
        world.group_found("s-Jira_admins"),
        Ok(Which { directory: Some(gid("Jira admins")), site: Some(sid("Jira admins")) })
    );
}

#[test]
fn somebody_is_found_by_the_mail_field_also_where_it_is_no_address() {
    let mut world = settled();
    world.mails.insert("ana".into(), "ana".into());
    assert_eq!(world.user_found("ANA").unwrap().user, Some(uid("ana")));
    assert!(matches!(world.user_found("an"), Err(NotFound::Unknown { .. })));
}

#[test]
fn a_bound_site_group_stands_for_the_directory_group_that_fills_it() {
    let mut world = World::new(&["*"]).group("a", &["ana"]).group("b", &["ben"]);
    world.bind("a", "X");
    world.bind("b", "Y");
    world.converge();
    for (text, directory) in [("X", "a"), ("Y", "b")] {
        let found = Which { directory: Some(gid(directory)), site: Some(sid(text)) };
        assert_eq!(world.group_found(text), Ok(found), "{text}");
    }
}
