use std::{ffi::OsString, sync::Arc, time::Duration};

use reqwest::{
    Certificate, Url,
    header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue},
};
use thiserror::Error;

use crate::{
    budget::Budget,
    client::{Client, Inner},
    error::Source,
    retry::RetryPolicy,
    trace::TraceContext,
};

const CLINIC_URL: &str = "CLINIC_URL";
const CLINIC_TOKEN: &str = "CLINIC_TOKEN";
/// Where a clinic is unless something is said.
const URL: &str = "http://127.0.0.1:8080";

/// Builds a [`Client`].
#[derive(Clone)]
#[must_use]
pub struct Builder {
    url: String,
    token: Option<String>,
    timeout: Duration,
    connect_timeout: Duration,
    call_timeout: Option<Duration>,
    user_agent: String,
    retry: RetryPolicy,
    roots: Vec<Vec<u8>>,
    idle: usize,
    idle_timeout: Duration,
    no_proxy: bool,
    trace_context: Option<TraceContext>,
}

/// Why no client was built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// An environment variable is no text.
    #[error("the environment variable {0} is not valid Unicode: set it anew")]
    Variable(&'static str),
    /// The URL is none.
    #[error("the clinic's URL must look like {URL}")]
    Url(#[source] Source),
    /// The URL has more than an address and a path.
    #[error("the clinic's URL must have neither a query nor a fragment: leave out what follows ? and #")]
    Query,
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
    /// A root certificate cannot be read.
    #[error("a root certificate must be PEM, with at least one CERTIFICATE")]
    Root,
    /// The HTTP client could not be set up.
    #[error("the HTTP client could not be set up")]
    Setup(#[source] Source),
}

impl Builder {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            url: url.into(),
            token: None,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            call_timeout: None,
            user_agent: concat!("clinic-client/", env!("CARGO_PKG_VERSION")).into(),
            retry: RetryPolicy::default(),
            roots: Vec::new(),
            idle: usize::MAX,
            idle_timeout: Duration::from_secs(25),
            no_proxy: false,
            trace_context: None,
        }
    }

    /// From variables of the environment, as `of` gives them.
    pub(crate) fn from_variables(of: impl Fn(&str) -> Option<OsString>) -> Result<Self, BuildError> {
        let variable = |name| {
            let value = of(name).filter(|value| !value.is_empty());
            // What it holds stays out of the error: it may be the token.
            value.map(|value| value.into_string().map_err(|_| BuildError::Variable(name))).transpose()
        };
        let builder = Self::new(variable(CLINIC_URL)?.as_deref().unwrap_or(URL));
        Ok(Self { token: variable(CLINIC_TOKEN)?, ..builder })
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

    /// How long a whole call may take, tries and pauses together; no bound of its own unless set. A try is begun
    /// again only where a tenth of the time of a first one is left for it after the pause: otherwise the call gives up at once, with what
    /// it was answered. Where the clinic is asked to wait for a decision, that wait comes on top.
    pub const fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = Some(timeout);
        self
    }

    /// What the client calls itself.
    pub fn user_agent(mut self, user_agent: &str) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// How calls are tried again.
    pub const fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// One more certificate authority to trust, or several: PEM. The system's are trusted anyway.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots.push(pem.into());
        self
    }

    /// How many idle connections are kept, as many as there were unless set, and for how long, 25 s unless set: shorter than the 30 s
    /// after which a clinic ends them.
    pub const fn pool(mut self, idle: usize, idle_timeout: Duration) -> Self {
        self.idle = idle;
        self.idle_timeout = idle_timeout;
        self
    }

    /// Goes straight to the clinic, whatever proxy the environment names (`HTTP_PROXY` and the like).
    pub const fn no_proxy(mut self) -> Self {
        self.no_proxy = true;
        self
    }

    /// What gives the `traceparent` (W3C Trace Context) of the span that a call is made in. Without it, or where it gives none, each
    /// call gets a trace of its own.
    pub fn trace_context(mut self, current: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        self.trace_context = Some(Arc::new(current));
        self
    }

    /// The client.
    ///
    /// TLS is rustls', with the process's provider of cryptography. Where none is installed yet, this installs `ring`'s: install
    /// another before the first client is built, if that is what the program wants.
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
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BuildError::Query);
        }
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(token) = &self.token {
            headers.insert(AUTHORIZATION, bearer(token)?);
        }
        Ok(Client::new(Inner {
            http: self.http()?,
            url,
            headers,
            timeout: self.timeout,
            call_timeout: self.call_timeout,
            retry: self.retry,
            budget: Budget::new(self.retry.budget),
            trace_context: self.trace_context,
        }))
    }

    fn http(&self) -> Result<reqwest::Client, BuildError> {
        let user_agent = HeaderValue::from_str(&self.user_agent).map_err(|_| BuildError::UserAgent)?;
        let mut roots = Vec::new();
        for pem in &self.roots {
            let found = Certificate::from_pem_bundle(pem).ok().filter(|found| !found.is_empty());
            roots.extend(found.ok_or(BuildError::Root)?);
        }
        // One provider of cryptography in the whole program. One that is installed already serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder()
            .user_agent(user_agent)
            .connect_timeout(self.connect_timeout)
            .pool_max_idle_per_host(self.idle)
            .pool_idle_timeout(self.idle_timeout)
            .redirect(reqwest::redirect::Policy::none())
            // One place tries again, and it counts.
            .retry(reqwest::retry::never());
        if !roots.is_empty() {
            http = http.tls_certs_merge(roots);
        }
        if self.no_proxy {
            http = http.no_proxy();
        }
        http.build().map_err(|error| BuildError::Setup(Box::new(error)))
    }
}

impl std::fmt::Debug for Builder {
    /// Shows neither the token nor the URL, which may hold one.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("timeout", &self.timeout).field("retry", &self.retry).finish_non_exhaustive()
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
        for pem in ["", "nonsense", "-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n"] {
            assert!(matches!(Builder::new("https://clinic.example").root_certificate(pem).build(), Err(BuildError::Root)), "{pem}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_no_text_is_named() {
        use std::os::unix::ffi::OsStringExt;
        for named in [CLINIC_URL, CLINIC_TOKEN] {
            let of = |name: &str| (name == named).then(|| OsString::from_vec(b"http://hush\xff".to_vec()));
            let error = Builder::from_variables(of).unwrap_err();
            assert!(error.to_string().contains(named) && !format!("{error:?}").contains("hush"), "{error:?}");
        }
        let empty = Builder::from_variables(|_| Some(OsString::new())).unwrap();
        assert_eq!((empty.url.as_str(), empty.token), (URL, None));
    }

    #[test]
    fn debug_never_shows_the_token_a_path_or_a_patient() {
        let builder = Builder::new("http://clinic.example/hush").token("hush");
        let client = builder.clone().build().unwrap();
        let list = client.bookings().list().patient("hush");
        let shown = format!("{builder:?} {client:?} {:?} {list:?} {:?}", client.bookings(), list.clone().stream());
        assert!(!shown.contains("hush") && shown.contains("http://clinic.example"), "{shown}");
    }

    #[test]
    fn a_url_has_an_address_and_a_path_alone() {
        for url in ["http://clinic.example/?key=hush", "http://clinic.example/#here"] {
            let error = Builder::new(url).build().unwrap_err();
            assert!(matches!(error, BuildError::Query) && !error.to_string().contains("hush"), "{error:?}");
        }
    }
}
