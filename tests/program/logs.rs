//! The log: JSON by the line, a request id on each request, and never a secret.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::{Value, json};
use tests::{Database, PASSWORD, SECRET_KEY, program::Serving};

const NEW_PASSWORD: &str = "paper river candle";
const WRONG_PASSWORD: &str = "a wrong password that somebody typed";

/// What an operator wants to find: sign-ins, failures, reuse, changes, admin actions.
const EVENTS: [&str; 10] = [
    "registered",
    "login",
    "login_failed",
    "refresh_token_reused",
    "password_changed",
    "password_change_failed",
    "logout",
    "user_added",
    "user_updated",
    "user_removed",
];

#[tokio::test]
async fn every_line_is_json_and_none_holds_a_secret() {
    let database = Database::migrated().await;
    let url = database.url();
    let serving = Serving::start(&[
        ("DATABASE_URL", &url),
        ("LOG_FORMAT", "json"),
        ("RUST_LOG", "debug"),
        ("THROTTLE", "on"),
    ]);
    let secrets = use_everything(&serving).await;
    serving.terminate();
    let (code, lines) = serving.finish();
    assert_eq!(code, Some(0));

    let mut requests = 0;
    for line in &lines {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        for member in ["timestamp", "level"] {
            assert!(entry[member].is_string(), "{line}");
        }
        if entry["message"] == "request" {
            requests += 1;
            assert!(entry["request_id"].is_string(), "{line}");
            assert!(entry["status"].is_u64() && entry["path"].is_string(), "{line}");
        }
    }
    assert!(requests >= 15, "{requests} requests were logged");
    let log = lines.join("\n");
    for secret in secrets {
        assert!(!log.contains(&secret), "the log holds {secret:?}");
    }
}

#[tokio::test]
async fn what_happens_to_accounts_is_told() {
    let database = Database::migrated().await;
    let serving = Serving::start(&[("DATABASE_URL", &database.url()), ("LOG_FORMAT", "json")]);
    use_everything(&serving).await;
    manage_users(&serving, &database).await;
    serving.terminate();
    let log = serving.finish().1.join("\n");
    let missing: Vec<_> = EVENTS
        .into_iter()
        .filter(|event| !log.contains(&format!("\"event\":\"{event}\"")))
        .collect();
    assert!(missing.is_empty(), "{missing:?} are not told:\n{log}");
}

#[tokio::test]
async fn a_fault_is_logged_once_with_the_id_of_its_request() {
    let database = Database::migrated().await;
    let serving = Serving::start(&[("DATABASE_URL", &database.url()), ("LOG_FORMAT", "json")]);
    database
        .execute("INSERT INTO users (username, email, created_date) VALUES ('abc', 'a@b', now())")
        .await;
    database.execute("ALTER TABLE users ALTER created_date TYPE text").await;
    let problem = serving.client().get("/users").await.problem(500, "internal");
    let id = problem["request_id"].as_str().unwrap().to_owned();
    serving.terminate();
    let lines = serving.finish().1;
    let errors: Vec<_> = lines.iter().filter(|line| line.contains("\"ERROR\"")).collect();
    assert_eq!(errors.len(), 1, "{}", lines.join("\n"));
    let error: Value = serde_json::from_str(errors[0]).unwrap();
    assert_eq!(error["request_id"], id, "{error}");
}

#[tokio::test]
async fn a_health_check_is_no_news() {
    let database = Database::migrated().await;
    let logged = async |filter: &str| {
        let url = database.url();
        let serving = Serving::start(&[("DATABASE_URL", &url), ("RUST_LOG", filter)]);
        serving.client().get("/ping").await.ok(200);
        serving.client().get("/users").await.ok(200);
        serving.client().post("/ping").await.problem(405, "method_not_allowed");
        serving.terminate();
        let lines = serving.finish().1;
        let requests = lines.iter().filter(|line| line.contains("duration_ms"));
        requests.filter(|line| line.contains("/ping")).count()
    };
    assert_eq!(logged("info").await, 1, "the one that failed");
    assert_eq!(logged("debug").await, 2);
}

/// Whoever sends rubbish fills nobody's disk with it.
#[tokio::test]
async fn rubbish_is_no_news() {
    let database = Database::migrated().await;
    let serving = Serving::start(&[("DATABASE_URL", &database.url())]);
    let too_large = format!("GET /ping HTTP/1.1\r\nX: {}", "x".repeat(200_000));
    for (rubbish, status) in [("rubbish\r\n\r\n", "400"), (too_large.as_str(), "431")] {
        let mut stream = TcpStream::connect(serving.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // It need not read all of it.
        let _ = stream.write_all(rubbish.as_bytes());
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, *format!("HTTP/1.1 {status}").as_bytes());
    }
    serving.terminate();
    let lines = serving.finish().1;
    assert!(!lines.iter().any(|line| line.contains("ERROR")), "{}", lines.join("\n"));
}

/// What an administrator does.
async fn manage_users(serving: &Serving, database: &Database) {
    database.execute("UPDATE users SET is_admin = true").await;
    let client = serving.client();
    let body = json!({"email": "m@example.com", "password": NEW_PASSWORD});
    let tokens = client.post("/auth/login").json(body).await.ok(200);
    let token = tokens["access_token"].as_str().unwrap();
    let body = json!({"username": "added", "email": "a@example.com", "password": PASSWORD});
    let added = client.post("/users").bearer(token).json(body).await.ok(201);
    let path = contract::paths::user(added["user"]["id"].as_i64().unwrap());
    let body = json!({"username": "changed", "email": "a@example.com"});
    client.put(&path).bearer(token).json(body).await.ok(200);
    client.delete(&path).bearer(token).await.ok(200);
}

/// Does everything that touches a secret, and returns what must not be in the log.
async fn use_everything(serving: &Serving) -> Vec<String> {
    let client = serving.client();
    let mut secrets: Vec<String> =
        [PASSWORD, NEW_PASSWORD, WRONG_PASSWORD, SECRET_KEY].map(str::to_owned).into();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let login = |password: &str| {
        let body = json!({"email": "m@example.com", "password": password});
        client.post("/auth/login?password=in-the-query").json(body)
    };
    secrets.push("in-the-query".to_owned());

    let body = json!({"username": "michael", "email": "m@example.com", "password": PASSWORD});
    client.post("/auth/register").json(body.clone()).await.ok(201);
    client.post("/auth/register").json(body).await.problem(409, "email_taken");
    login(WRONG_PASSWORD).await.problem(401, "incorrect_credentials");
    let tokens = login(PASSWORD).await.ok(200);
    let (access, refresh) = (text(&tokens["access_token"]), text(&tokens["refresh_token"]));
    let renew = |token: &str| client.post("/auth/refresh").json(json!({"refresh_token": token}));
    let second = renew(&refresh).await.ok(200);
    let third = renew(&text(&second["refresh_token"])).await.ok(200);
    renew(&refresh).await.problem(401, "token_invalid");

    let call = login(PASSWORD).header("x-auth-transport", "cookie");
    let answer = call.header("sec-fetch-site", "same-origin").await;
    let cookie = answer.expect_header("set-cookie").split(';').next().unwrap().to_owned();
    let current = text(&answer.ok(200)["access_token"]);
    let (_, cookie_token) = cookie.split_once('=').unwrap();
    client
        .post("/auth/refresh")
        .header("x-auth-transport", "cookie")
        .header("sec-fetch-site", "same-origin")
        .header("cookie", &cookie)
        .await
        .ok(200);
    client.get(format!("/auth/status?access_token={current}")).bearer(&current).await.ok(200);
    client.get("/auth/status").bearer(&format!("{current}x")).await.problem(401, "token_invalid");
    client.get("/auth/status").header("authorization", "Basic c2VjcmV0").await;
    let change = json!({"current_password": WRONG_PASSWORD, "new_password": NEW_PASSWORD});
    client
        .put("/auth/password")
        .bearer(&current)
        .json(change)
        .await
        .problem(403, "incorrect_password");
    let change = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
    client.put("/auth/password").bearer(&current).json(change).await.ok(204);
    let typed = format!("{{\"password\": \"{PASSWORD}");
    client.post("/auth/login").header("content-type", "application/json").body(typed).await;
    client.post("/auth/logout").bearer(&current).await.ok(204);

    for token in [&access, &refresh, &current, &text(&third["access_token"])] {
        secrets.push(token.clone());
    }
    secrets.extend([&second, &third].map(|tokens| text(&tokens["refresh_token"])));
    secrets.extend([cookie_token.to_owned(), "c2VjcmV0".to_owned(), "$argon2".to_owned()]);
    secrets
}
