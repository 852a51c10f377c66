//! Access tokens: any text, and any header and claims under a good signature.

#![no_main]

use std::sync::LazyLock;

use chrono::DateTime;
use jsonwebtoken::{EncodingKey, Header, encode};
use libfuzzer_sys::fuzz_target;
use users::auth::token::{CLOCK_SKEW, Keys, TokenError};

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: i64 = 1_790_000_000;

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys::new(KEY, None));
static SIGNING: LazyLock<EncodingKey> = LazyLock::new(|| EncodingKey::from_secret(KEY));
/// The header of our own tokens.
static HEADER: LazyLock<Header> = LazyLock::new(|| {
    let now = DateTime::from_timestamp(NOW, 0).expect("a time");
    let token = KEYS.issue(1, 1, now).expect("a token");
    jsonwebtoken::decode_header(token).expect("its header")
});

fn verify(token: &str) {
    let now = DateTime::from_timestamp(NOW, 0).expect("a time");
    if let Ok(claims) = KEYS.verify(token, now) {
        assert!(claims.user > 0 && claims.session > 0 && !claims.id.is_empty());
        assert!(claims.expires_at > now && claims.issued_at <= now + CLOCK_SKEW);
        // Once it has expired it says so, and not that it never was good.
        assert_eq!(KEYS.verify(token, claims.expires_at), Err(TokenError::Expired));
    }
}

fuzz_target!(|text: &str| {
    verify(text);
    let Ok(json) = serde_json::from_str::<serde_json::Value>(text) else { return };
    let header = json.get("header").and_then(|header| serde_json::from_value(header.clone()).ok());
    let claims = json.get("claims").unwrap_or(&json);
    for header in [header, Some(HEADER.clone())].into_iter().flatten() {
        if let Ok(token) = encode(&header, claims, &SIGNING) {
            verify(&token);
        }
    }
});
