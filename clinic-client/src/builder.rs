use std::time::Duration;

use reqwest::{Url, header::HeaderValue};
use thiserror::Error;

use crate::client::{Client, Inner};

/// Builds a [`Client`].
#[derive(Clone)]
#[must_use]
pub struct Builder {
    url: String,
    token: Option<String>,
    timeout: Duration,
    connect_timeout: Duration,
    user_agent: String,
    tries: u32,
}

/// Why no client was built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The URL is none.
    #[error("the clinic's URL must look like http://127.0.0.1:8080")]
    Url(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The URL is of a kind that this client does not speak.
    #[error("the clinic's URL must begin with http:// or https://")]
    Scheme,
    /// The URL holds a user name or password.
    #[error("the clinic's URL must hold no user name or password: give the token to token()")]
    Credentials,
    /// The token cannot be sent.
    #[error("the token must be visible ASCII characters")]
    Token,
    /// The user agent cannot be sent.
    #[error("the user agent must be visible ASCII characters")]
    UserAgent,
    /// The HTTP client could not be set up.
    #[error("the HTTP client could not be set up")]
    Setup(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Builder {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            url: url.into(),
            token: None,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            user_agent: concat!("clinic-client/", env!("CARGO_PKG_VERSION")).into(),
            tries: 3,
        }
    }

    /// The API key that opens the clinic, sent as `Authorization: Bearer`.
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.into());
        self
    }

    /// How long one try may take, 10 s unless set. A call may take as long for each try, and the pauses between.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long connecting may take, as a part of a try; 3 s unless set.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// What the client calls itself.
    pub fn user_agent(mut self, user_agent: &str) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// How often a call is tried, 3 times unless set; 1 tries it once, and 0 means 1.
    pub const fn tries(mut self, tries: u32) -> Self {
        self.tries = if tries == 0 { 1 } else { tries };
        self
    }

    /// The client.
    ///
    /// # Errors
    /// [`BuildError`] names the setting that is wrong.
    pub fn build(self) -> Result<Client, BuildError> {
        let url = Url::parse(&self.url).map_err(|error| BuildError::Url(Box::new(error)))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BuildError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BuildError::Credentials);
        }
        let authorization = self.token.map(|token| bearer(&token)).transpose()?;
        let user_agent = HeaderValue::from_str(&self.user_agent).map_err(|_| BuildError::UserAgent)?;
        // One provider of cryptography in the whole program. One that is installed already serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(user_agent)
            .connect_timeout(self.connect_timeout)
            .redirect(reqwest::redirect::Policy::none())
            // One place tries again, and it counts.
            .retry(reqwest::retry::never())
            .build()
            .map_err(|error| BuildError::Setup(Box::new(error)))?;
        Ok(Client::new(Inner { http, url, authorization, timeout: self.timeout, tries: self.tries }))
    }
}

impl std::fmt::Debug for Builder {
    /// Shows neither the token nor the URL, which may hold one.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("timeout", &self.timeout).field("tries", &self.tries).finish_non_exhaustive()
    }
}

fn bearer(token: &str) -> Result<HeaderValue, BuildError> {
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BuildError::Token);
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| BuildError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_named() {
        assert!(matches!(Builder::new("clinic").build(), Err(BuildError::Url(_))));
        assert!(matches!(Builder::new("ftp://clinic.example").build(), Err(BuildError::Scheme)));
        assert!(Builder::new("https://clinic.example").build().is_ok());
        assert!(matches!(Builder::new("http://a:b@clinic.example").build(), Err(BuildError::Credentials)));
        assert!(matches!(Builder::new("http://clinic.example").token("a\nb").build(), Err(BuildError::Token)));
        assert!(matches!(Builder::new("http://clinic.example").user_agent("a\nb").build(), Err(BuildError::UserAgent)));
    }

    #[test]
    fn debug_never_shows_the_token() {
        let builder = Builder::new("http://clinic.example").token("hush");
        let client = builder.clone().build().unwrap();
        assert!(!format!("{builder:?} {client:?}").contains("hush"));
    }
}
