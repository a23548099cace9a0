//! What the README shows is run: its blocks marked `sh readme-test`, in order, in a fresh folder, against a clinic.

use std::process::Command;

use clinic_tests::{disk, process::Setup};

/// The README's fenced blocks whose info string is `sh` and this mark, at least one.
pub(crate) fn marked(mark: &str) -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let blocks = blocks(&text, mark);
    assert!(!blocks.is_empty(), "the README has no block marked ```sh {mark}");
    blocks
}

fn blocks(text: &str, mark: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == format!("```sh {mark}") {
            blocks.push(lines.by_ref().take_while(|line| line.trim() != "```").map(|line| format!("{line}\n")).collect());
        }
    }
    blocks
}

#[test]
fn only_marked_blocks_are_run() {
    let text = "a\n```sh\nrm -rf /\n```\n```sh readme-test\necho 1\necho 2\n```\nb\n```sh readme-test\necho 3\n```\n";
    assert_eq!(blocks(text, "readme-test"), ["echo 1\necho 2\n", "echo 3\n"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_commands_work() {
    let blocks = marked("readme-test");
    // As a newcomer finds it, but for the port and the luck.
    let setup = Setup::new().set("CLINIC_SIM_DELAY", "2s..5s");
    let clinic = setup.start();
    let folder = disk::folder();
    // One shell for all blocks, so that a variable set in one is there in the next.
    let script = blocks.concat().replace("127.0.0.1:8080", &clinic.http().address()).replace("localhost:8080", &clinic.http().address());
    let output = Command::new("bash").args(["-euo", "pipefail", "-c", &script]).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{script}\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    for shown in ["\"pending\"", "\"confirmed\"", "\"slot_taken\"", "\"attempt\""] {
        assert!(said.contains(shown), "the README's commands do not show {shown:?}:\n{said}");
    }
    // The notice follows the decision at once, though not always before the next command.
    setup.at_rest(std::time::Duration::from_secs(10)).await;
    assert_eq!(setup.observed().lines_so_far(), 1);
}
