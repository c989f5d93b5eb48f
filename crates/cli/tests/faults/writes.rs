//! the call succeeded and the connection was cut before its answer came.

use entrain_emulator::Surface;
use entrain_emulator::faults::{Fault, FaultKind};

use crate::town::{Town, company, once, side_by_side, unthrottled};

type Write = (&'static str, &'static str);

const USER: Write = ("POST", "/rest/api/3/user");
const GROUP: Write = ("POST", "/rest/api/3/group");
const ADD: Write = ("POST", "/rest/api/3/group/user");
const REMOVE: Write = ("DELETE", "/rest/api/3/group/user");

fn answer_lost((method, path): Write) -> Fault {
    Fault {
        surface: Some(Surface::Site),
        method: Some(method.into()),
        path: Some(path.into()),
        ..Fault::new(FaultKind::ResetAfter {})
    }
}

/// How often this was asked of the site.
fn asked(town: &Town, (method, path): Write) -> usize {
    town.requests(|e| e.surface == Surface::Site && e.method == method && e.path == path).len()
}

#[test]
fn r_03_a_lost_answer_of_each_kind_of_write_is_found_done_and_not_repeated_blindly() {
    side_by_side(&[USER, ADD, REMOVE], 1, |town, write| {
        town.a_day_passes();
        let invited = town.bench.emulator.state().world().atlassian.invitations.len();
        let ran = town.suffers(&[once(answer_lost(*write))]).expect(0);
        assert_eq!(ran.json()["status"], "converged", "{}", ran.out());
        town.assert_exact();
        if *write == USER {
            assert_eq!(asked(town, USER), 1, "an invitation is a mail: it is never sent again");
        } else {
            // A membership may be asked for once more: it ends in the same state, and nobody gets a mail
            let (planned, sent) = (done(&ran, *write), asked(town, *write));
            assert!(sent <= planned + 1, "{sent} calls for {planned} steps: {}", ran.out());
        }
        let now = town.bench.emulator.state().world().atlassian.invitations.len();
        assert_eq!(now, invited + 1, "one joiner, one mail");
        town.assert_recovers();
        town.bench.entrain(&["audit", "verify"]).expect(0);
    });
}

fn done(ran: &crate::support::Ran, write: Write) -> usize {
    let kind = match write {
        USER => "create_user",
        GROUP => "create_group",
        ADD => "add_member",
        _ => "remove_member",
    };
    ran.json()["steps"][kind]["done"].as_u64().unwrap_or_default() as usize
}

#[test]
fn r_03_a_first_run_that_loses_every_answer_of_its_creations_makes_each_thing_once() {
    let town = Town::of(unthrottled(company(20, 3, 6)));
    town.fault(answer_lost(GROUP));
    town.fault(answer_lost(USER));
    let ran = town.sync(&[]).expect(0);
    assert_eq!(ran.json()["status"], "converged", "{}", ran.out());
    assert!(town.fired() >= 10, "{}", town.told());
    town.assert_exact();
    // Each was asked for once: a group that was made twice would show under two ids
    assert_eq!(asked(&town, GROUP), 3);
    assert_eq!(asked(&town, USER), done(&ran, USER));
    assert_eq!(asked(&town, ADD), done(&ran, ADD));
    town.assert_recovers();
}

/// An answer that is lost at every attempt leaves the intent open, as a kill does.
#[test]
fn r_03_lost_answers_of_several_memberships_at_once_are_settled_by_the_same_run() {
    let mut town = Town::settled();
    town.a_day_passes();
    let twice = |write| Fault { count: Some(2), ..answer_lost(write) };
    let ran = town.suffers(&[twice(ADD), twice(REMOVE)]).expect(0);
    assert_eq!(town.fired(), 4, "{}", town.told());
    assert_eq!(ran.json()["status"], "converged", "{}", ran.out());
    town.assert_exact();
    town.assert_recovers();
    town.bench.entrain(&["audit", "verify"]).expect(0);
}
