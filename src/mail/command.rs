//! A program that sends a message.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::MailError;

/// How long it may take.
const MOST: Duration = Duration::from_secs(60);

/// Runs it with the message on its standard input, and of our own environment only what finding programs needs. What it prints is
/// dropped: it may repeat the address.
pub(super) async fn run(parts: &[String], to: Option<&str>, message: &[u8]) -> Result<(), MailError> {
    let failed = |what: &str| MailError::Command(what.to_owned());
    let (program, arguments) = parts.split_first().ok_or_else(|| failed("is not named"))?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    for name in ["PATH", "HOME", "LANG"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    if let Some(to) = to {
        command.env("PGPURPOSE_TO", to);
    }
    let mut child = command.spawn().map_err(|error| MailError::Command(format!("cannot be started: {error}")))?;
    let input = child.stdin.take();
    let ended = async {
        if let Some(mut input) = input {
            // A program that needs none of it may have ended already; how it ended counts.
            let _ = input.write_all(message).await;
            let _ = input.shutdown().await;
        }
        child.wait().await
    };
    match tokio::time::timeout(MOST, ended).await {
        Err(_) => Err(failed("did not end within a minute")),
        Ok(Err(error)) => Err(MailError::Command(format!("cannot be waited for: {error}"))),
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(MailError::Command(format!("failed: {status}"))),
    }
}
