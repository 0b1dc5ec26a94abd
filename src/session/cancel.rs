//! Cancel keys of the proxy's own, each leading to the database's.

use std::sync::Arc;

use dashmap::DashMap;
use rand::Rng;

use crate::upstream::CancelTarget;

/// The keys in use.
#[derive(Debug, Default)]
pub struct Cancels(DashMap<u32, Entry>);

#[derive(Debug)]
struct Entry {
    secret: Vec<u8>,
    target: CancelTarget,
}

/// A key that is valid as long as this lives.
#[derive(Debug)]
pub struct CancelKey {
    /// What the client gets as process id.
    pub pid: u32,
    /// What it gets as secret.
    pub secret: Vec<u8>,
    pub(super) target: CancelTarget,
    cancels: Arc<Cancels>,
}

impl CancelKey {
    /// The server's process.
    pub(super) fn target_pid(&self) -> u32 {
        self.target.pid()
    }
}

impl Cancels {
    /// A new key. `long`: 32 bytes, as protocol 3.2 has them, else 4.
    pub fn register(self: &Arc<Self>, target: CancelTarget, long: bool) -> CancelKey {
        let mut random = rand::rng();
        let mut secret = vec![0; if long { 32 } else { 4 }];
        random.fill_bytes(&mut secret);
        // The server's own where it is free: clients hold it against `pg_backend_pid()` and the sender of a notification.
        let mut own = Some(target.pid());
        loop {
            // Positive, as process ids are: some drivers read it signed.
            let pid = own.take().unwrap_or_else(|| random.next_u32()) & 0x7fff_ffff;
            if let dashmap::Entry::Vacant(free) = self.0.entry(pid) {
                free.insert(Entry { secret: secret.clone(), target: target.clone() });
                return CancelKey { pid, secret, target, cancels: Arc::clone(self) };
            }
        }
    }

    /// Where to cancel, if the key is right. Every byte is compared, so that time tells nothing about the secret.
    pub fn find(&self, pid: u32, secret: &[u8]) -> Option<CancelTarget> {
        let entry = self.0.get(&pid)?;
        let differs = entry.secret.iter().zip(secret).fold(0, |differs, (a, b)| differs | (a ^ b));
        (entry.secret.len() == secret.len() && differs == 0).then(|| entry.target.clone())
    }
}

impl Drop for CancelKey {
    fn drop(&mut self) {
        self.cancels.0.remove(&self.pid);
    }
}
