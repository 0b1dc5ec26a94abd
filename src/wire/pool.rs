//! Read buffers, lent only while data is in flight, so that an idle session holds none.

use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a pooled buffer.
pub const CHUNK: usize = 32 * 1024;

/// How many free buffers are kept.
const KEPT: usize = 16;

/// A stack of free buffers; one for each worker, so that its lock is never waited for.
#[derive(Debug, Clone, Default)]
pub struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

impl Pool {
    /// An empty buffer with [`CHUNK`] bytes of room.
    pub fn take(&self) -> Vec<u8> {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(|| Vec::with_capacity(CHUNK))
    }

    /// Gives a buffer back. One that had to grow is freed instead.
    pub fn give(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() != CHUNK {
            return;
        }
        buffer.clear();
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(buffer);
        }
    }
}
