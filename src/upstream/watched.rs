//! A driver's login, watched: whatever it would do of itself, no password leaves but as a SCRAM proof.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Whether the database has to prove who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// Its address or its certificate has shown it.
    None,
    /// By the end of a SCRAM exchange, which the driver checks.
    Needed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The one byte that answers a request for TLS.
    Answer,
    /// Messages.
    Login,
    /// The login is over, or stands inside TLS and is watched there.
    Over,
}

/// A stream that breaks where the server asks for the password in clear or as MD5, or lets the driver in without a proof that
/// is needed.
#[derive(Debug)]
pub(super) struct Watched<S> {
    io: S,
    stage: Stage,
    proof: Proof,
    /// The beginning of a message: tag, length, and of an Authentication message its code.
    head: Vec<u8>,
    /// Bytes of the message that follow.
    skip: usize,
}

impl<S> Watched<S> {
    /// `asks`: the driver asks for TLS first.
    pub(super) fn new(io: S, proof: Proof, asks: bool) -> Self {
        Self { io, stage: if asks { Stage::Answer } else { Stage::Login }, proof, head: Vec::new(), skip: 0 }
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.io
    }

    fn see(&mut self, bytes: &[u8]) -> io::Result<()> {
        for &byte in bytes {
            match self.stage {
                Stage::Over => return Ok(()),
                Stage::Answer => self.stage = if byte == b'S' { Stage::Over } else { Stage::Login },
                Stage::Login if self.skip > 0 => self.skip -= 1,
                Stage::Login => {
                    self.head.push(byte);
                    self.message()?;
                }
            }
        }
        Ok(())
    }

    fn message(&mut self) -> io::Result<()> {
        let Some((&[tag, a, b, c, d], code)) = self.head.split_first_chunk::<5>() else { return Ok(()) };
        let body = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX).saturating_sub(4);
        if tag == b'R' && body >= 4 {
            let Some((&code, _)) = code.split_first_chunk::<4>() else { return Ok(()) };
            self.skip = body - 4;
            match u32::from_be_bytes(code) {
                0 if self.proof == Proof::Needed => {
                    return Err(refused(
                        "asks for no proof and gives none, and nothing else shows that it is the database",
                    ));
                }
                0 => self.stage = Stage::Over,
                3 | 5 => {
                    return Err(refused(
                        "asks for the password in clear or as MD5: write `scram-sha-256` in its `pg_hba.conf`",
                    ));
                }
                // The end of a SCRAM exchange: the driver goes on only where the server's signature is right.
                12 => self.proof = Proof::None,
                _ => {}
            }
        } else {
            self.skip = body;
        }
        self.head.clear();
        Ok(())
    }
}

fn refused(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("the server {what}"))
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        let seen = this.see(buf.filled().get(before..).unwrap_or_default());
        if seen.is_err() {
            // The driver must not see what it would answer.
            buf.set_filled(before);
        }
        Poll::Ready(seen)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn authentication(code: u32) -> Vec<u8> {
        [&[b'R', 0, 0, 0, 8][..], &code.to_be_bytes()].concat()
    }

    /// Whether all of it passes, byte by byte as well as at once.
    fn passes(proof: Proof, asks: bool, messages: &[Vec<u8>]) -> bool {
        let bytes = messages.concat();
        let at_once = Watched::new((), proof, asks).see(&bytes).is_ok();
        let mut slow = Watched::new((), proof, asks);
        let one_by_one = bytes.chunks(1).all(|byte| slow.see(byte).is_ok());
        assert_eq!(at_once, one_by_one);
        at_once
    }

    #[test]
    fn a_password_in_clear_or_as_md5_is_never_asked_for() {
        let (clear, md5) = (authentication(3), [&[b'R', 0, 0, 0, 12, 0, 0, 0, 5][..], b"salt"].concat());
        let notice = b"N\0\0\0\x05\0".to_vec();
        for asked in [clear, md5] {
            assert!(!passes(Proof::None, false, &[notice.clone(), asked.clone()]));
            assert!(!passes(Proof::None, true, &[b"N".to_vec(), asked.clone()]), "TLS was refused");
            assert!(passes(Proof::None, true, &[b"S".to_vec(), asked]), "the handshake is no message");
        }
        assert!(passes(
            Proof::None,
            false,
            &[authentication(11), authentication(12), authentication(0), authentication(3)]
        ));
    }

    #[test]
    fn who_is_not_known_has_to_prove_it() {
        assert!(passes(Proof::None, false, &[authentication(0)]));
        assert!(!passes(Proof::Needed, false, &[authentication(0)]));
        assert!(passes(Proof::Needed, false, &[authentication(11), authentication(12), authentication(0)]));
        assert!(!passes(Proof::Needed, false, &[authentication(11), authentication(0)]));
    }
}
