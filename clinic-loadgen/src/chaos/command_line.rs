//! Calling another program.

use std::{io, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use super::target::TargetError;

/// No call takes longer: a container may ask for its time to stop.
const AT_MOST: Duration = Duration::from_secs(90);

/// What a program wrote to standard output. It is in a process group of its own, so that the terminal's Ctrl-C does not end it half-way.
pub(super) async fn call(program: &str, arguments: &[&str]) -> Result<String, TargetError> {
    let failed = |said: String| TargetError::Call { call: [&[program], arguments].concat().join(" "), said };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    let output = match timeout(AT_MOST, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => return Err(failed("it is not installed".into())),
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(_) => return Err(failed(format!("no end within {} s", AT_MOST.as_secs()))),
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(failed(if said.is_empty() { output.status.to_string() } else { said }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_program_says_is_given_or_why_it_failed() {
        assert_eq!(call("echo", &["here"]).await.unwrap(), "here\n");
        let failed = |error: TargetError| error.to_string();
        assert_eq!(failed(call("sh", &["-c", "echo no >&2; exit 3"]).await.unwrap_err()), "`sh -c echo no >&2; exit 3` failed: no");
        assert!(failed(call("false", &[]).await.unwrap_err()).contains("exit status: 1"));
        assert!(failed(call("no-such-program", &[]).await.unwrap_err()).contains("it is not installed"));
    }
}
