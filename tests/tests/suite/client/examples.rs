//! The client's examples, run as they are against a clinic.

use std::process::{Command, Output};

use clinic_tests::process::{Setup, client_example};

fn run(clinic: &Setup, name: &str, arguments: &[&str]) -> Output {
    let url = format!("http://{}", clinic.http().address());
    Command::new(client_example(name)).args(arguments).env("CLINIC_URL", url).output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_does_what_it_says() {
    let setup = Setup::new();
    let _clinic = setup.start();
    let booked = said(&run(&setup, "book", &[]));
    assert!(booked.starts_with("confirmed: "), "{booked}");
    let listed = said(&run(&setup, "list", &["DOC001"]));
    let id = listed.split(' ').next().unwrap().to_owned();
    assert!(listed.lines().count() == 1 && listed.contains("confirmed"), "{listed}");
    let watched = said(&run(&setup, "watch", &[&id]));
    for kind in ["accepted", "attempt", "confirmed", "notice_sent"] {
        assert!(watched.contains(kind), "{watched}");
    }
    assert_eq!(said(&run(&setup, "wait", &[&id])), format!("{id} is confirmed\n"));
    let unknown = run(&setup, "wait", &["0190163d-8694-739b-aea5-966c26f8ad91"]);
    assert!(!unknown.status.success() && String::from_utf8_lossy(&unknown.stderr).contains("not_found"), "{unknown:?}");
}

/// The first example of the README is `book`, to the letter, and short.
#[test]
fn the_readmes_example_is_one_of_them() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../clinic-client");
    let read = |path: &str| std::fs::read_to_string(format!("{folder}/{path}")).unwrap();
    let (readme, example) = (read("README.md"), read("examples/book.rs"));
    let shown = readme.split("```rust,no_run\n").nth(1).unwrap().split("```").next().unwrap();
    let code: String = example.lines().filter(|line| !line.starts_with("//!")).map(|line| format!("{line}\n")).collect();
    assert_eq!(shown.trim(), code.trim());
    assert!(shown.lines().filter(|line| !line.is_empty()).count() <= 12, "{shown}");
}
