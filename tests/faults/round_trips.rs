//! How often an operation waits for PostgreSQL. A database that is far away makes each of these waits
//! long, so none is needless: the look-up of the session travels with the operation's own query.
//!
//! What passes through a [`Link`] is counted, not timed.

use serde_json::json;
use tests::PASSWORD;

use crate::{
    link::Link,
    service::{people, postgres, serve},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_operation_waits_as_often_as_it_must() {
    let postgres = postgres().await;
    let link = Link::to(postgres.port()).await;
    let limits = ["THROTTLE_ACCOUNT", "THROTTLE_ADDRESS", "THROTTLE_REGISTER"];
    let limits = limits.map(|limit| (limit, "100000/60"));
    let settings = [("THROTTLE", "on"), ("WORKERS", "1"), ("DATABASE_POOL_SIZE", "2")];
    let serving = serve(&link.url(), &[&settings[..], &limits[..]].concat());
    let client = serving.client();
    let [mut person] = <[_; 1]>::try_from(people(&client, 1).await).unwrap();
    let path = contract::paths::user(person.user["id"].as_i64().unwrap());

    let mut newcomers = 0;
    let mut refresh_token = person.refresh_token.clone();
    // Statements are prepared the first time, which is one more wait each; the third is measured.
    for round in 1..=3 {
        let mut trips = Vec::new();
        let mut before = link.round_trips();
        let mut note = |operation: &'static str| {
            let now = link.round_trips();
            trips.push((operation, now - before));
            before = now;
        };
        let token = person.access_token.clone();
        client.get("/ping").await.ok(200);
        note("GET /ping");
        client.get(&path).await.ok(200);
        note("GET /users/{id}");
        client.get(&path).bearer(&token).await.ok(200);
        note("GET /users/{id}, signed in");
        client.get("/users").await.ok(200);
        note("GET /users");
        client.get("/users").bearer(&token).await.ok(200);
        note("GET /users, signed in");
        client.get("/auth/status").bearer(&token).await.ok(200);
        note("GET /auth/status");
        client.get("/auth/sessions").bearer(&token).await.ok(200);
        note("GET /auth/sessions");
        let body = json!({"username": "person-0", "email": person.email});
        client.put(&path).bearer(&token).json(body).await.ok(200);
        note("PUT /users/{id}");
        newcomers += 1;
        let (name, email) = (format!("new-{newcomers}"), format!("new-{newcomers}@x.y"));
        let body = json!({"username": name, "email": email, "password": PASSWORD});
        client.post("/auth/register").json(body).await.ok(201);
        note("POST /auth/register");
        let body = json!({"email": person.email, "password": PASSWORD});
        client.post("/auth/login").json(body).await.ok(200);
        note("POST /auth/login");
        let body = json!({"email": person.email, "password": "not the one"});
        client.post("/auth/login").json(body).await.problem(401, "incorrect_credentials");
        note("POST /auth/login, another password");
        let answer = client.post("/auth/refresh").json(json!({"refresh_token": refresh_token}));
        answer.await.ok(200);
        note("POST /auth/refresh");
        let body = json!({"current_password": PASSWORD, "new_password": PASSWORD});
        client.put("/auth/password").bearer(&token).json(body).await.ok(204);
        note("PUT /auth/password");
        client.post("/auth/logout").bearer(&token).await.ok(204);
        note("POST /auth/logout");
        let body = json!({"email": person.email, "password": PASSWORD});
        let tokens = client.post("/auth/login").json(body).await.ok(200);
        person.access_token = tokens["access_token"].as_str().unwrap().to_owned();
        refresh_token = tokens["refresh_token"].as_str().unwrap().to_owned();
        if round == 3 {
            for (operation, count) in &trips {
                println!("{operation:36} {count}");
            }
            assert_eq!(trips, EXPECTED);
        }
    }
}

/// How often each waits. What writes first looks whether it may; a transaction waits for its beginning
/// and its end, and for each statement in between that needs to know what came of the last.
const EXPECTED: [(&str, usize); 14] = [
    ("GET /ping", 0),
    ("GET /users/{id}", 1),
    ("GET /users/{id}, signed in", 1),
    ("GET /users", 1),
    ("GET /users, signed in", 1),
    ("GET /auth/status", 1),
    ("GET /auth/sessions", 1),
    ("PUT /users/{id}", 2),
    ("POST /auth/register", 1),
    ("POST /auth/login", 8),
    ("POST /auth/login, another password", 1),
    ("POST /auth/refresh", 8),
    ("PUT /auth/password", 6),
    ("POST /auth/logout", 2),
];
