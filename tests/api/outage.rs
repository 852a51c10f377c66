//! PostgreSQL goes away under requests and comes back.

use std::time::{Duration, Instant};

use chrono::Utc;
use serde_json::json;
use tests::{
    Client, PASSWORD,
    app::{Server, migrate},
    database::connect,
    postgres::Postgres,
};
use tokio::{
    io::copy,
    net::{TcpListener, TcpStream},
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

/// Stands before a server as if it were busy: it closes a connection, and that comes through late.
async fn slow_to_close(target: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let far = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                let (mut from_client, mut to_client) = near.into_split();
                let (mut from_server, mut to_server) = far.into_split();
                tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
                let _ = copy(&mut from_server, &mut to_client).await;
                tokio::time::sleep(Duration::from_secs(3)).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn what_is_read_is_asked_once_more_where_the_server_says_that_it_closes_the_connection() {
    let postgres = Postgres::start().await;
    migrate(&postgres.url()).await;
    let port = slow_to_close(postgres.port()).await;
    let url = postgres.url().replace(&format!(":{}/", postgres.port()), &format!(":{port}/"));
    assert_ne!(url, postgres.url());
    let server = Server::start(&url, Clock::fixed(Utc::now()), &[]).await;
    let client = Client::new(server.base());
    let body = json!({"username": "michael", "email": "m@example.com", "password": PASSWORD});
    let user = client.post("/auth/register").json(body).await.ok(201);
    let path = contract::paths::user(user["id"].as_i64().unwrap());

    let mut holder = connect(&postgres.url()).await;
    let watcher = connect(&postgres.url()).await;
    let hold = holder.transaction().await.unwrap();
    hold.batch_execute("LOCK TABLE users").await.unwrap();
    let call = client.get(&path);
    let answer = tokio::spawn(async { call.await });
    // The connection that waits is ended; another one waits then.
    let waiting = async |but: i32| {
        let query = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid <> $1";
        loop {
            if let Some(row) = watcher.query(query, &[&but]).await.unwrap().first() {
                return row.get::<_, i32>(0);
            }
            assert!(!answer.is_finished(), "it does not wait");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let first = waiting(0).await;
    watcher.execute("SELECT pg_terminate_backend($1)", &[&first]).await.unwrap();
    waiting(first).await;
    hold.commit().await.unwrap();
    assert_eq!(answer.await.unwrap().ok(200)["username"], "michael");
}
