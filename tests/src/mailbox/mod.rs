//! A real SMTP server, which refuses as it is told and has each mail read by independent parsers: `tests/mailbox/mailbox.py`.

mod mail;
mod python;

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::JoinHandle,
    time::Duration,
};

pub use self::{
    mail::{Invitation, Mail},
    python::python,
};
use crate::{authority::Certificate, checker::Told};

/// How long it may take to start; a busy machine is slow, and nothing here measures.
const START_WITHIN: Duration = Duration::from_secs(60);

/// How a mailbox treats mails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pattern {
    /// It takes them all.
    Accepting,
    /// It fails each up to five times, by a pattern of this seed; some it takes and does not say so.
    Refusing(u64),
    /// It takes connections and never says a word.
    Silent,
}

/// When a mailbox encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encryption {
    /// After STARTTLS, without which it takes no mail.
    StartTls,
    /// From the first byte.
    Wrapped,
}

/// What came.
#[derive(Debug, Default)]
struct Seen {
    mails: Vec<Mail>,
    refusals: usize,
    connections: usize,
    unreadable: Vec<String>,
}

/// A running mailbox. Dropped, it is killed.
#[derive(Debug)]
pub struct Mailbox {
    child: Child,
    port: u16,
    encryption: Option<Encryption>,
    seen: Arc<Mutex<Seen>>,
    asking: Mutex<(ChildStdin, mpsc::Receiver<()>)>,
    reader: Option<JoinHandle<()>>,
}

impl Mailbox {
    /// Starts one on a port of its own.
    ///
    /// # Panics
    /// When it does not start: the text says what is missing.
    #[must_use]
    pub fn start(pattern: Pattern) -> Self {
        Self::start_at(0, pattern)
    }

    /// Starts one on the port of another that is gone.
    ///
    /// # Panics
    /// When it does not start: the text says what is missing.
    #[must_use]
    pub fn start_at(port: u16, pattern: Pattern) -> Self {
        Self::run(port, pattern, None)
    }

    /// Starts one that takes all mails, encrypted.
    ///
    /// # Panics
    /// When it does not start: the text says what is missing.
    #[must_use]
    pub fn start_encrypted(encryption: Encryption, certificate: &Certificate) -> Self {
        Self::run(0, Pattern::Accepting, Some((encryption, certificate)))
    }

    fn run(port: u16, pattern: Pattern, encryption: Option<(Encryption, &Certificate)>) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/mailbox/mailbox.py");
        let mut command = Command::new(python());
        command.arg(script).arg(port.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        match pattern {
            Pattern::Accepting => command.arg("accepting"),
            Pattern::Refusing(seed) => command.arg("refusing").arg(seed.to_string()),
            Pattern::Silent => command.arg("silent"),
        };
        if let Some((encryption, certificate)) = encryption {
            command.arg(if encryption == Encryption::StartTls { "--starttls" } else { "--tls" });
            command.args([&certificate.certificate, &certificate.key]);
        }
        let encryption = encryption.map(|(encryption, _)| encryption);
        let mut child = command.spawn().expect("the mailbox can be run: tests/mailbox/make prepares it");
        let stdin = child.stdin.take().expect("its input is piped");
        let stdout = child.stdout.take().expect("its output is piped");
        let seen = Arc::<Mutex<Seen>>::default();
        let (said, port) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let kept = seen.clone();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let line: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                if let Some(port) = line["port"].as_u64() {
                    let _ = said.send(port);
                    continue;
                }
                if line["synced"].is_boolean() {
                    let _ = answer.send(());
                    continue;
                }
                let mut seen = kept.lock().unwrap_or_else(PoisonError::into_inner);
                seen.refusals += usize::from(line["refused"].is_string());
                seen.connections += usize::from(line["connected"].is_boolean());
                seen.mails.extend(line.get("mail").map(Mail::read));
                seen.unreadable.extend(line["unreadable"].as_str().map(str::to_owned));
            }
        });
        let port = port.recv_timeout(START_WITHIN).expect("the mailbox says its port: tests/mailbox/make prepares it");
        let port = u16::try_from(port).expect("a port");
        Self { child, port, encryption, seen, asking: Mutex::new((stdin, answers)), reader: Some(reader) }
    }

    /// The port it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens, as the setting `CLINIC_SMTP_URL` wants it.
    #[must_use]
    pub fn url(&self) -> String {
        match self.encryption {
            None => format!("smtp://127.0.0.1:{}", self.port),
            Some(Encryption::StartTls) => format!("smtp://127.0.0.1:{}?tls=required", self.port),
            Some(Encryption::Wrapped) => format!("smtps://127.0.0.1:{}", self.port),
        }
    }

    /// The mails that it took, repeats among them, in order of arrival.
    ///
    /// # Panics
    /// When one of them could not be read.
    #[must_use]
    #[track_caller]
    pub fn mails(&self) -> Vec<Mail> {
        let seen = self.lock();
        assert!(seen.unreadable.is_empty(), "mails that cannot be read: {:?}", seen.unreadable);
        seen.mails.clone()
    }

    /// The mails to one address.
    #[must_use]
    pub fn mails_to(&self, address: &str) -> Vec<Mail> {
        self.mails().into_iter().filter(|mail| mail.recipients == [address]).collect()
    }

    /// How often it refused, other than by taking a mail without saying so.
    #[must_use]
    pub fn refusals(&self) -> usize {
        self.lock().refusals
    }

    /// How many connections a silent one took.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.lock().connections
    }

    /// What came, for the checker.
    #[must_use]
    pub fn told(&self) -> Vec<Told> {
        self.mails().iter().map(Mail::told).collect()
    }

    /// All that it answered for is in it.
    fn lock(&self) -> MutexGuard<'_, Seen> {
        {
            let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
            asking.0.write_all(b"\n").expect("the mailbox lives");
            asking.1.recv_timeout(START_WITHIN).expect("the mailbox lives");
        }
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        net::TcpStream,
    };

    use super::*;

    const MAIL: &str = "From: Clinic <clinic@example.test>\r\nTo: ana@patients.test\r\nSubject: =?utf-8?q?Cita_ma=C3=B1ana?=\r\n\
        Message-ID: <00000000-0000-0000-0000-000000000007@example.test>\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHola\r\n--b\r\n\
        Content-Type: text/calendar; method=REQUEST; charset=utf-8\r\n\r\nBEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nMETHOD:REQUEST\r\n\
        BEGIN:VEVENT\r\nUID:00000000-0000-0000-0000-000000000001\r\nSEQUENCE:3\r\nDTSTAMP:20270101T000000Z\r\n\
        DTSTART:20270328T003000Z\r\nDTEND:20270328T010000Z\r\nATTENDEE:mailto:ana@patients.test\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n--b--\r\n";

    /// Sends the mail; the last answer's code, 0 when the connection was cut.
    fn send(mailbox: &Mailbox) -> u16 {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", mailbox.port)).unwrap());
        let mut answer = String::new();
        let mut code = 0;
        let data = format!("{MAIL}.");
        for line in ["", "HELO test", "MAIL FROM:<clinic@example.test>", "RCPT TO:<ana@patients.test>", "DATA", &data] {
            if !line.is_empty() && stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).is_err() {
                return 0;
            }
            answer.clear();
            if stream.read_line(&mut answer).is_err() || answer.is_empty() {
                return 0;
            }
            code = answer[..3].parse().unwrap();
            if code >= 400 {
                break;
            }
        }
        code
    }

    #[test]
    fn a_mail_is_read_with_its_invitation() {
        let mailbox = Mailbox::start(Pattern::Accepting);
        assert_eq!(send(&mailbox), 250);
        let mails = mailbox.mails_to("ana@patients.test");
        let invitation = mails[0].invitation.as_ref().unwrap();
        assert_eq!(
            (mails[0].subject.as_str(), mails[0].text.trim(), mails[0].notice()),
            ("Cita mañana", "Hola", Some(uuid::Uuid::from_u128(7)))
        );
        assert_eq!((invitation.method.as_str(), invitation.sequence), ("REQUEST", 3));
        assert_eq!((invitation.start, invitation.end), (Some(1_806_193_800), Some(1_806_195_600)));
        assert_eq!(mailbox.told()[0].booking, Some(uuid::Uuid::from_u128(1)));
    }

    #[test]
    fn a_refusing_mailbox_takes_it_in_the_end_by_the_same_pattern() {
        let codes = |seed| {
            let mailbox = Mailbox::start(Pattern::Refusing(seed));
            let codes: Vec<u16> = (0..8).map(|_| send(&mailbox)).collect();
            (codes, mailbox.mails().len())
        };
        let mut fails = 0;
        for seed in 0..4 {
            let (once, mails) = codes(seed);
            assert_eq!((once.clone(), mails), codes(seed));
            assert!(once[5..].iter().all(|code| *code == 250), "{once:?}");
            assert!(mails >= 3);
            fails += once.iter().filter(|code| **code != 250).count();
        }
        assert!(fails > 0);
    }
}
