//! `pgpurpose hash-password`: the entry of a login for `method = "scram"`.

use std::io::{self, IsTerminal};

use clap::Args;
use zeroize::Zeroizing;

use super::Ending;
use super::output::Output;
use crate::server::hash_password;

#[derive(Debug, Args)]
pub(super) struct HashPasswordArgs {
    /// The login, as applications name it
    #[arg(value_name = "NAME")]
    name: String,
    /// The database's login, where it is another
    #[arg(long, value_name = "NAME")]
    upstream_login: Option<String>,
}

pub(super) fn run(arguments: &HashPasswordArgs, output: &mut Output) -> Ending {
    let password = match read() {
        Ok(password) => password,
        Err(error) => return output.wrong(error),
    };
    let Some(verifier) = hash_password(&password) else {
        return output.wrong("the password could not be hashed");
    };
    let upstream = arguments.upstream_login.as_ref().unwrap_or(&arguments.name);
    // TOML's basic strings are JSON's, but for escapes that do not come up here.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let variable: String =
        upstream.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    output.line(format_args!(
        "[[logins]]\nname = {}\nverifier = {}\nupstream_login = {}\nupstream_password = \"env:{variable}_PASSWORD\"",
        quoted(&arguments.name),
        quoted(&verifier),
        quoted(upstream),
    ));
    Ending::Fine
}

fn read() -> Result<Zeroizing<String>, String> {
    let failed = |error: io::Error| format!("the password cannot be read: {error}");
    let password = if io::stdin().is_terminal() {
        let once = Zeroizing::new(rpassword::prompt_password("Password: ").map_err(failed)?);
        let again = Zeroizing::new(rpassword::prompt_password("The same again: ").map_err(failed)?);
        if once != again {
            return Err("the two passwords differ".to_owned());
        }
        once
    } else {
        let mut line = Zeroizing::new(String::new());
        io::stdin().read_line(&mut line).map_err(failed)?;
        Zeroizing::new(line.trim_end_matches(['\n', '\r']).to_owned())
    };
    if password.is_empty() { Err("the password is empty".to_owned()) } else { Ok(password) }
}
