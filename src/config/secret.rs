//! Secrets: where they come from, and a value that is neither printed nor left in memory.

use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Where a secret is: `env:NAME` or `file:PATH`. The secret itself never stands in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file; the line end after the secret is not part of it.
    File(PathBuf),
}

/// A secret. It is not printed, compared or serialised, and its memory is overwritten when it is dropped.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the value over.
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A key of 32 bytes. As [`Secret`], it is not printed.
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// From its bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the one place that needs them.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl SecretSource {
    /// Reads `env:NAME` or `file:PATH`, a relative path from `base`.
    ///
    /// # Errors
    /// Anything else is taken to be a secret written in the open, and is not repeated in the error.
    pub fn parse(text: &str, base: &Path) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() && !name.contains(['=', '\0']) => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(base.join(path))),
            Some(_) | None => {
                Err("a secret does not stand in the configuration: write `env:NAME` or `file:PATH`".to_owned())
            }
        }
    }

    /// Fetches the secret.
    ///
    /// # Errors
    /// The variable is not set, the file cannot be read, or the value is empty; the value is not part of the error.
    pub fn read(&self) -> Result<Secret, String> {
        let value = match self {
            Self::Env(name) => Zeroizing::new(std::env::var(name).map_err(|error| match error {
                std::env::VarError::NotPresent => format!("the environment variable `{name}` is not set"),
                std::env::VarError::NotUnicode(_) => format!("the environment variable `{name}` is not UTF-8"),
            })?),
            Self::File(path) => Zeroizing::new(
                std::fs::read_to_string(path)
                    .map_err(|error| format!("the secret's file `{}` cannot be read: {error}", path.display()))?,
            ),
        };
        let trimmed = value.strip_suffix('\n').unwrap_or(&value);
        let trimmed = trimmed.strip_suffix('\r').unwrap_or(trimmed);
        if trimmed.is_empty() {
            return Err(format!("the secret at {self} is empty"));
        }
        Ok(Secret::new(trimmed.to_owned()))
    }

    /// Fetches a key: 64 hexadecimal digits.
    ///
    /// # Errors
    /// As [`read`](Self::read), or the value is not such a key.
    pub fn read_key(&self) -> Result<Key, String> {
        let secret = self.read()?;
        let wrong = || format!("the key at {self} must be 32 bytes, written as 64 hexadecimal digits");
        let digits = secret.expose().as_bytes();
        let mut bytes = Zeroizing::new([0_u8; 32]);
        if digits.len() != 64 {
            return Err(wrong());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let &[high, low] = pair else { return Err(wrong()) };
            let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            *byte = digit(high).ok_or_else(wrong)? << 4 | digit(low).ok_or_else(wrong)?;
        }
        Ok(Key::new(*bytes))
    }
}

/// As it is written.
impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "`env:{name}`"),
            Self::File(path) => write!(f, "`file:{}`", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use super::*;

    #[test]
    fn a_plain_secret_is_refused_and_not_repeated() {
        for text in ["hunter2", "pass:word", "env:", "file:", "", "ENV:x"] {
            let error = SecretSource::parse(text, Path::new("/etc")).unwrap_err();
            assert!(text.is_empty() || !error.contains(text) || text == "env:" || text == "file:", "{error}");
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new("hunter2".into());
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(format!("{:?}", Key::new([7; 32])), "Key(..)");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn a_file_is_read_relative_to_the_configuration_and_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = std::fs::File::create(folder.path().join("key")).unwrap();
        writeln!(file, "{}", "0f".repeat(32)).unwrap();
        let source = SecretSource::parse("file:key", folder.path()).unwrap();
        assert_eq!(source.read().unwrap().expose().len(), 64);
        assert_eq!(source.read_key().unwrap().expose(), &[15; 32]);
    }

    #[test]
    fn a_key_that_is_not_one_is_refused_without_being_shown() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["abc", &"zz".repeat(32), &"0f".repeat(33)] {
            std::fs::write(folder.path().join("key"), text).unwrap();
            let error = SecretSource::File(folder.path().join("key")).read_key().unwrap_err();
            assert!(error.contains("64 hexadecimal digits") && !error.contains(text), "{error}");
        }
        std::fs::write(folder.path().join("key"), "\n").unwrap();
        assert!(SecretSource::File(folder.path().join("key")).read().unwrap_err().contains("is empty"));
        assert!(SecretSource::Env("PGPURPOSE_NOT_SET_ANYWHERE".into()).read().unwrap_err().contains("is not set"));
    }
}
