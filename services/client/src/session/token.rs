//! The access token and its time.

use std::{fmt, time::Duration};

use contract::Tokens;
use serde::{Deserialize, Serialize};

use crate::browser;

/// How long before its end a token is renewed, so that it does not expire under way.
const MARGIN: Duration = Duration::from_mins(1);

/// An access token. It must never reach a storage that outlives the page.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) access: String,
    /// In seconds since 1970, by this device's clock.
    pub(super) expires_at: u64,
}

impl Token {
    pub(super) fn new(tokens: Tokens) -> Self {
        let expires_at = browser::now().as_secs().saturating_add(tokens.expires_in);
        Self { access: tokens.access_token, expires_at }
    }

    pub(super) fn has_expired(&self) -> bool {
        browser::now() >= Duration::from_secs(self.expires_at)
    }

    /// Whether it is time to renew it.
    pub(super) fn is_stale(&self) -> bool {
        self.time_until_stale().is_zero()
    }

    pub(super) fn time_until_stale(&self) -> Duration {
        Duration::from_secs(self.expires_at).saturating_sub(MARGIN + browser::now())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}
