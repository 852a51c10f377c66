//! Access tokens: short-lived JWTs (RFC 9068) that a session's holder shows.
//!
//! What is checked, and in this order, so that nothing of a token is
//! interpreted before it is known to be ours:
//!
//! 1. its size;
//! 2. its header, which must say exactly what ours says: HS256, `at+jwt`, the
//!    `kid` of a key that we hold, and nothing else. So there is no algorithm
//!    to choose, no key to fetch (`jku`, `x5u`, `jwk`) and nothing critical
//!    (`crit`) to misunderstand (RFC 8725);
//! 3. its signature, under that one key;
//! 4. its claims, all required and strictly typed, without leeway but for
//!    [`CLOCK_SKEW`] where it claims to come from the future;
//! 5. only then whether it has expired. [`TokenError::Expired`] therefore says
//!    of a token that it was good once.
//!
//! That a token is good does not mean that its session is: that is for the
//! database to say.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// How long an access token is good.
pub const LIFETIME: Duration = Duration::minutes(15);
/// By how much the clock of the task that issued a token may be ahead of ours: tasks on two
/// hosts agree to some milliseconds, and `iat` is in whole seconds.
pub const CLOCK_SKEW: Duration = Duration::seconds(5);
/// The claim `iss`.
pub const ISSUER: &str = "users";
/// The claim `aud`.
pub const AUDIENCE: &str = "users";
/// The header's `typ` (RFC 9068, 2.1). No other JWT that this key may ever sign has it.
pub const TYPE: &str = "at+jwt";

/// The largest token that is looked at, in bytes; ours have some 400.
const SIZE_MAX: usize = 4096;
const KEY_ID_LABEL: &[u8] = b"users access token key id\0";

/// What a good token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The user's number.
    pub user: i64,
    /// The session's number.
    pub session: i64,
    /// Names this token, and no other.
    pub id: String,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
    /// From when on it is good no more.
    pub expires_at: DateTime<Utc>,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was good once.
    #[error("the access token has expired")]
    Expired,
    /// It never was, or its key has been retired.
    #[error("the access token is not valid")]
    Invalid,
}

/// Why no token could be issued; always a fault of ours.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The operating system gives no random bytes.
    #[error("no random bytes for an access token's id")]
    Random(#[from] getrandom::Error),
    /// The token could not be written or signed.
    #[error("an access token could not be signed")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// The keys that sign and verify access tokens. Erased from memory when dropped.
pub struct Keys {
    signing: EncodingKey,
    current: VerificationKey,
    previous: Option<VerificationKey>,
    validation: Validation,
}

struct VerificationKey {
    /// The header of every token that this key has signed.
    header: Header,
    key: DecodingKey,
}

impl VerificationKey {
    fn new(secret: &[u8]) -> Self {
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(key_id(secret));
        Self { header, key: DecodingKey::from_secret(secret) }
    }
}

/// Names a key without giving it away: the first 8 bytes of a digest, in hexadecimal.
fn key_id(secret: &[u8]) -> String {
    let digest = Zeroizing::new(<[u8; 32]>::from(
        Sha256::new().chain_update(KEY_ID_LABEL).chain_update(secret).finalize(),
    ));
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The claims as they stand in a token.
#[derive(Serialize, Deserialize)]
struct WireClaims {
    iss: String,
    aud: String,
    sub: String,
    sid: String,
    jti: String,
    iat: i64,
    exp: i64,
    /// Never issued, but honoured (RFC 7519, 4.1.5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
}

impl Keys {
    /// Signs with `current`, verifies with either, so that keys can be rotated without signing
    /// anybody out.
    pub fn new(current: &[u8], previous: Option<&[u8]>) -> Self {
        // The library's checks of times read the system's clock and allow for leeway. They are
        // off; ours below take the time as an argument.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Self {
            signing: EncodingKey::from_secret(current),
            current: VerificationKey::new(current),
            previous: previous.map(VerificationKey::new),
            validation,
        }
    }

    /// A token for `user`'s `session`, good for [`LIFETIME`] from `now`.
    ///
    /// # Errors
    /// When there are no random bytes or the signature fails.
    pub fn issue(&self, user: i64, session: i64, now: DateTime<Utc>) -> Result<String, IssueError> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let issued_at = now.timestamp();
        let claims = WireClaims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user.to_string(),
            sid: session.to_string(),
            jti: URL_SAFE_NO_PAD.encode(id),
            iat: issued_at,
            exp: issued_at.saturating_add(LIFETIME.num_seconds()),
            nbf: None,
        };
        Ok(jsonwebtoken::encode(&self.current.header, &claims, &self.signing)?)
    }

    /// What `token` says, if it is good at `now`.
    ///
    /// # Errors
    /// [`TokenError::Expired`] for one that was good once, [`TokenError::Invalid`] for all others.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Claims, TokenError> {
        if token.len() > SIZE_MAX {
            return Err(TokenError::Invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        let key = [Some(&self.current), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .find(|key| key.header == header)
            .ok_or(TokenError::Invalid)?;
        let claims = jsonwebtoken::decode::<WireClaims>(token, &key.key, &self.validation)
            .map_err(|_| TokenError::Invalid)?
            .claims;
        claims.check(now)
    }
}

impl WireClaims {
    fn check(self, now: DateTime<Utc>) -> Result<Claims, TokenError> {
        // The library takes a list of audiences or issuers too; ours are never lists, which the
        // types of these fields have made sure of.
        let user = parse_id(&self.sub).ok_or(TokenError::Invalid)?;
        let session = parse_id(&self.sid).ok_or(TokenError::Invalid)?;
        let now = now.timestamp();
        let latest = now.saturating_add(CLOCK_SKEW.num_seconds());
        let not_yet = self.iat > latest || self.nbf.is_some_and(|nbf| nbf > now);
        if self.iss != ISSUER || self.aud != AUDIENCE || self.jti.is_empty() || not_yet {
            return Err(TokenError::Invalid);
        }
        let time = |seconds| DateTime::from_timestamp(seconds, 0).ok_or(TokenError::Invalid);
        let (issued_at, expires_at) = (time(self.iat)?, time(self.exp)?);
        // "On or after" (RFC 7519, 4.1.4).
        if self.exp <= now {
            return Err(TokenError::Expired);
        }
        Ok(Claims { user, session, id: self.jti, issued_at, expires_at })
    }
}

/// A positive number in the one way that we write it.
fn parse_id(text: &str) -> Option<i64> {
    text.parse().ok().filter(|id: &i64| *id > 0 && id.to_string() == text)
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("current", &self.current.header.kid)
            .field("previous", &self.previous.as_ref().and_then(|key| key.header.kid.as_ref()))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
    const OTHER_KEY: &[u8] = b"fedcba9876543210fedcba9876543210";

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000, 0).unwrap()
    }

    fn keys() -> Keys {
        Keys::new(KEY, None)
    }

    /// Signs any header and claims: what an attacker with the right key, or without, could send.
    fn forge(header: &Value, claims: &Value, algorithm: Algorithm, key: &[u8]) -> String {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let key = EncodingKey::from_secret(key);
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
        format!("{message}.{signature}")
    }

    fn good_header() -> Value {
        json!({"alg": "HS256", "typ": TYPE, "kid": key_id(KEY)})
    }

    fn good_claims() -> Value {
        let now = now().timestamp();
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "7", "sid": "9", "jti": "one",
            "iat": now, "exp": now + 900,
        })
    }

    fn with(mut object: Value, name: &str, value: Value) -> Value {
        object[name] = value;
        object
    }

    fn without(mut object: Value, name: &str) -> Value {
        object.as_object_mut().unwrap().remove(name).unwrap();
        object
    }

    #[track_caller]
    fn assert_invalid(what: &str, token: &str) {
        assert_eq!(keys().verify(token, now()), Err(TokenError::Invalid), "{what}");
    }

    #[test]
    fn a_token_is_good_until_it_expires() {
        let token = keys().issue(7, i64::MAX, now()).unwrap();
        let claims = keys().verify(&token, now()).unwrap();
        assert_eq!((claims.user, claims.session), (7, i64::MAX));
        assert_eq!(claims.issued_at, now());
        assert_eq!(claims.expires_at, now() + LIFETIME);
        let last = now() + LIFETIME - Duration::milliseconds(1);
        assert!(keys().verify(&token, last).is_ok());
        assert_eq!(keys().verify(&token, now() + LIFETIME), Err(TokenError::Expired));
        assert_eq!(
            keys().verify(&token, now() - CLOCK_SKEW - Duration::seconds(1)),
            Err(TokenError::Invalid),
            "issued in the future"
        );
        assert!(keys().verify(&token, now() - CLOCK_SKEW).is_ok(), "by a clock that is ahead");
    }

    #[test]
    fn no_two_tokens_are_alike() {
        let (keys, now) = (keys(), now());
        let [one, two] = [keys.issue(7, 9, now).unwrap(), keys.issue(7, 9, now).unwrap()];
        assert_ne!(keys.verify(&one, now).unwrap().id, keys.verify(&two, now).unwrap().id);
    }

    #[test]
    fn the_forgeries_below_fail_for_what_they_change() {
        let token = forge(&good_header(), &good_claims(), Algorithm::HS256, KEY);
        let claims = keys().verify(&token, now()).unwrap();
        assert_eq!((claims.user, claims.session, claims.id.as_str()), (7, 9, "one"));
        // A claim that nobody has agreed on is ignored (RFC 7519, 4).
        let more = with(good_claims(), "scope", json!("everything"));
        let token = forge(&good_header(), &more, Algorithm::HS256, KEY);
        assert!(keys().verify(&token, now()).is_ok());
        let nbf = with(good_claims(), "nbf", json!(now().timestamp()));
        let token = forge(&good_header(), &nbf, Algorithm::HS256, KEY);
        assert!(keys().verify(&token, now()).is_ok());
    }

    #[test]
    fn keys_are_rotated() {
        let old = Keys::new(OTHER_KEY, None);
        let token = old.issue(7, 9, now()).unwrap();
        assert!(Keys::new(KEY, Some(OTHER_KEY)).verify(&token, now()).is_ok());
        assert_invalid("a retired key", &token);
        let new = Keys::new(KEY, Some(OTHER_KEY)).issue(7, 9, now()).unwrap();
        assert!(keys().verify(&new, now()).is_ok(), "the current key signs");
        // The name of one key with the signature of the other.
        let mixed = forge(&good_header(), &good_claims(), Algorithm::HS256, OTHER_KEY);
        let both = Keys::new(KEY, Some(OTHER_KEY));
        assert_eq!(both.verify(&mixed, now()), Err(TokenError::Invalid));
    }

    #[test]
    fn other_algorithms() {
        for (algorithm, name) in
            [(Algorithm::HS256, "none"), (Algorithm::HS384, "HS384"), (Algorithm::HS512, "HS512")]
        {
            let header = with(good_header(), "alg", json!(name));
            assert_invalid(name, &forge(&header, &good_claims(), algorithm, KEY));
        }
        for name in
            ["None", "NONE", "nOnE", "none", "RS256", "ES256", "EdDSA", "PS256", "hs256", ""]
        {
            let header = with(good_header(), "alg", json!(name));
            let token = forge(&header, &good_claims(), Algorithm::HS256, KEY);
            assert_invalid(name, &token);
            let unsigned = token.rsplit_once('.').unwrap().0;
            assert_invalid(name, &format!("{unsigned}."));
        }
        assert_invalid(
            "HS384 that calls itself HS256",
            &forge(&good_header(), &good_claims(), Algorithm::HS384, KEY),
        );
    }

    #[test]
    fn broken_signatures() {
        let token = forge(&good_header(), &good_claims(), Algorithm::HS256, KEY);
        let (message, signature) = token.rsplit_once('.').unwrap();
        assert_invalid("stripped", message);
        assert_invalid("empty", &format!("{message}."));
        assert_invalid("a part too many", &format!("{token}.{signature}"));
        assert_invalid("padded", &format!("{token}="));
        assert_invalid("shortened", &token[..token.len() - 1]);
        assert_invalid(
            "another key",
            &forge(&good_header(), &good_claims(), Algorithm::HS256, OTHER_KEY),
        );
        assert_invalid("no key", &forge(&good_header(), &good_claims(), Algorithm::HS256, b""));
        let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        for index in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[index] ^= 1;
            assert_invalid("flipped", &format!("{message}.{}", URL_SAFE_NO_PAD.encode(flipped)));
        }
        let (header, _) = message.split_once('.').unwrap();
        let admin = URL_SAFE_NO_PAD.encode(with(good_claims(), "sub", json!("1")).to_string());
        assert_invalid("other claims", &format!("{header}.{admin}.{signature}"));
    }

    #[test]
    fn headers_that_are_not_ours() {
        let other_kid = key_id(OTHER_KEY);
        for (name, value) in [
            ("kid", json!(other_kid)),
            ("kid", json!("")),
            ("kid", json!(null)),
            ("kid", json!("../../../dev/null")),
            ("kid", json!("x' UNION SELECT 'key")),
            ("kid", json!(7)),
            ("typ", json!("JWT")),
            ("typ", json!("AT+JWT")),
            ("typ", json!("rt+jwt")),
            ("typ", json!(null)),
            ("jku", json!("https://evil.example/keys")),
            ("x5u", json!("https://evil.example/cert")),
            ("x5c", json!(["MIIB"])),
            ("x5t", json!("AAAA")),
            ("jwk", json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(OTHER_KEY)})),
            ("crit", json!(["exp"])),
            ("crit", json!([])),
            ("b64", json!(false)),
            ("zip", json!("DEF")),
            ("enc", json!("A256GCM")),
            ("cty", json!("JWT")),
            ("anything", json!("else")),
        ] {
            let header = with(good_header(), name, value);
            let token = forge(&header, &good_claims(), Algorithm::HS256, KEY);
            assert_invalid(&header.to_string(), &token);
        }
        for name in ["kid", "typ", "alg"] {
            let header = without(good_header(), name);
            assert_invalid(name, &forge(&header, &good_claims(), Algorithm::HS256, KEY));
        }
    }

    #[test]
    fn claims_that_are_not_ours() {
        let now = now().timestamp();
        let cases = [
            ("iss", json!("somebody")),
            ("iss", json!([ISSUER])),
            ("aud", json!("somebody")),
            ("aud", json!([AUDIENCE])),
            ("aud", json!([])),
            ("sub", json!(7)),
            ("sub", json!("0")),
            ("sub", json!("-7")),
            ("sub", json!("+7")),
            ("sub", json!("07")),
            ("sub", json!(" 7")),
            ("sub", json!("7.0")),
            ("sub", json!("9223372036854775808")),
            ("sub", json!("admin")),
            ("sub", json!("")),
            ("sid", json!(9)),
            ("sid", json!("0")),
            ("sid", json!("1e3")),
            ("jti", json!("")),
            ("jti", json!(1)),
            ("iat", json!(now + CLOCK_SKEW.num_seconds() + 1)),
            ("iat", json!(now.to_string())),
            ("iat", json!(i64::MIN)),
            ("nbf", json!(now + 1)),
            ("nbf", json!((now - 1).to_string())),
            ("exp", json!((now + 900).to_string())),
            ("exp", json!(1_790_000_900.5)),
            ("exp", json!(1e300)),
            ("exp", json!(u64::MAX)),
            ("exp", json!(i64::MAX)),
            ("exp", json!(true)),
            ("exp", json!([now + 900])),
            ("exp", json!({})),
        ];
        for (name, value) in cases {
            let claims = with(good_claims(), name, value);
            let token = forge(&good_header(), &claims, Algorithm::HS256, KEY);
            assert_invalid(&claims.to_string(), &token);
        }
        for name in ["iss", "aud", "sub", "sid", "jti", "iat", "exp"] {
            for claims in [without(good_claims(), name), with(good_claims(), name, json!(null))] {
                let token = forge(&good_header(), &claims, Algorithm::HS256, KEY);
                assert_invalid(&claims.to_string(), &token);
            }
        }
    }

    #[test]
    fn only_what_was_good_once_has_expired() {
        let past = now().timestamp() - 1;
        let expired = with(with(good_claims(), "exp", json!(past)), "iat", json!(past - 900));
        let token = forge(&good_header(), &expired, Algorithm::HS256, KEY);
        assert_eq!(keys().verify(&token, now()), Err(TokenError::Expired));
        assert_invalid("signature", &forge(&good_header(), &expired, Algorithm::HS256, OTHER_KEY));
        for (name, value) in
            [("iss", json!("x")), ("sub", json!("0")), ("sid", json!("x")), ("jti", json!(""))]
        {
            let claims = with(expired.clone(), name, value);
            assert_invalid(name, &forge(&good_header(), &claims, Algorithm::HS256, KEY));
        }
    }

    #[test]
    fn what_is_no_token_at_all() {
        for text in ["", ".", "..", "...", "a.b.c", "Bearer x", "tdr_AAAA", "ä.ö.ü", "\0.\0.\0"]
        {
            assert_invalid(text, text);
        }
        assert_invalid(
            "the JSON inside is a list",
            &format!("{}.W10.", URL_SAFE_NO_PAD.encode("[]")),
        );
        let deep = URL_SAFE_NO_PAD.encode("[".repeat(2000));
        assert_invalid("deeply nested", &format!("{deep}.{deep}.x"));
        let doubled =
            URL_SAFE_NO_PAD.encode(good_header().to_string().replacen('{', r#"{"alg":"none","#, 1));
        let token = forge(&good_header(), &good_claims(), Algorithm::HS256, KEY);
        let rest = token.split_once('.').unwrap().1;
        assert_invalid("a member given twice", &format!("{doubled}.{rest}"));
    }

    #[test]
    fn what_is_too_large_is_not_looked_at() {
        let padded = |length: usize| {
            let claims = with(good_claims(), "padding", json!("x".repeat(length)));
            forge(&good_header(), &claims, Algorithm::HS256, KEY)
        };
        let fits = padded(2700);
        assert!(fits.len() <= SIZE_MAX && keys().verify(&fits, now()).is_ok());
        let large = padded(3000);
        assert!(large.len() > SIZE_MAX);
        assert_invalid("large", &large);
    }

    #[test]
    fn keys_do_not_show_themselves() {
        let shown = format!("{:?}", Keys::new(KEY, Some(OTHER_KEY)));
        assert!(shown.contains(&key_id(KEY)) && shown.contains(&key_id(OTHER_KEY)));
        assert!(!shown.contains("0123456789abcdef0123") && !shown.contains("48, 49, 50"));
        assert_eq!(key_id(KEY).len(), 16);
    }
}
