//! What readers of a snapshot worked out of texts of their own making, so that it is worked out once.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// Bytes of texts that are kept; what is made of them takes some ten times as much.
const MOST: usize = 512 * 1024;

/// Values by the text that they follow from, and by nothing else: so it does not matter who put them there, nor when they go.
#[derive(Default)]
pub struct Memo(RwLock<Kept>);

#[derive(Default)]
struct Kept {
    values: HashMap<Box<str>, Arc<dyn Any + Send + Sync>>,
    bytes: usize,
}

impl Memo {
    /// What was worked out of this text, if it was.
    pub fn get<T: Any + Send + Sync>(&self, text: &str) -> Option<Arc<T>> {
        let value = self.0.read().unwrap_or_else(PoisonError::into_inner).values.get(text).map(Arc::clone)?;
        value.downcast().ok()
    }

    /// Keeps what was worked out of this text. When there is too much, all of it goes.
    pub fn put<T: Any + Send + Sync>(&self, text: &str, value: &Arc<T>) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes.saturating_add(text.len()) > MOST {
            *kept = Kept::default();
        }
        if text.len() <= MOST / 16 {
            kept.bytes = kept.bytes.saturating_add(text.len());
            let value: Arc<dyn Any + Send + Sync> = value.clone();
            kept.values.insert(text.into(), value);
        }
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memo")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_a_text_is_found_again_as_what_it_is_and_within_bounds() {
        let memo = Memo::default();
        memo.put("a", &Arc::new(1_u32));
        assert_eq!(memo.get::<u32>("a").as_deref(), Some(&1));
        assert_eq!(memo.get::<u64>("a"), None, "another kind of value");
        assert_eq!(memo.get::<u32>("b"), None);
        memo.put(&"long".repeat(MOST), &Arc::new(2_u32));
        assert_eq!(memo.get::<u32>(&"long".repeat(MOST)), None, "one text never takes all of the room");
        for number in 0..100_000_u32 {
            memo.put(&format!("text {number}"), &Arc::new(number));
        }
        let kept = memo.0.read().unwrap_or_else(PoisonError::into_inner);
        assert!(kept.bytes <= MOST && kept.values.len() > 1000, "{} bytes", kept.bytes);
    }
}
