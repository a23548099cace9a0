//! A certificate authority of a test's own, made by openssl.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// Its files are gone when it is dropped.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

/// A server's certificate and its key, as PEM files.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Certificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Authority {
    /// A new one, which nobody trusts yet.
    ///
    /// # Panics
    /// When there is no openssl.
    #[must_use]
    pub fn new() -> Self {
        let authority = Self { folder: tempfile::tempdir().expect("a folder for certificates") };
        let own = authority.files("authority");
        authority.make(&own, &["-subj", "/CN=Authority of a test", "-addext", "basicConstraints=critical,CA:TRUE"]);
        authority
    }

    /// Its own certificate: whoever trusts in this one trusts in all that it issues.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.files("authority").certificate
    }

    /// A certificate for a server, by its names: `DNS:localhost`, `IP:127.0.0.1`, with commas between.
    ///
    /// # Panics
    /// When openssl refuses the names.
    #[must_use]
    pub fn issue(&self, names: &str) -> Certificate {
        let (own, issued) = (self.files("authority"), self.files(&names.replace([':', ',', '.'], "-")));
        let names = format!("subjectAltName={names}");
        let by = ["-CA", text(&own.certificate), "-CAkey", text(&own.key)];
        let what = ["-subj", "/CN=A server of a test", "-addext", &names, "-addext", "basicConstraints=CA:FALSE"];
        self.make(&issued, &[&by[..], &what[..]].concat());
        issued
    }

    fn files(&self, name: &str) -> Certificate {
        let file = |what: &str| self.folder.path().join(format!("{name}-{what}.pem"));
        Certificate { certificate: file("certificate"), key: file("key") }
    }

    fn make(&self, files: &Certificate, more: &[&str]) {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .args(["-keyout", text(&files.key), "-out", text(&files.certificate)])
            .args(more)
            .output()
            .unwrap_or_else(|error| panic!("no certificate can be made, install openssl: {error}"));
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a folder of plain letters")
}
