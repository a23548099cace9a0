//! Addresses of brokers.

use std::{fmt, io};

use lapin::{
    tcp::OwnedTLSConfig,
    uri::{AMQPScheme, AMQPUri},
};
use thiserror::Error;

/// A heartbeat is asked for this often, in seconds; a peer that is silent for twice as long is given up.
const HEARTBEAT: u16 = 5;
/// The longest heartbeat that may be asked for, in seconds.
const SLOWEST_HEARTBEAT: u16 = 10;
/// Frames are small, and lapin keeps room for 32 of them in each direction.
const FRAME_MAX: u32 = 32 * 1024;

/// Why an address of a broker cannot be used. Names its place in the list and never shows it: it may hold a password.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RabbitUrlError {
    /// The list is empty.
    #[error("CLINIC_BROKER names no broker: write amqp://USER:PASSWORD@HOST:5672")]
    Empty,
    /// Not the scheme of AMQP.
    #[error("address {0} of CLINIC_BROKER must begin with amqp:// or amqps://")]
    Scheme(usize),
    /// Not a URL.
    #[error(
        "address {0} of CLINIC_BROKER cannot be read: write amqp://USER:PASSWORD@HOST:PORT/VHOST, and percent-encode what is special in the user, the password and the virtual host"
    )]
    Unreadable(usize),
    /// It ends in a slash, which names a virtual host without a name.
    #[error("address {0} of CLINIC_BROKER ends in a slash and so names no virtual host: leave the slash out, or write /%2f")]
    NoVirtualHost(usize),
    /// A parameter that is not known.
    #[error("address {0} of CLINIC_BROKER has a parameter that is not known: use heartbeat (1 to 10, in seconds) or cacertfile (a file)")]
    Parameter(usize),
    /// Certificates cannot be read.
    #[error("the file that cacertfile of address {place} of CLINIC_BROKER names cannot be read")]
    Certificates {
        /// Which address.
        place: usize,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The prefix cannot be part of a name.
    #[error("CLINIC_PREFIX: use at most 64 letters, digits, dots, hyphens and underscores")]
    Prefix,
}

/// One broker's address, and whom to trust there. Shown without user and password.
#[derive(Clone)]
pub struct RabbitUrl {
    pub(super) uri: AMQPUri,
    pub(super) tls: OwnedTLSConfig,
}

impl RabbitUrl {
    /// Reads a list of addresses, separated by commas, and the certificates that they name.
    ///
    /// # Errors
    /// [`RabbitUrlError`] names the place of what cannot be used.
    pub fn parse_list(list: &str) -> Result<Vec<Self>, RabbitUrlError> {
        let urls: Vec<_> = list.split(',').map(str::trim).filter(|url| !url.is_empty()).collect();
        if urls.is_empty() {
            return Err(RabbitUrlError::Empty);
        }
        urls.into_iter().enumerate().map(|(n, url)| Self::parse(n + 1, url)).collect()
    }

    fn parse(place: usize, url: &str) -> Result<Self, RabbitUrlError> {
        let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| matches!(*scheme, "amqp" | "amqps")) else {
            return Err(RabbitUrlError::Scheme(place));
        };
        let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        // What stands raw behind the first slash was meant for a password: it would be taken for the port.
        let misplaced = rest.split_once('/').is_some_and(|(_, vhost)| vhost.contains(['/', '@'])) || rest.contains('#');
        if misplaced {
            return Err(RabbitUrlError::Unreadable(place));
        }
        let mut uri: AMQPUri = format!("{scheme}://{rest}").parse().map_err(|_| RabbitUrlError::Unreadable(place))?;
        if uri.vhost.is_empty() {
            return Err(RabbitUrlError::NoVirtualHost(place));
        }
        if let Some(address) = ipv6(rest) {
            address.clone_into(&mut uri.authority.host);
        }
        uri.query.heartbeat = Some(HEARTBEAT);
        uri.query.frame_max = Some(FRAME_MAX);
        let mut tls = OwnedTLSConfig::default();
        for (name, value) in form_urlencoded::parse(parameters.as_bytes()) {
            match &*name {
                "heartbeat" => {
                    let seconds = value.parse().ok().filter(|seconds| (1..=SLOWEST_HEARTBEAT).contains(seconds));
                    uri.query.heartbeat = Some(seconds.ok_or(RabbitUrlError::Parameter(place))?);
                }
                "cacertfile" => {
                    let pem = std::fs::read_to_string(&*value).map_err(|source| RabbitUrlError::Certificates { place, source })?;
                    tls.cert_chain = Some(pem);
                }
                _ => return Err(RabbitUrlError::Parameter(place)),
            }
        }
        Ok(Self { uri, tls })
    }

    /// The host's name or address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.uri.authority.host
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.uri.scheme == AMQPScheme::AMQPS
    }

    /// Whether the password is one that everybody knows: RabbitMQ's own, `guest`, which is also what an address without one stands
    /// for, or `clinic`, which the clinic's `docker-compose.yml` has where none is set.
    #[must_use]
    pub fn has_default_password(&self) -> bool {
        matches!(self.uri.authority.userinfo.password.as_str(), "guest" | "clinic")
    }
}

/// The address in brackets, which the parser takes for no host at all.
fn ipv6(rest: &str) -> Option<&str> {
    let authority = rest.split('/').next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.strip_prefix('[')?.split_once(']').map(|(address, _)| address)
}

impl fmt::Display for RabbitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_encrypted() { "amqps" } else { "amqp" };
        let authority = &self.uri.authority;
        let (open, close) = if authority.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}://{open}{}{close}:{}", authority.host, authority.port)
    }
}

impl fmt::Debug for RabbitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(url: &str) -> RabbitUrl {
        RabbitUrl::parse_list(url).unwrap().remove(0)
    }

    #[test]
    fn an_address_says_where_and_who() {
        let url = one("amqp://cl%2fnic:s%40cret@rabbit.example:5673/ward%2f1?heartbeat=7");
        let AMQPUri { authority, vhost, query, .. } = &url.uri;
        assert_eq!((authority.host.as_str(), authority.port, vhost.as_str()), ("rabbit.example", 5673, "ward/1"));
        assert_eq!((authority.userinfo.username.as_str(), authority.userinfo.password.as_str()), ("cl/nic", "s@cret"));
        assert_eq!(query.heartbeat, Some(7));
    }

    #[test]
    fn what_is_left_out_is_what_rabbitmq_has_by_itself() {
        let url = one("amqps://rabbit.example");
        assert_eq!((url.uri.authority.port, url.uri.vhost.as_str(), url.uri.query.heartbeat), (5671, "/", Some(HEARTBEAT)));
        assert_eq!(url.uri.authority.userinfo.username, "guest");
    }

    #[test]
    fn hosts_may_be_addresses_of_both_kinds() {
        for (url, host) in [
            ("amqp://127.0.0.1:1", "127.0.0.1"),
            ("amqp://[::1]", "::1"),
            ("amqp://u:p@[2001:db8::7]:5672/v", "2001:db8::7"),
            ("amqp://rabbit", "rabbit"),
        ] {
            assert_eq!(one(url).uri.authority.host, host, "{url}");
        }
    }

    #[test]
    fn a_list_names_a_cluster() {
        let urls = RabbitUrl::parse_list(" amqp://one:1 , amqp://two:2,").unwrap();
        assert_eq!(urls.iter().map(ToString::to_string).collect::<Vec<_>>(), ["amqp://one:1", "amqp://two:2"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_without_secrets() {
        for (list, begin) in [
            ("", "CLINIC_BROKER names no broker"),
            (" , ", "CLINIC_BROKER names no broker"),
            ("http://u:secret@rabbit", "address 1 of CLINIC_BROKER must begin"),
            ("amqp://one,secret@two", "address 2 of CLINIC_BROKER must begin"),
            ("amqp://u:secret@rabbit:port", "address 1 of CLINIC_BROKER cannot be read"),
            ("amqp://u:1/secret@rabbit", "address 1 of CLINIC_BROKER cannot be read"),
            ("amqp://u:1/secret/@rabbit", "address 1 of CLINIC_BROKER cannot be read"),
            ("amqp://u:1#secret@rabbit", "address 1 of CLINIC_BROKER cannot be read"),
            ("amqp://one,amqp://u:secret@rabbit/", "address 2 of CLINIC_BROKER ends in a slash"),
            ("amqp://u:secret@rabbit?secret=1", "address 1 of CLINIC_BROKER has a parameter"),
            ("amqp://u:secret@rabbit?heartbeat=0", "address 1 of CLINIC_BROKER has a parameter"),
            ("amqp://u:secret@rabbit?heartbeat=11", "address 1 of CLINIC_BROKER has a parameter"),
            ("amqps://u:secret@rabbit?cacertfile=/nowhere/secret.pem", "the file that cacertfile of address 1"),
        ] {
            let error = RabbitUrl::parse_list(list).unwrap_err();
            assert!(error.to_string().starts_with(begin), "{list}: {error}");
            assert!(!error.to_string().contains("secret") && !format!("{error:?}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn passwords_that_everybody_knows_are_known() {
        for credentials in ["", "guest@", "clinic@", "guest:guest@", "clinic:gu%65st@", "clinic:clinic@", "desk:clinic@"] {
            assert!(one(&format!("amqp://{credentials}rabbit")).has_default_password(), "{credentials}");
        }
        for credentials in ["guest:better@", "clinic:better@", "clinic:Clinic@"] {
            assert!(!one(&format!("amqp://{credentials}rabbit")).has_default_password(), "{credentials}");
        }
    }

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        assert_eq!(one("amqps://u:secret@[2001:db8::7]/v").to_string(), "amqps://[2001:db8::7]:5671");
        let url = one("amqp://clinic:secret@rabbit.example:5673/ward");
        assert_eq!(format!("{url} {url:?}"), "amqp://rabbit.example:5673 amqp://rabbit.example:5673");
    }
}
