//! Verifying signatures with an independent implementation: the reference one, `tests/mailbox/verify.py`.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use serde_json::json;

use super::Delivery;
use crate::mailbox::python;

/// Whether each delivery is signed with this secret, and why not.
///
/// # Panics
/// When the verifier cannot be run, or says less than it was asked.
#[must_use]
pub fn verify(secret: &str, deliveries: &[Delivery]) -> Vec<Result<(), String>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/mailbox/verify.py");
    let mut command = Command::new(python());
    let mut child = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the verifier can be run");
    let (mut stdin, stdout) = (child.stdin.take().expect("it is piped"), child.stdout.take().expect("it is piped"));
    let lines: Vec<String> = deliveries
        .iter()
        .map(|delivery| json!({ "secret": secret, "headers": delivery.headers, "body": delivery.body }).to_string())
        .collect();
    // On a thread of its own: it answers while it is asked, and pipes are finite.
    let asking = std::thread::spawn(move || lines.iter().try_for_each(|line| writeln!(stdin, "{line}")));
    let verdicts: Vec<_> = BufReader::new(stdout)
        .lines()
        .map_while(Result::ok)
        .map(|line| match serde_json::from_str::<String>(&line) {
            Ok(why) if why.is_empty() => Ok(()),
            Ok(why) => Err(why),
            Err(error) => Err(error.to_string()),
        })
        .collect();
    let asked = asking.join().expect("asking does not panic");
    let status = child.wait().expect("a child can be waited for");
    assert!(asked.is_ok() && status.success() && verdicts.len() == deliveries.len(), "the verifier ended with {status}");
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    fn signed(signature: &str) -> Delivery {
        let headers =
            [("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"), ("webhook-timestamp", "1614265330"), ("webhook-signature", signature)];
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Delivery { id: String::new(), headers, body: r#"{"test": 2432232314}"#.into(), taken: true }
    }

    #[test]
    fn the_verifier_tells_wrong_from_old() {
        let (right, wrong) = ("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF=");
        let verdicts = verify("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &[signed(right), signed(wrong)]);
        // Both are of 2021, and it says so before it looks at the signature.
        assert!(verdicts.iter().all(|verdict| verdict.as_ref().is_err_and(|why| why.contains("old"))), "{verdicts:?}");
    }
}
