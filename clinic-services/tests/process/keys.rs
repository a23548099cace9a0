//! The file of API keys, as a process meets it.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use super::*;

const KEY: &str = "0123456789abcdef-desk";

/// A file of keys with such permissions.
fn keys_file(folder: &tempfile::TempDir, text: &str, mode: u32) -> PathBuf {
    let path = folder.path().join("keys");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn guarded(path: &std::path::Path, arguments: &[&str]) -> Command {
    let mut command = clinic(arguments);
    command.env("CLINIC_LISTEN", "0.0.0.0:0").env("CLINIC_API_KEYS_FILE", path);
    command
}

#[test]
fn keys_open_the_network_and_guard_everything_but_health() {
    let folder = tempfile::tempdir().unwrap();
    let path = keys_file(&folder, &format!("# the front desk\ndesk:{KEY}\n"), 0o600);
    let clinic = Running::ready(guarded(&path, &[]));
    assert!(!clinic.said.contains("WARN") && !clinic.said.contains(KEY), "{}", clinic.said);
    for (route, key, status) in [
        ("/health/ready", "", "200"),
        ("/bookings", "", "401"),
        ("/metrics", "", "401"),
        ("/bookings", "0123456789abcdef-kiosk", "403"),
        ("/bookings", KEY, "200"),
        ("/metrics", KEY, "200"),
    ] {
        let header = if key.is_empty() { "accept: */*".to_owned() } else { format!("authorization: Bearer {key}") };
        let answer = clinic.ask_with(&format!("GET {route}"), &header, "");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{route}: {answer}");
        assert_eq!(answer.contains("application/problem+json"), status != "200", "{answer}");
    }
    clinic.signal("-TERM");
    let (code, log) = clinic.end(Duration::from_secs(12));
    assert!(code == Some(0) && !log.contains(KEY), "{log}");
}

#[test]
fn a_file_that_all_can_read_and_a_door_without_a_lock_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = keys_file(&folder, &format!("desk:{KEY}\n"), 0o644);
    let clinic = Running::ready(guarded(&path, &[]));
    let warning = clinic.said.lines().find(|line| line.contains("WARN")).unwrap_or_else(|| panic!("{}", clinic.said));
    assert!(warning.contains("CLINIC_API_KEYS_FILE") && !warning.contains(KEY), "{warning}");

    let open = Running::ready({
        let mut command = super::clinic(&["--listen", "0.0.0.0:0"]);
        command.env("CLINIC_ALLOW_INSECURE", "http");
        command
    });
    let warning = open.said.lines().find(|line| line.contains("WARN")).unwrap_or_else(|| panic!("{}", open.said));
    assert!(warning.contains("CLINIC_ALLOW_INSECURE=http") && warning.contains("0.0.0.0:0"), "{warning}");
}

#[test]
fn a_bad_line_is_named_and_not_shown_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let path = keys_file(&folder, &format!("desk:{KEY}\nkiosk {KEY}\n"), 0o600);
    for arguments in [&[][..], &["check-config"]] {
        let (code, stdout, stderr) = ended(guarded(&path, arguments));
        assert_eq!((code, stdout.as_str(), stderr.lines().count()), (2, "", 1), "{stderr}");
        assert!(stderr.contains("line 2") && !stderr.contains(KEY), "{stderr}");
    }
}
