//! A clinic behind TLS whose certificate authority is the caller's own. Needs `openssl`.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use clinic_client::{Client, ErrorKind, RetryPolicy};

const KEY: [&str; 6] = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{\"status\":\"ok\"}";

fn openssl(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

/// An authority, and a certificate of this host by it.
fn certify(folder: &Path) {
    let made = |arguments: &str| {
        let arguments: Vec<_> = KEY.into_iter().chain(arguments.split(' ')).collect();
        assert!(openssl(folder, &arguments).status().expect("install openssl").success(), "{arguments:?}");
    };
    made("-nodes -days 1 -subj /CN=authority -keyout authority.key -out authority.pem");
    made(
        "-nodes -days 1 -subj /CN=localhost -keyout host.key -out host.pem -CA authority.pem -CAkey authority.key \
         -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE",
    );
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves the folder's files as whole answers; where.
fn serve(folder: &Path) -> (Server, String) {
    let arguments = ["s_server", "-accept", "127.0.0.1:0", "-cert", "host.pem", "-key", "host.key", "-HTTP"];
    let mut child = openssl(folder, &arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.find_map(|line| line.unwrap().strip_prefix("ACCEPT ").map(str::to_owned)).unwrap();
    // Read on, so that it never waits for its reader.
    std::thread::spawn(move || lines.for_each(drop));
    (Server(child), format!("https://{address}"))
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_once_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    fs::create_dir(folder.path().join("health")).unwrap();
    fs::write(folder.path().join("health/live"), ANSWER).unwrap();
    let (_server, url) = serve(folder.path());
    let authority = fs::read(folder.path().join("authority.pem")).unwrap();

    let trusting = Client::builder(&url).root_certificate(authority).build().unwrap();
    assert_eq!(trusting.live().await.unwrap().status.to_string(), "ok");
    let other = Client::builder(&url).retry(RetryPolicy::never()).build().unwrap();
    assert!(matches!(other.live().await.unwrap_err().kind, ErrorKind::Transport(_)));
}
