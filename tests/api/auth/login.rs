//! `POST /auth/login`.

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contract::{ACCESS_TOKEN_TYPE, REFRESH_TOKEN_PREFIX};
use serde_json::{Value, json};
use tests::{PASSWORD, TestApp};

#[tokio::test]
async fn the_right_password_buys_tokens() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    for email in ["michael@example.com", "MICHAEL@example.com", " michael@example.com\t"] {
        let tokens = app.sign_in(email, PASSWORD).await.ok(200);
        assert_eq!(tokens["token_type"], ACCESS_TOKEN_TYPE);
        assert_eq!(tokens["expires_in"], 15 * 60);
        let refresh_token = tokens["refresh_token"].as_str().unwrap();
        let random = refresh_token.strip_prefix(REFRESH_TOKEN_PREFIX).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(random).unwrap().len(), 32, "256 bits");
        assert!(app.opens(tokens["access_token"].as_str().unwrap()).await);
    }
}

#[tokio::test]
async fn the_access_token_says_what_it_should() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let parts: Vec<&str> = michael.access_token.split('.').collect();
    let json = |part: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let (header, claims) = (json(parts[0]), json(parts[1]));
    assert_eq!((&header["alg"], &header["typ"]), (&json!("HS256"), &json!("at+jwt")));
    assert!(header["kid"].is_string());
    let now = app.clock.now().timestamp();
    assert_eq!(claims["iat"], now);
    assert_eq!(claims["exp"], now + 15 * 60);
    for claim in ["iss", "aud", "sub", "sid", "jti"] {
        assert!(claims[claim].as_str().is_some_and(|text| !text.is_empty()), "{claim}: {claims}");
    }
    let again = michael.signed_in_anew(&app).await;
    assert_ne!(json(again.access_token.split('.').nth(1).unwrap())["jti"], claims["jti"]);
}

#[tokio::test]
async fn what_is_wrong_is_not_said() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    app.register("gone").await;
    app.database.execute("UPDATE users SET active = false WHERE username = 'gone'").await;
    app.register("locked").await;
    app.database.execute("UPDATE users SET password_hash = NULL WHERE username = 'locked'").await;
    let rows = [
        ("michael@example.com", "not the password"),
        ("michael@example.com", "x"),
        ("michael@example.com", &PASSWORD.to_uppercase()),
        ("nobody@example.com", PASSWORD),
        ("not an address", PASSWORD),
        ("gone@example.com", PASSWORD),
        ("locked@example.com", PASSWORD),
    ];
    let mut bodies = Vec::new();
    for (email, password) in rows {
        let answer = app.sign_in(email, password).await;
        let mut problem = answer.problem(401, "incorrect_credentials");
        assert_eq!(problem["detail"], "Incorrect email and/or password.", "{email}");
        problem["request_id"] = Value::Null;
        bodies.push(problem);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]));
}

/// How often both are tried, if it has to be: the machine may stand still for one of them.
const PAIRS: usize = 20;

/// Every answer costs one hash: without it, an unknown address answers some ten times faster.
#[tokio::test]
async fn an_unknown_address_takes_as_long_as_a_wrong_password() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    let time = async |email: &str| {
        let start = Instant::now();
        app.sign_in(email, "not the password").await.problem(401, "incorrect_credentials");
        start.elapsed()
    };
    let (mut known, mut unknown) = (Duration::MAX, Duration::MAX);
    // In turns, and each at its fastest.
    for pair in 1.. {
        known = known.min(time("michael@example.com").await);
        unknown = unknown.min(time("nobody@example.com").await);
        if pair >= 3 && known.max(unknown) < known.min(unknown) * 3 {
            break;
        }
        assert!(pair < PAIRS, "known {known:?}, unknown {unknown:?}");
    }
}

#[tokio::test]
async fn both_fields_are_needed() {
    let app = TestApp::spawn().await;
    let errors =
        app.post("/auth/login").json(json!({"email": "", "user": "x"})).await.field_errors();
    let expected = [("email", "required"), ("password", "required"), ("user", "unknown_field")];
    assert_eq!(errors, expected.map(|(field, code)| (field.to_owned(), code.to_owned())));
}

#[tokio::test]
async fn a_hash_with_outdated_parameters_is_made_anew() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    let client = app.database.client().await;
    let hash = async || -> String {
        client.query_one("SELECT password_hash FROM users", &[]).await.unwrap().get(0)
    };
    let current = hash().await;
    assert!(current.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{current}");
    app.sign_in("michael@example.com", PASSWORD).await.ok(200);
    assert_eq!(hash().await, current, "nothing to mend");

    // argon2id of the suites' password with fewer passes and less memory.
    let outdated = "$argon2id$v=19$m=8192,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$\
        d819eppOD0RByBCMHF3T7M7DUZEvi5rWjNGWgTNEGv8";
    client.execute("UPDATE users SET password_hash = $1", &[&outdated]).await.unwrap();
    app.sign_in("michael@example.com", "not the password")
        .await
        .problem(401, "incorrect_credentials");
    assert_eq!(hash().await, outdated, "a wrong password changes nothing");
    app.sign_in("michael@example.com", PASSWORD).await.ok(200);
    assert!(hash().await.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    app.sign_in("michael@example.com", PASSWORD).await.ok(200);
}
