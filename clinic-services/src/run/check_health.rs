use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use thiserror::Error;

use crate::config::Serving;

/// How long connecting, and each read and write, may take.
const WITHIN: Duration = Duration::from_secs(3);
/// The most of an answer that is read.
const LONGEST_ANSWER: u64 = 16 * 1024;

/// Why a process is not known to be able to serve.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HealthError {
    /// It listens nowhere.
    #[error("there is nobody to ask: set CLINIC_LISTEN as the process has it")]
    NoAddress,
    /// Nobody answers.
    #[error("no answer from http://{address}/health/ready")]
    NoAnswer {
        /// Where it was asked.
        address: SocketAddr,
        /// Why there is none.
        #[source]
        source: io::Error,
    },
    /// It says that it cannot serve, and why.
    #[error("not ready: {0}")]
    NotReady(String),
}

/// Asks a process on this machine, at the address it is configured to listen on, whether it is able to serve. Gives its answer.
///
/// # Errors
/// [`HealthError`].
pub fn check_health(serving: &Serving) -> Result<String, HealthError> {
    let address = reached_at(serving.listen.ok_or(HealthError::NoAddress)?);
    let answer = ask(address).map_err(|source| HealthError::NoAnswer { address, source })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status == "200" { Ok(body.to_owned()) } else { Err(HealthError::NotReady(body.to_owned())) }
}

/// Who listens on every address is reached on loopback.
const fn reached_at(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, WITHIN)?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.set_write_timeout(Some(WITHIN))?;
    // In one piece: who answers and hangs up before reading it all would reset the connection.
    let question = format!("GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(question.as_bytes())?;
    let mut answer = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use clap::Parser;

    use super::*;
    use crate::config::{Cli, Command};

    fn serving(listen: &str) -> Serving {
        match Cli::try_parse_from(["clinic", "check-health", "--listen", listen]).unwrap().command {
            Some(Command::CheckHealth(serving)) => serving,
            other => panic!("{other:?}"),
        }
    }

    /// What is found where every address is listened on and `answer` is given.
    fn found(answer: &'static str) -> Result<String, HealthError> {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 1024];
            let length = stream.read(&mut asked).unwrap();
            assert!(asked[..length].starts_with(b"GET /health/ready HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let found = check_health(&serving(&format!("0.0.0.0:{port}")));
        server.join().unwrap();
        found
    }

    #[test]
    fn who_answers_200_is_ready() {
        assert_eq!(found("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap(), "{}");
    }

    #[test]
    fn who_answers_anything_else_is_not() {
        let error = found("HTTP/1.1 503 Service Unavailable\r\n\r\n{\"broker\":\"down\"}").unwrap_err();
        assert_eq!(error.to_string(), "not ready: {\"broker\":\"down\"}");
        assert!(matches!(found("").unwrap_err(), HealthError::NotReady(_)));
    }

    #[test]
    fn where_nobody_listens_nobody_is_ready() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(matches!(check_health(&serving(&free.to_string())).unwrap_err(), HealthError::NoAnswer { .. }));
    }

    #[test]
    fn who_listens_everywhere_is_asked_on_loopback() {
        for (listen, asked) in [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("10.0.0.1:80", "10.0.0.1:80")] {
            assert_eq!(reached_at(listen.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
