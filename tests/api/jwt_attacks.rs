//! Attacks on access tokens: everything that RFC 8725 warns of, row by row.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto::sign};
use serde_json::{Value, json};
use tests::{Person, SECRET_KEY, TestApp};

/// A token taken apart, to be put together wrongly.
#[derive(Clone)]
struct Token {
    header: Value,
    claims: Value,
}

impl Token {
    fn of(person: &Person) -> Self {
        let mut parts = person
            .access_token
            .split('.')
            .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap_or_default()));
        Self { header: parts.next().unwrap().unwrap(), claims: parts.next().unwrap().unwrap() }
    }

    fn header(mut self, name: &str, value: Value) -> Self {
        self.header[name] = value;
        self
    }

    fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims[name] = value;
        self
    }

    fn without_header(mut self, name: &str) -> Self {
        self.header.as_object_mut().unwrap().remove(name).expect(name);
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.claims.as_object_mut().unwrap().remove(name).expect(name);
        self
    }

    /// With the key of the service, as an attacker can't; so only the rest is wrong.
    fn signed(&self) -> String {
        self.signed_with(SECRET_KEY.as_bytes(), Algorithm::HS256)
    }

    fn signed_with(&self, key: &[u8], algorithm: Algorithm) -> String {
        seal(&self.header.to_string(), &self.claims.to_string(), key, algorithm)
    }

    fn unsigned(&self) -> String {
        format!("{}.{}", encode(&self.header.to_string()), encode(&self.claims.to_string()))
    }
}

fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn seal(header: &str, claims: &str, key: &[u8], algorithm: Algorithm) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = sign(message.as_bytes(), &EncodingKey::from_secret(key), algorithm).unwrap();
    format!("{message}.{signature}")
}

async fn all_invalid(app: &TestApp, rows: impl IntoIterator<Item = (impl AsRef<str>, String)>) {
    for (attack, token) in rows {
        let answer = app.get("/auth/status").bearer(&token).await;
        assert_eq!(answer.status, 401, "{}: {}", attack.as_ref(), answer.text());
        answer.problem(401, "token_invalid");
    }
}

/// Without this row the others would prove nothing.
#[tokio::test]
async fn the_forge_can_make_a_token_that_works() {
    let app = TestApp::spawn().await;
    let token = Token::of(&app.person("michael").await);
    app.get("/auth/status").bearer(&token.signed()).await.ok(200);
    let now = app.clock.now().timestamp();
    let since_now = token.claim("nbf", json!(now));
    app.get("/auth/status").bearer(&since_now.signed()).await.ok(200);
}

#[tokio::test]
async fn the_algorithm_is_not_the_callers_choice() {
    let app = TestApp::spawn().await;
    let token = Token::of(&app.person("michael").await);
    let (_, signature) =
        token.signed().rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let mut rows = Vec::new();
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let unsigned = token.clone().header("alg", json!(none)).unsigned();
        rows.push((format!("{none} without a signature"), format!("{unsigned}.")));
        rows.push((format!("{none} without the dot"), unsigned.clone()));
        rows.push((format!("{none} with a signature"), format!("{unsigned}.{signature}")));
    }
    let key = SECRET_KEY.as_bytes();
    for (name, algorithm) in [("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)] {
        let other = token.clone().header("alg", json!(name));
        rows.push((format!("{name}, rightly signed"), other.signed_with(key, algorithm)));
        rows.push((format!("{name} in the header only"), other.signed()));
        rows.push((format!("{name} in the signature only"), token.signed_with(key, algorithm)));
    }
    for name in ["RS256", "ES256", "PS256", "EdDSA", "hs256", "HS1", "dir"] {
        rows.push((format!("{name} over HMAC"), token.clone().header("alg", json!(name)).signed()));
    }
    for odd in [json!(null), json!(256), json!(["HS256"])] {
        rows.push((format!("alg {odd}"), token.clone().header("alg", odd).signed()));
    }
    rows.push(("no alg".to_owned(), token.without_header("alg").signed()));
    all_invalid(&app, rows).await;
}

#[tokio::test]
async fn the_signature_is_checked_to_the_last_bit() {
    let app = TestApp::spawn().await;
    let token = Token::of(&app.person("michael").await);
    let good = token.signed();
    let (message, signature) = good.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut rows: Vec<(String, String)> = (0..bytes.len())
        .map(|at| {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            (format!("bit {at} flipped"), format!("{message}.{}", URL_SAFE_NO_PAD.encode(flipped)))
        })
        .collect();
    let other = token.clone().claim("sub", json!("2"));
    rows.extend([
        ("stripped".to_owned(), format!("{message}.")),
        ("stripped with the dot".to_owned(), message.to_owned()),
        ("cut".to_owned(), format!("{message}.{}", &signature[..signature.len() - 4])),
        ("padded".to_owned(), format!("{good}=")),
        ("of another token".to_owned(), format!("{}.{signature}", other.unsigned())),
        ("twice".to_owned(), format!("{good}.{signature}")),
        ("an empty key".to_owned(), token.signed_with(b"", Algorithm::HS256)),
        ("another key".to_owned(), token.signed_with(&[7; 32], Algorithm::HS256)),
        ("zeroes".to_owned(), format!("{message}.{}", URL_SAFE_NO_PAD.encode([0; 32]))),
    ]);
    // The last character holds two bits that mean nothing; only one spelling is right.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = alphabet.chars().nth(alphabet.find(last).unwrap() + 1).unwrap();
    rows.push(("another spelling".to_owned(), format!("{message}.{}{next}", &signature[..42])));
    all_invalid(&app, rows).await;
}

#[tokio::test]
async fn the_header_brings_no_key_of_its_own() {
    let app = TestApp::spawn().await;
    let token = Token::of(&app.person("michael").await);
    let mine: &[u8] = b"an attacker's key of many bytes, long enough";
    let jwk = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(mine), "alg": "HS256"});
    let url = json!("http://127.0.0.1:9/keys.json");
    let mut rows = Vec::new();
    for (name, value) in [
        ("jwk", jwk),
        ("jku", url.clone()),
        ("x5u", url),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["exp"])),
        ("crit", json!(["http://example.com/unknown"])),
    ] {
        let with = token.clone().header(name, value);
        rows.push((
            format!("{name}, signed with a key of mine"),
            with.signed_with(mine, Algorithm::HS256),
        ));
        rows.push((format!("{name}, rightly signed"), with.signed()));
    }
    for kid in ["", "unknown", "../../../../dev/null", "' OR 1=1 --", "|id", "0000000000000000"] {
        let with = token.clone().header("kid", json!(kid));
        rows.push((format!("kid {kid:?}, an empty key"), with.signed_with(b"", Algorithm::HS256)));
        rows.push((format!("kid {kid:?}, rightly signed"), with.signed()));
    }
    for kid in [json!(null), json!(0), json!(["x"]), json!({})] {
        rows.push((format!("kid {kid}"), token.clone().header("kid", kid).signed()));
    }
    rows.push(("no kid".to_owned(), token.clone().without_header("kid").signed()));
    for typ in ["JWT", "at", "rt+jwt", "id_token", ""] {
        rows.push((format!("typ {typ:?}"), token.clone().header("typ", json!(typ)).signed()));
    }
    rows.push(("no typ".to_owned(), token.without_header("typ").signed()));
    all_invalid(&app, rows).await;
}

#[tokio::test]
async fn every_claim_is_needed_and_checked() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let other = Token::of(&app.person("somebody").await);
    let token = Token::of(&michael);
    let now = app.clock.now().timestamp();
    let mut rows = Vec::new();
    for claim in ["iss", "aud", "sub", "sid", "jti", "iat", "exp"] {
        rows.push((format!("no {claim}"), token.clone().without(claim).signed()));
        for value in [json!(null), json!({}), json!([]), json!(true), json!("")] {
            let with = token.clone().claim(claim, value.clone());
            rows.push((format!("{claim} {value}"), with.signed()));
        }
    }
    for (claim, value) in [
        ("exp", json!((now + 600).to_string())),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("exp", json!(f64::from(i32::MAX) + 0.5)),
        ("iat", json!(now.to_string())),
        ("iat", json!(now + 3600)),
        ("nbf", json!(now + 1)),
        ("nbf", json!("now")),
        ("iss", json!("somebody else")),
        ("aud", json!("somebody else")),
        ("aud", json!(["somebody else"])),
        ("sub", json!(michael.id)),
        ("sub", json!("0")),
        ("sub", json!("-1")),
        ("sub", json!(format!("+{}", michael.id))),
        ("sub", json!(format!(" {}", michael.id))),
        ("sub", json!("1 OR 1=1")),
        ("sub", json!("9".repeat(40))),
        ("sub", other.claims["sub"].clone()),
        ("sid", json!("0")),
        ("sid", json!("999999")),
        ("sid", other.claims["sid"].clone()),
    ] {
        rows.push((format!("{claim} {value}"), token.clone().claim(claim, value).signed()));
    }
    let twice = token.claims.to_string().replacen('{', r#"{"sub":"2","#, 1);
    let header = token.header.to_string();
    let key = SECRET_KEY.as_bytes();
    rows.push(("sub twice".to_owned(), seal(&header, &twice, key, Algorithm::HS256)));
    for claims in ["", "null", "[]", "\"x\"", "{}", "{"] {
        rows.push((format!("claims {claims:?}"), seal(&header, claims, key, Algorithm::HS256)));
        rows.push((format!("header {claims:?}"), seal(claims, "{}", key, Algorithm::HS256)));
    }
    all_invalid(&app, rows).await;
}

#[tokio::test]
async fn a_token_that_only_its_time_makes_bad_has_expired() {
    let app = TestApp::spawn().await;
    let token = Token::of(&app.person("michael").await);
    let now = app.clock.now().timestamp();
    for exp in [now, now - 1] {
        let old = token.clone().claim("iat", json!(now - 900)).claim("exp", json!(exp)).signed();
        app.get("/auth/status").bearer(&old).await.problem(401, "token_expired");
    }
    let forged = token.claim("exp", json!(now - 1)).signed_with(&[7; 32], Algorithm::HS256);
    app.get("/auth/status").bearer(&forged).await.problem(401, "token_invalid");
}

#[tokio::test]
async fn what_is_no_access_token_opens_nothing() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let good = michael.access_token.clone();
    let large = Token::of(&michael).claim("more", json!("x".repeat(5_000))).signed();
    let rows = [
        ("a refresh token", michael.refresh_token.clone()),
        ("dots", "..".to_owned()),
        ("many dots", ".".repeat(100)),
        ("no base64", "{}.{}.{}".to_owned()),
        ("a blank inside", good.replacen('.', " .", 1)),
        ("two with a comma", format!("{good},{good}")),
        ("rightly signed and large", large),
        ("very large", "x".repeat(50_000)),
    ];
    all_invalid(&app, rows).await;
}

#[tokio::test]
async fn of_two_authorization_headers_neither_counts() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let good = format!("Bearer {}", michael.access_token);
    for [first, second] in [[good.as_str(), "Bearer x"], ["Bearer x", &good], [&good, &good]] {
        let call = app.get("/auth/status").header("authorization", first);
        call.header("authorization", second).await.problem(401, "token_invalid");
    }
}

#[tokio::test]
async fn bytes_in_the_header_are_no_token() {
    let app = TestApp::spawn().await;
    let answer = app.get("/auth/status").header("authorization", b"Bearer \xff\xfe").await;
    answer.problem(401, "token_invalid");
}

#[tokio::test]
async fn the_previous_key_still_verifies_and_a_retired_one_does_not() {
    const NEW: &str = "another key, which came when the first was rotated";
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let rotated = [("SECRET_KEY", NEW), ("SECRET_KEY_PREVIOUS", SECRET_KEY)];
    let (during, _during) = app.second_task(&rotated).await;
    during.get("/auth/status").by(&michael).await.ok(200);
    let body = json!({"refresh_token": michael.refresh_token});
    let renewed = michael.with(&during.post("/auth/refresh").json(body).await.ok(200));
    assert_ne!(Token::of(&renewed).header["kid"], Token::of(&michael).header["kid"]);
    // Signed with the old key under the new key's name, and the other way round.
    let crossed = Token::of(&renewed).signed();
    during.get("/auth/status").bearer(&crossed).await.problem(401, "token_invalid");
    let crossed = Token::of(&michael).signed_with(NEW.as_bytes(), Algorithm::HS256);
    during.get("/auth/status").bearer(&crossed).await.problem(401, "token_invalid");

    let (after, _after) = app.second_task(&[("SECRET_KEY", NEW)]).await;
    after.get("/auth/status").by(&renewed).await.ok(200);
    after.get("/auth/status").by(&michael).await.problem(401, "token_invalid");
}

#[tokio::test]
async fn every_operation_for_people_who_signed_in_refuses_a_bad_token() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let forged = Token::of(&michael).signed_with(&[7; 32], Algorithm::HS256);
    for (pattern, item) in app.document().json()["paths"].as_object().unwrap().clone() {
        for (method, operation) in item.as_object().unwrap() {
            if operation.get("security").is_none() {
                continue;
            }
            let method = method.to_uppercase().parse().unwrap();
            let path = pattern.replace("{id}", &michael.id.to_string());
            let call = app.call(method, path).bearer(&forged);
            call.await.problem(401, "token_invalid");
        }
    }
}
