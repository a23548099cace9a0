use std::{fmt, net::IpAddr};

use url::Url;

/// A RabbitMQ node as `CLINIC_BROKER` names it, without what is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) is_encrypted: bool,
    pub(super) host: String,
    port: u16,
    /// Whether the password is RabbitMQ's own, which is also what a URL without one stands for.
    pub(super) has_default_password: bool,
}

impl Node {
    /// Reads `amqp(s)://USER:PASSWORD@HOST:PORT/VHOST`, of which scheme and host are needed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let (is_encrypted, usual_port) = match url.scheme() {
            "amqp" => (false, 5672),
            "amqps" => (true, 5671),
            _ => return None,
        };
        // A virtual host has no slash of its own: one that is left over was meant for the password.
        let is_one_vhost = !url.path().trim_start_matches('/').contains('/') && url.fragment().is_none();
        let host = url.host_str().filter(|host| !host.is_empty() && is_one_vhost)?.to_owned();
        Some(Self {
            is_encrypted,
            host,
            port: url.port().unwrap_or(usual_port),
            has_default_password: matches!(url.password(), None | Some("guest")),
        })
    }

    /// Whether it is on this machine for sure: a name other than localhost may be anywhere.
    pub(super) fn is_here(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        self.host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_encrypted { "amqps" } else { "amqp" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node {
        Node::parse(text).unwrap_or_else(|| panic!("{text} is a node"))
    }

    #[test]
    fn a_node_is_shown_without_its_secrets() {
        assert_eq!(node("amqp://clinic:pa55@rabbit/v").to_string(), "amqp://rabbit:5672");
        assert_eq!(node("amqps://clinic:pa%40%2F%2C55@rabbit:4711/%2f?heartbeat=5").to_string(), "amqps://rabbit:4711");
        assert_eq!(node("amqps://[2001:db8::1]").to_string(), "amqps://[2001:db8::1]:5671");
    }

    #[test]
    fn what_is_no_node_is_refused() {
        for text in [
            "",
            "rabbit",
            "amqp://",
            "amqp:rabbit",
            "amqp:///v",
            "http://rabbit",
            "amqp://rabbit:port",
            "amqp://u:pa/ss@rabbit",
            "amqp://u:p#s@h",
        ] {
            assert_eq!(Node::parse(text), None, "{text}");
        }
    }

    #[test]
    fn here_is_loopback_alone() {
        for host in ["localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]"] {
            assert!(node(&format!("amqp://{host}:5672")).is_here(), "{host}");
        }
        for host in ["rabbitmq", "localhost.example.org", "127.0.0.1.example.org", "10.0.0.1", "0.0.0.0", "[2001:db8::1]", "127.1"] {
            assert!(!node(&format!("amqp://{host}:5672")).is_here(), "{host}");
        }
    }

    #[test]
    fn no_password_is_the_default_one() {
        for credentials in ["", "guest@", "clinic@", "guest:guest@", "clinic:guest@"] {
            assert!(node(&format!("amqp://{credentials}rabbit")).has_default_password, "{credentials}");
        }
        assert!(!node("amqp://guest:better@rabbit").has_default_password);
    }
}
