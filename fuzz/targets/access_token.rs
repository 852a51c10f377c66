//! Access tokens: any text, and any header and claims under a good signature.
//!
//! What is accepted is read once more, without the code that accepted it: by hand, as RFC 7515 and
//! RFC 7519 write it, and it must be a token of ours in every respect.

#![no_main]

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::DateTime;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use users::auth::token::{AUDIENCE, CLOCK_SKEW, Claims, ISSUER, Keys, TYPE, TokenError};

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
const OTHER_KEY: &[u8] = b"fedcba9876543210fedcba9876543210";
const NOW: i64 = 1_790_000_000;

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys::new(KEY, None));
static SIGNING: LazyLock<EncodingKey> = LazyLock::new(|| EncodingKey::from_secret(KEY));
static VERIFYING: LazyLock<DecodingKey> = LazyLock::new(|| DecodingKey::from_secret(KEY));
static OURS: LazyLock<String> = LazyLock::new(|| {
    let now = DateTime::from_timestamp(NOW, 0).expect("a time");
    let token = KEYS.issue(1, 1, now).expect("a token");
    // Or nothing of what is below would ever be looked at.
    assert!(KEYS.verify(&token, now).is_ok());
    token
});
/// The header of our own tokens.
static HEADER: LazyLock<Value> = LazyLock::new(|| object(&OURS, 0));

fn verify(token: &str) {
    let now = DateTime::from_timestamp(NOW, 0).expect("a time");
    if let Ok(claims) = KEYS.verify(token, now) {
        is_ours(token, &claims);
        // Once it has expired it says so, and not that it never was good.
        assert_eq!(KEYS.verify(token, claims.expires_at), Err(TokenError::Expired));
        // Another key accepts nothing of it, and neither does this one without its end.
        let other = Keys::new(OTHER_KEY, None).verify(token, now);
        assert_eq!(other, Err(TokenError::Invalid));
        let unsigned = token.rsplit_once('.').map_or("", |(message, _)| message);
        for forged in [unsigned.to_owned(), format!("{unsigned}."), format!("{token}.")] {
            assert_eq!(KEYS.verify(&forged, now), Err(TokenError::Invalid));
        }
    }
}

/// The part of a token, decoded.
fn part(token: &str, number: usize) -> Vec<u8> {
    let part = token.split('.').nth(number).expect("three parts");
    URL_SAFE_NO_PAD.decode(part).expect("base64url without padding")
}

fn object(token: &str, number: usize) -> Value {
    serde_json::from_slice(&part(token, number)).expect("JSON")
}

/// Issuer, audience, type, key, algorithm and signature are ours, and the claims are those that the
/// service will go by.
fn is_ours(token: &str, claims: &Claims) {
    assert_eq!(token.split('.').count(), 3);
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    let signed = crypto::verify(signature, message.as_bytes(), &VERIFYING, Algorithm::HS256);
    assert_eq!(signed.ok(), Some(true), "the signature");

    // All of the header: a member more may mean something to another reader.
    let header = object(token, 0);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("HS256"), &json!(TYPE)));
    assert_eq!(header, *HEADER, "the key's name, and nothing else");

    let payload = object(token, 1);
    assert_eq!((&payload["iss"], &payload["aud"]), (&json!(ISSUER), &json!(AUDIENCE)));
    assert_eq!(payload["sub"], claims.user.to_string());
    assert_eq!(payload["sid"], claims.session.to_string());
    assert_eq!(payload["jti"], claims.id);
    assert_eq!(payload["iat"], claims.issued_at.timestamp());
    assert_eq!(payload["exp"], claims.expires_at.timestamp());
    assert!(claims.user > 0 && claims.session > 0 && !claims.id.is_empty());
    let (now, skew) = (NOW, CLOCK_SKEW.num_seconds());
    assert!(claims.expires_at.timestamp() > now && claims.issued_at.timestamp() <= now + skew);
    assert!(payload.get("nbf").is_none_or(|nbf| nbf.is_null() || nbf.as_i64() <= Some(now)));
}

/// Signs any text as header and claims: what only somebody with the key could send.
fn sign(header: &str, claims: &str) -> Option<String> {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = crypto::sign(message.as_bytes(), &SIGNING, Algorithm::HS256).ok()?;
    Some(format!("{message}.{signature}"))
}

fuzz_target!(|text: &str| {
    verify(text);
    let (header, claims) = text.split_once('\n').unwrap_or(("", text));
    let ours = HEADER.to_string();
    for header in [header, &ours] {
        if let Some(token) = sign(header, claims) {
            verify(&token);
        }
    }
    // Our header with changes, as a merge of both.
    if let (Ok(Value::Object(changes)), Value::Object(mut merged)) =
        (serde_json::from_str(header), HEADER.clone())
    {
        merged.extend(changes);
        if let Some(token) = sign(&Value::Object(merged).to_string(), claims) {
            verify(&token);
        }
    }
});
