//! The server's address.

use std::{fmt, io, path::PathBuf, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::BuilderVerifierExt as _;
use thiserror::Error;
use tokio_postgres::{
    Config,
    config::{Host, SslMode, TargetSessionAttrs},
};

/// For a TCP connection and what is said first.
pub(super) const CONNECT: Duration = Duration::from_millis(1_500);
/// Unacknowledged for so long, a connection is given up.
const UNACKNOWLEDGED: Duration = Duration::from_secs(2);
/// What every session has: nothing waits for ever, and whoever vanishes in a transaction lets go of what it holds.
///
/// Every statement has an index to go by. Plans that read whole tables are left out because plans are kept: one that was made while a
/// table was small would still be followed when it has grown.
const SESSION: &str = "-c statement_timeout=1500 -c lock_timeout=1000 -c idle_in_transaction_session_timeout=5000 -c jit=off \
                       -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off";

/// Why an address of PostgreSQL cannot be used. Never shows it: it may hold a password.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PostgresUrlError {
    /// Not the scheme of PostgreSQL.
    #[error("CLINIC_STORE must begin with postgres:// or postgresql://")]
    Scheme,
    /// Not a URL.
    #[error(
        "CLINIC_STORE cannot be read: write postgres://USER:PASSWORD@HOST:5432/DATABASE, and percent-encode what is special in the user and the password"
    )]
    Unreadable,
    /// No host or no database.
    #[error("CLINIC_STORE must name a host and a database: postgres://USER:PASSWORD@HOST:5432/DATABASE")]
    Incomplete,
    /// A way to use TLS that is none, or protects from nothing.
    #[error("sslmode of CLINIC_STORE must be verify-full, or disable if nobody else can read that network")]
    SslMode,
    /// Certificates cannot be read.
    #[error("the file that sslrootcert of CLINIC_STORE names ({path}) cannot be read as certificates")]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A server's address, and whom to trust there. Shown without user, password and parameters.
#[derive(Clone)]
pub struct PostgresUrl {
    pub(super) config: Config,
    encrypted: bool,
    root: Option<PathBuf>,
}

impl PostgresUrl {
    /// Reads `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, several hosts separated by commas.
    ///
    /// Of its parameters, `sslmode` may be `verify-full` (the default, but for this machine itself) or `disable`; `sslrootcert` names a
    /// file of certificates to trust instead of the system's.
    ///
    /// # Errors
    /// [`PostgresUrlError`].
    pub fn parse(url: &str) -> Result<Self, PostgresUrlError> {
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(PostgresUrlError::Scheme);
        }
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut root) = (None, None);
        let mut others = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "sslmode" => mode = Some(value.into_owned()),
                "sslrootcert" => root = Some(PathBuf::from(&*value)),
                _ => drop(others.append_pair(&name, &value)),
            }
        }
        // In an address a plus is a plus.
        let others = others.finish().replace('+', "%20");
        let mut config: Config = format!("{address}?{others}").parse().map_err(|_| PostgresUrlError::Unreadable)?;
        if config.get_hosts().is_empty() || config.get_dbname().is_none_or(str::is_empty) {
            return Err(PostgresUrlError::Incomplete);
        }
        let encrypted = match mode.as_deref() {
            None => root.is_some() || !config.get_hosts().iter().all(is_here),
            Some("disable") => false,
            Some("verify-full" | "require") => true,
            Some(_) => return Err(PostgresUrlError::SslMode),
        };
        let options = config.get_options().map_or_else(|| SESSION.to_owned(), |given| format!("{SESSION} {given}"));
        config
            .ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable })
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .connect_timeout(CONNECT)
            .tcp_user_timeout(UNACKNOWLEDGED)
            .keepalives_idle(Duration::from_secs(2))
            .keepalives_interval(Duration::from_secs(1))
            .keepalives_retries(2)
            .options(options);
        if config.get_application_name().is_none() {
            config.application_name("clinic");
        }
        Ok(Self { config, encrypted, root })
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Whom to trust: the system's authorities, or those of the file.
    pub(super) fn tls(&self) -> Result<ClientConfig, PostgresUrlError> {
        // One provider of cryptography in the whole program. One that is installed already serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = ClientConfig::builder();
        let Some(path) = &self.root else {
            let unusable =
                |error: rustls::Error| PostgresUrlError::Certificates { path: "the system's".into(), source: io::Error::other(error) };
            return Ok(builder.with_platform_verifier().map_err(unusable)?.with_no_client_auth());
        };
        let unreadable = |error: io::Error| PostgresUrlError::Certificates { path: path.clone(), source: error };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(io::Error::other(error)))? {
            let certificate = certificate.map_err(|error| unreadable(io::Error::other(error)))?;
            roots.add(certificate).map_err(|error| unreadable(io::Error::other(error)))?;
        }
        if roots.is_empty() {
            return Err(unreadable(io::ErrorKind::InvalidData.into()));
        }
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

/// Whether a host is this machine for sure.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
        }
        Host::Unix(_) => true,
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        for (index, host) in self.config.get_hosts().iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            match host {
                Host::Tcp(name) => write!(f, "{comma}{name}")?,
                Host::Unix(path) => write!(f, "{comma}{}", path.display())?,
            }
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        let url = PostgresUrl::parse("postgres://clinic:s%40cret@one.example:6432,two.example/ward?application_name=cl+in").unwrap();
        assert_eq!(format!("{url} {url:?}"), "postgres://one.example,two.example/ward postgres://one.example,two.example/ward");
        assert_eq!(url.config.get_password(), Some(&b"s@cret"[..]));
    }

    #[test]
    fn elsewhere_certificates_are_verified_unless_told_otherwise() {
        let encrypted = |url: &str| PostgresUrl::parse(url).unwrap().is_encrypted();
        assert!(encrypted("postgres://c@db.example/clinic"));
        assert!(encrypted("postgresql://c@10.0.0.1/clinic?sslmode=verify-full"));
        assert!(!encrypted("postgres://c@127.0.0.1/clinic"));
        assert!(!encrypted("postgres://c@db.example/clinic?sslmode=disable"));
        assert!(encrypted("postgres://c@127.0.0.1,db.example/clinic"), "one of them is elsewhere");
    }

    #[test]
    fn what_is_wrong_is_said_without_secrets() {
        for url in [
            "mysql://u:secret@h/d",
            "postgres://u:secret@h:port/d",
            "postgres://u:secret@/d",
            "postgres://u:secret@h",
            "postgres://u:secret@h/d?sslmode=prefer",
            "postgres://u:secret@h/d?secret=1",
        ] {
            let error = PostgresUrl::parse(url).unwrap_err();
            assert!(error.to_string().contains("CLINIC_STORE") && !format!("{error}{error:?}").contains("secret"), "{url}: {error}");
        }
    }

    #[test]
    fn a_file_of_no_certificates_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let url = PostgresUrl::parse(&format!("postgres://c@h/d?sslrootcert={}", file.path().display())).unwrap();
        assert!(matches!(url.tls(), Err(PostgresUrlError::Certificates { .. })));
    }
}
