//! the call succeeded and its answer was lost. The call is found done and not blindly repeated, whatever it was.

use entrain_emulator::Surface::Site;
use entrain_emulator::faults::{Fault, FaultKind};

use crate::town::{Town, company, on, once, side_by_side, unthrottled};

const WRITES: [(&str, &str, &str); 4] = [
    ("create_user", "POST", "/rest/api/3/user"),
    ("create_group", "POST", "/rest/api/3/group"),
    ("add_member", "POST", "/rest/api/3/group/user"),
    ("remove_member", "DELETE", "/rest/api/3/group/user"),
];

fn lost(method: &str, path: &str) -> Fault {
    Fault { method: Some(method.into()), ..on(Site, path, FaultKind::ResetAfter {}) }
}

#[test]
fn r_03_a_write_whose_answer_is_lost_is_found_done() {
    side_by_side(&WRITES, 1, |_, (kind, method, path)| {
        let town = Town::of(unthrottled(company(30, 4, 10)));
        if *kind == "remove_member" {
            town.sync(&[]).expect(0);
            let mut town = town;
            town.gets_over(&[once(lost(method, path))]);
            return;
        }
        town.fault(once(lost(method, path)));
        let ran = town.sync(&[]).expect(0);
        assert_eq!(town.fired(), 1);
        assert_eq!(ran.json()["status"], "converged", "{kind}: {}", ran.out());
        town.assert_exact();
        town.assert_recovers();
    });
}

#[test]
fn r_03_when_every_third_answer_is_lost_nothing_is_done_twice() {
    side_by_side(&WRITES, 1, |_, (kind, method, path)| {
        let mut town = Town::of(unthrottled(company(30, 4, 10)));
        if *kind == "remove_member" {
            town.sync(&[]).expect(0);
            town.a_day_passes();
        }
        town.within("5s");
        town.fault(Fault { every: Some(3), ..lost(method, path) });
        town.sync(&[]);
        town.assert_recovers();
    });
}
