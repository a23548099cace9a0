//! The guard: which targets may be posted to. A clinic's server must not become a way into its intranet.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use ipnet::IpNet;
use thiserror::Error;
use url::{Host, Url};

use super::lookup::{Lookup, System};

/// No URL of an endpoint is longer, in characters.
const MAX_URL: usize = 2_048;

/// Networks that are not the public internet (IANA's special-purpose registry), and former relays into them.
const CLOSED_V4: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Parts of 2000::/3 that are not plain unicast: protocol assignments with Teredo, documentation, 6to4.
const CLOSED_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Why nothing is posted there.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GuardError {
    /// Not a URL to post to.
    #[error("must be an https URL of at most {MAX_URL} characters, without user, password or fragment")]
    Url,
    /// Plain http to a host that is not allowed.
    #[error("this target is forbidden without encryption: CLINIC_WEBHOOK_ALLOW names exceptions")]
    Plain,
    /// An address that is not public and not allowed.
    #[error("this target is forbidden: CLINIC_WEBHOOK_ALLOW names exceptions")]
    Forbidden,
    /// The host's name has no address now.
    #[error("the host's name cannot be resolved")]
    Unresolved(#[source] io::Error),
}

/// Why an exception cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AllowError {
    /// It is nothing that could be compared with a target.
    #[error("{entry:?} is none of: an address, a network such as 10.0.0.0/8, a host's whole name such as hooks.example.org")]
    Unknown {
        /// As it was written.
        entry: String,
    },
    /// It is the address of a host, with the prefix of a network.
    #[error("{entry:?} is not the network's own address: write {network}")]
    Host {
        /// As it was written.
        entry: String,
        /// The network that this address is in.
        network: IpNet,
    },
}

/// Which targets may be posted to: public ones by https, and whatever is allowed by name, address or network.
#[derive(Clone)]
pub struct Guard {
    networks: Arc<[IpNet]>,
    hosts: Arc<[String]>,
    lookup: Arc<dyn Lookup>,
}

impl Guard {
    /// A guard with exceptions, each an address, a network in CIDR or a host's name.
    ///
    /// # Errors
    /// [`AllowError`] names the first that is none of these.
    pub fn new<'a>(allow: impl IntoIterator<Item = &'a str>) -> Result<Self, AllowError> {
        Self::with_lookup(allow, Arc::new(System::default()))
    }

    /// A guard that looks names up by other means.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_lookup<'a>(allow: impl IntoIterator<Item = &'a str>, lookup: Arc<dyn Lookup>) -> Result<Self, AllowError> {
        let (mut networks, mut hosts) = (Vec::new(), Vec::new());
        for entry in allow.into_iter().map(str::trim).filter(|entry| !entry.is_empty()) {
            match exception(entry)? {
                Exception::Network(network) => networks.push(network),
                Exception::Host(host) => hosts.push(host),
            }
        }
        Ok(Self { networks: networks.into(), hosts: hosts.into(), lookup })
    }

    /// Whether the text is a URL that could be posted to, as far as can be told without resolving its name.
    ///
    /// # Errors
    /// [`GuardError::Url`], [`GuardError::Forbidden`].
    pub fn parse(&self, text: &str) -> Result<Url, GuardError> {
        if text.chars().count() > MAX_URL {
            return Err(GuardError::Url);
        }
        let url: Url = text.parse().map_err(|_| GuardError::Url)?;
        let has_user = !url.username().is_empty() || url.password().is_some();
        if !matches!(url.scheme(), "http" | "https") || has_user || url.fragment().is_some() {
            return Err(GuardError::Url);
        }
        let plain_http = url.scheme() == "http";
        let admitted = match url.host() {
            Some(Host::Ipv4(address)) => self.admits(address.into(), plain_http),
            Some(Host::Ipv6(address)) => self.admits(address.into(), plain_http),
            Some(Host::Domain(_)) => true,
            None => return Err(GuardError::Url),
        };
        match admitted {
            // Other letters than ASCII's grow.
            true if url.as_str().len() > MAX_URL => Err(GuardError::Url),
            true => Ok(url),
            false if plain_http => Err(GuardError::Plain),
            false => Err(GuardError::Forbidden),
        }
    }

    /// Whether the text is a URL that can be posted to now.
    ///
    /// # Errors
    /// [`GuardError`].
    pub async fn check(&self, text: &str) -> Result<Url, GuardError> {
        let url = self.parse(text)?;
        let plain_http = url.scheme() == "http";
        match url.host() {
            Some(Host::Domain(host)) => match self.resolve(host, plain_http).await {
                // Whether the name is known is said to nobody who may not use it anyway.
                Err(GuardError::Forbidden | GuardError::Unresolved(_)) if plain_http => Err(GuardError::Plain),
                resolved => resolved.map(|_| url),
            },
            _ => Ok(url),
        }
    }

    /// The addresses of a host, every one of which may be connected to.
    pub(super) async fn resolve(&self, host: &str, only_allowed: bool) -> Result<Vec<SocketAddr>, GuardError> {
        let found = self.lookup.lookup(host.to_owned()).await;
        // This machine whether or not its resolver knows it (RFC 6761, section 6.3).
        let is_local = plain(host).rsplit('.').next() == Some("localhost");
        let addresses = found.map_err(|error| if is_local { GuardError::Forbidden } else { GuardError::Unresolved(error) })?;
        if addresses.is_empty() {
            return Err(GuardError::Unresolved(io::ErrorKind::NotFound.into()));
        }
        let named = self.hosts.contains(&plain(host));
        if !named && !addresses.iter().all(|address| self.admits(*address, only_allowed)) {
            return Err(GuardError::Forbidden);
        }
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, 0)).collect())
    }

    fn admits(&self, address: IpAddr, only_allowed: bool) -> bool {
        self.networks.iter().any(|network| network.contains(&address)) || (!only_allowed && is_public(address))
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("networks", &self.networks).field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

enum Exception {
    Network(IpNet),
    Host(String),
}

fn exception(entry: &str) -> Result<Exception, AllowError> {
    let unknown = || AllowError::Unknown { entry: entry.to_owned() };
    if let Ok(network) = entry.parse::<IpNet>() {
        let whole = network.trunc();
        return if whole == network {
            Ok(Exception::Network(network))
        } else {
            Err(AllowError::Host { entry: entry.to_owned(), network: whole })
        };
    }
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Ok(Exception::Network(address.into()));
    }
    // As a URL's host is written: in lower case, without other alphabets.
    match Host::parse(entry).map_err(|_| unknown())? {
        Host::Domain(name) if plain(&name).split('.').all(is_label) => Ok(Exception::Host(plain(&name))),
        _ => Err(unknown()),
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn plain(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// Whether an address is plain public unicast. IPv4 within IPv6 (mapped, compatible, NAT64) lies outside 2000::/3.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !CLOSED_V4.iter().any(|(network, bits)| (address.to_bits() ^ network.to_bits()) >> (32 - bits) == 0),
        IpAddr::V6(address) => {
            address.segments()[0] >> 13 == 1
                && !CLOSED_V6.iter().any(|(network, bits)| (address.to_bits() ^ network.to_bits()) >> (128 - bits) == 0)
        }
    }
}

#[cfg(test)]
mod tests;
