//! Handing mails over, to servers that answer as they are told.

use lettre::transport::smtp::response::{Category, Code, Detail, Severity};

use super::*;

#[test]
fn of_a_servers_answer_only_its_queue_id_is_kept() {
    let said =
        |line: &str| Response::new(Code::new(Severity::PositiveCompletion, Category::MailSystem, Detail::Zero), vec![line.to_owned()]);
    assert_eq!(queue_id(&said("2.0.0 Ok: queued as 4XyZ12-ab")), Some("4XyZ12-ab"));
    for line in ["OK", "queued as ", "queued as juan@example.com", "Message for juan@example.com accepted"] {
        assert_eq!(queue_id(&said(line)), None, "{line}");
    }
}

mod server {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::TcpListener,
    };

    /// A mail server that answers each command by `answer`, and counts its connections.
    pub(super) async fn start(answer: fn(&str) -> Option<&'static str>) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    stream.write_all(b"220 here\r\n").await?;
                    let (mut line, mut in_mail) = (String::new(), false);
                    while stream.read_line(&mut line).await? > 0 {
                        let command = line.trim_end().to_owned();
                        line.clear();
                        if in_mail && command != "." {
                            continue;
                        }
                        in_mail = command == "DATA";
                        // Without an answer the connection stays open and silent.
                        if let Some(answer) = answer(&command) {
                            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
                        }
                    }
                    std::io::Result::Ok(())
                });
            }
        });
        (url, connections)
    }

    pub(super) fn polite(command: &str) -> Option<&'static str> {
        Some(match command {
            "DATA" => "354 go on",
            "." => "250 2.0.0 Ok: queued as ABC123",
            _ => "250 ok",
        })
    }
}

fn channel(url: &str, timeout: Duration) -> EmailChannel {
    let mut options = EmailOptions::new(url, "Clinic <citas@example.org>").unwrap();
    options.timeout = timeout;
    EmailChannel::new(options).unwrap()
}

#[tokio::test]
async fn a_connection_serves_mail_after_mail() {
    let (url, connections) = server::start(server::polite).await;
    let channel = channel(&url, Duration::from_secs(30));
    for _ in 0..3 {
        let receipt = channel.send(&notice(appointment(), EventKind::Confirmed)).await.unwrap();
        assert_eq!(receipt.reference.as_deref(), Some("ABC123"));
    }
    assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_mail_that_came_too_late_leaves_no_connection_to_the_next() {
    let (url, connections) = server::start(|command| if command == "." { None } else { server::polite(command) }).await;
    let channel = channel(&url, Duration::from_millis(200));
    for _ in 0..2 {
        let late = channel.send(&notice(appointment(), EventKind::Confirmed)).await.unwrap_err();
        assert!(matches!(late, ChannelError::Transient { code: "smtp_timeout", .. }), "{late:?}");
    }
    assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), 2);
}

/// Whether the mail is sent again, and the code.
async fn outcome(url: &str) -> (bool, &'static str) {
    match channel(url, Duration::from_secs(5)).send(&notice(appointment(), EventKind::Confirmed)).await {
        Err(ChannelError::Transient { code, .. }) => (true, code),
        Err(ChannelError::Permanent { code, .. }) => (false, code),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn whose_trouble_a_refusal_is_says_what_was_refused() {
    type Answer = fn(&str) -> Option<&'static str>;
    let refusals: [(&str, Answer, (bool, &str)); 6] = [
        ("the client", |c| c.starts_with("EHLO").then_some("550 5.7.1 who?").or_else(|| server::polite(c)), (true, "smtp_refused")),
        ("the sender", |c| c.starts_with("MAIL").then_some("550 5.7.1 not you").or_else(|| server::polite(c)), (true, "smtp_sender")),
        ("the sender for now", |c| c.starts_with("MAIL").then_some("451 busy").or_else(|| server::polite(c)), (true, "smtp_deferred")),
        ("the recipient", |c| c.starts_with("RCPT").then_some("550 5.1.1 nobody").or_else(|| server::polite(c)), (false, "smtp_refused")),
        ("the mail", |c| (c == ".").then_some("554 5.6.0 no").or_else(|| server::polite(c)), (false, "smtp_refused")),
        ("a login", |c| c.starts_with("MAIL").then_some("530 5.7.0 log in").or_else(|| server::polite(c)), (true, "smtp_login")),
    ];
    for (what, answer, expected) in refusals {
        let (url, _) = server::start(answer).await;
        assert_eq!(outcome(&url).await, expected, "{what}");
    }
}

#[tokio::test]
async fn a_refusal_stays_one_though_the_goodbye_is_not_answered() {
    let (url, _) = server::start(|command| match command {
        "QUIT" => None,
        command if command.starts_with("RCPT") => Some("550 5.1.1 nobody"),
        command => server::polite(command),
    })
    .await;
    assert_eq!(outcome(&url).await, (false, "smtp_refused"));
}

#[tokio::test]
async fn an_encryption_that_fails_is_called_so() {
    let (url, _) = server::start(server::polite).await;
    assert_eq!(outcome(&url.replace("smtp://", "smtps://")).await, (true, "smtp_tls"), "it speaks no TLS");
    let required = |url: String| url + "?tls=required";
    assert_eq!(outcome(&required(url)).await, (true, "smtp_unsupported"), "it offers no STARTTLS");
    let (url, _) = server::start(|command| match command {
        "STARTTLS" => Some("454 4.7.0 TLS not available"),
        command if command.starts_with("EHLO") => Some("250-here\r\n250 STARTTLS"),
        command => server::polite(command),
    })
    .await;
    assert_eq!(outcome(&required(url)).await, (true, "smtp_tls"), "it offers it and cannot");
    let (url, _) = server::start(|command| match command {
        command if command.starts_with("EHLO") => Some("250-here\r\n250 STARTTLS"),
        command => server::polite(command),
    })
    .await;
    assert_eq!(outcome(&required(url)).await, (true, "smtp_tls"), "it goes on in the clear");
}
