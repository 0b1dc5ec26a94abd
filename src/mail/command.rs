//! A program that sends a message.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Runs it with the message on its standard input, one variable if that is wanted, and of our own environment only what finding
/// programs needs. What it prints is dropped: it may repeat the address.
///
/// # Errors
/// It cannot be started, or ended badly: in words that go on from what it is called.
pub(crate) async fn run(parts: &[String], variable: Option<(&str, &str)>, message: &[u8]) -> Result<(), String> {
    let (program, arguments) = parts.split_first().ok_or("is not named")?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(variable).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    for name in ["PATH", "HOME", "LANG"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let mut child = command.spawn().map_err(|error| format!("cannot be started: {error}"))?;
    if let Some(mut input) = child.stdin.take() {
        // A program that needs none of it may have ended already; how it ended counts.
        let _ = input.write_all(message).await;
        let _ = input.shutdown().await;
    }
    let status = child.wait().await.map_err(|error| format!("cannot be waited for: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("failed: {status}")) }
}
