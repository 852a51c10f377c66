//! What a reload finds: not who is signed in, only that somebody may be, and until
//! when the latest access token of any tab is good. It is no secret and no proof.
//!
//! It spares those who never signed in a request that must fail, and tells a tab
//! that another one has renewed the token before that tab's news arrives.

use crate::browser;

/// The name in `localStorage`.
pub(super) const KEY: &str = "session-expires-at";

/// Whether a session may be there to take up. Without storage nobody knows: it may.
pub(super) fn is_set() -> bool {
    browser::storage()
        .is_none_or(|storage| storage.get_item(KEY).is_ok_and(|value| value.is_some()))
}

/// When the latest access token expires, in seconds since 1970.
pub(super) fn expires_at() -> Option<u64> {
    browser::storage()?.get_item(KEY).ok()??.parse().ok()
}

pub(super) fn set(expires_at: u64) {
    if let Some(storage) = browser::storage() {
        // Full or forbidden: then a reload signs out, and nothing else suffers.
        let _ = storage.set_item(KEY, &expires_at.to_string());
    }
}

pub(super) fn clear() {
    if let Some(storage) = browser::storage() {
        let _ = storage.remove_item(KEY);
    }
}
