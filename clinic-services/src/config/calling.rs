use clap::Args;

/// How client and operator commands reach a clinic.
#[derive(Args, Clone)]
#[command(next_help_heading = "Client commands")]
#[non_exhaustive]
pub struct Calling {
    /// Where the clinic's API is.
    #[arg(long, env = "CLINIC_URL", value_name = "URL", default_value = "http://127.0.0.1:8080", hide_env_values = true)]
    pub url: String,
    /// The API key, without its name.
    #[arg(long, env = "CLINIC_TOKEN", value_name = "KEY", hide_env_values = true)]
    pub token: Option<String>,
}

impl std::fmt::Debug for Calling {
    /// Shows no key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Calling").finish_non_exhaustive()
    }
}
