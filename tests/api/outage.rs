//! PostgreSQL goes away under requests and comes back.

use std::time::{Duration, Instant};

use chrono::Utc;
use serde_json::json;
use tests::{
    Client, PASSWORD,
    app::{Server, migrate},
    postgres::Postgres,
};
use users::clock::Clock;

/// The answers to one request, over and over, until `until`.
async fn watch(
    client: Client,
    path: String,
    until: tokio::sync::watch::Receiver<bool>,
) -> Vec<(u16, String)> {
    let mut answers = Vec::new();
    while !*until.borrow() {
        let answer = client.get(&path).await;
        if answer.status == 503 {
            answer.problem(503, "database_unavailable");
        }
        answers.push((answer.status, answer.text()));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    answers
}

#[tokio::test]
async fn what_needs_the_database_says_so_and_recovers_by_itself() {
    let mut postgres = Postgres::start().await;
    migrate(&postgres.url()).await;
    let server = Server::start(&postgres.url(), Clock::fixed(Utc::now()), &[]).await;
    let client = Client::new(server.base()).checked_against_its_document().await;
    let body = json!({"username": "michael", "email": "m@example.com", "password": PASSWORD});
    let user = client.post("/auth/register").json(body).await.ok(201);
    let path = contract::paths::user(user["id"].as_i64().unwrap());
    let login = || {
        let body = json!({"email": "m@example.com", "password": PASSWORD});
        client.post("/auth/login").json(body)
    };
    let tokens = login().await.ok(200);
    let access_token = tokens["access_token"].as_str().unwrap();
    let refresh =
        || client.post("/auth/refresh").json(json!({"refresh_token": tokens["refresh_token"]}));
    let right = client.get(&path).await.text();

    let (stop, until) = tokio::sync::watch::channel(false);
    let watching = tokio::spawn(watch(client.clone(), path.clone(), until.clone()));
    let pinging = tokio::spawn(watch(client.clone(), "/ping".to_owned(), until));
    tokio::time::sleep(Duration::from_millis(200)).await;
    postgres.stop();

    for _ in 0..3 {
        client.get("/users").await.problem(503, "database_unavailable");
        client.get("/auth/status").bearer(access_token).await.problem(503, "database_unavailable");
        login().await.problem(503, "database_unavailable");
        refresh().await.problem(503, "database_unavailable");
        client.get("/ping").await.ok(200);
        // What never needed the database is told as ever.
        client.get("/auth/status").await.problem(401, "token_required");
        client.get("/users?limit=0").await.problem(422, "validation_failed");
    }

    postgres.start_again().await;
    let back = Instant::now();
    while client.get(&path).await.status != 200 {
        assert!(back.elapsed() < Duration::from_secs(10), "no recovery");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for _ in 0..20 {
        client.get("/auth/status").bearer(access_token).await.ok(200);
    }
    login().await.ok(200);
    refresh().await.ok(200);

    stop.send(true).unwrap();
    let answers = watching.await.unwrap();
    assert!(answers.iter().any(|(status, _)| *status == 503));
    for (status, text) in answers {
        assert!(
            status == 503 || (status == 200 && text == right),
            "a wrong answer: {status} {text}"
        );
    }
    assert!(pinging.await.unwrap().iter().all(|(status, _)| *status == 200));
}
