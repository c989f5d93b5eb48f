//! `entrain admin account`: passwords come by standard input and are shown nowhere; the last administrator stays one.

#![expect(clippy::unwrap_used, reason = "test code")]

mod support;

use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

const PASSWORD: &str = "several words in a row";

fn with_password(folder: &Path, args: &[&str], password: &str) -> Output {
    let mut child = support::command(folder, args).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn shown(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

#[test]
fn accounts_are_made_changed_and_listed_and_no_password_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let create = ["admin", "account", "create", "Ana Ruiz", "--role", "administrator"];
    let short = with_password(folder.path(), &create, "short");
    assert_eq!(short.status.code(), Some(2), "{}", shown(&short));
    assert!(shown(&short).contains("between 12 and 256 characters"), "{}", shown(&short));
    let made = with_password(folder.path(), &create, PASSWORD);
    assert_eq!(made.status.code(), Some(0), "{}", shown(&made));
    let again = with_password(folder.path(), &["admin", "account", "create", "ANA RUIZ"], PASSWORD);
    assert!(shown(&again).contains("there is an account named"), "{}", shown(&again));
    let last =
        support::entrain_in(folder.path(), &["admin", "account", "disable", "Ana Ruiz"], &[]).expect(1);
    assert!(last.err().contains("last administrator"), "{}", last.err());
    with_password(folder.path(), &["admin", "account", "create", "Bo", "--role", "administrator"], PASSWORD);
    support::entrain_in(folder.path(), &["admin", "account", "set-role", "ana ruiz", "approver"], &[])
        .expect(0);
    support::entrain_in(folder.path(), &["admin", "account", "disable", "Ana Ruiz"], &[]).expect(0);
    let reset =
        with_password(folder.path(), &["admin", "account", "reset-password", "Bo"], "another few words");
    assert_eq!(reset.status.code(), Some(0), "{}", shown(&reset));
    let told = "The next sign-in asks for a password of their own.";
    assert!(shown(&made).contains(told) && shown(&reset).contains(told), "{}{}", shown(&made), shown(&reset));
    let own = ["admin", "account", "create", "Cy", "--own"];
    let own = with_password(folder.path(), &own, "yet another few words");
    assert!(own.status.success() && !shown(&own).contains(told), "{}", shown(&own));
    let list =
        support::entrain_in(folder.path(), &["admin", "account", "list", "--json"], &[]).expect(0).json();
    assert_eq!((&list[0]["name"], &list[0]["role"]), (&"Ana Ruiz".into(), &"approver".into()));
    assert!(list[0]["disabled_at"].is_string() && list[1]["disabled_at"].is_null());
    let handed_out: Vec<_> = list.as_array().unwrap().iter().map(|one| &one["password_handed_out"]).collect();
    assert_eq!(handed_out, [true, true, false]);
    let audit = support::entrain_in(folder.path(), &["audit", "list", "--json"], &[]).expect(0).out();
    for output in [shown(&made), shown(&again), shown(&reset), list.to_string(), audit] {
        assert!(!output.contains(PASSWORD) && !output.contains("argon2"), "{output}");
    }
}
