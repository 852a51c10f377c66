//! The connections to PostgreSQL: how many there are, and what becomes of requests when they end
//! or are all in use.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{TestApp, http::Call};
use tokio::task::JoinSet;
use tokio_postgres::Client;

/// The API's own: tests call themselves nothing.
const OURS: &str = "FROM pg_stat_activity \
                    WHERE datname = current_database() AND application_name = 'users'";

async fn count(client: &Client) -> i64 {
    client.query_one(&format!("SELECT count(*) {OURS}"), &[]).await.unwrap().get(0)
}

/// Ends those that there are, and waits until they are gone.
async fn end_all(client: &Client) -> usize {
    let end = format!("SELECT pid, pg_terminate_backend(pid) {OURS}");
    let ended = client.query(&end, &[]).await.unwrap();
    let ended: Vec<i32> = ended.iter().map(|row| row.get(0)).collect();
    let left = format!("SELECT count(*) {OURS} AND pid = ANY($1)");
    while client.query_one(&left, &[&ended]).await.unwrap().get::<_, i64>(0) > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    ended.len()
}

/// Sends all calls at once and answers with their statuses, in order of size.
async fn at_once(calls: impl IntoIterator<Item = Call>) -> Vec<u16> {
    let mut running = JoinSet::new();
    for call in calls {
        running.spawn(async { call.await.status });
    }
    let mut statuses = running.join_all().await;
    statuses.sort_unstable();
    statuses
}

/// How often a call is sent that finds no connection.
const TRIES: usize = 5;

/// Like [`at_once`], with those once more that have found no connection in time: the machine may be
/// busy.
async fn at_once_and_again(calls: impl IntoIterator<Item = Call>) -> Vec<u16> {
    let mut running = JoinSet::new();
    for call in calls {
        running.spawn(async move {
            for _ in 1..TRIES {
                let answer = call.clone().await;
                if answer.status != 503 {
                    return answer.status;
                }
                answer.problem(503, "database_unavailable");
            }
            call.await.status
        });
    }
    running.join_all().await
}

#[tokio::test]
async fn no_read_fails_when_connections_are_ended() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let client = app.database.client().await;
    let calls = || {
        (0..16).map(|n| match n % 3 {
            0 => app.get("/users"),
            1 => app.get(michael.path()),
            _ => app.get("/auth/status").by(&michael),
        })
    };
    let mut ended = 0;
    for _ in 0..20 {
        // Every worker has its connection, so that none is cut off while it is being made.
        assert_eq!(at_once(calls()).await, [200; 16]);
        let (statuses, killed) = tokio::join!(at_once(calls()), end_all(&client));
        assert_eq!(statuses, [200; 16]);
        ended += killed;
    }
    assert!(ended > 0, "nothing was ended");
}

#[tokio::test]
async fn there_are_never_more_than_the_settings_say() {
    let app = TestApp::with(&[("DATABASE_POOL_SIZE", "5"), ("WORKERS", "2")]).await;
    let michael = app.person("michael").await;
    let client = app.database.client().await;
    for _ in 0..5 {
        let calls = (0..40).map(|n| {
            let body = json!({"username": "michael", "email": michael.email});
            if n % 2 == 0 {
                app.get("/users")
            } else {
                app.put(michael.path()).by(&michael).json(body)
            }
        });
        let (statuses, most) = tokio::join!(at_once_and_again(calls), async {
            let mut most = 0;
            for _ in 0..20 {
                most = most.max(count(&client).await);
            }
            most
        });
        assert_eq!(statuses, [200; 40]);
        // Two each, for two workers; the fifth is nobody's.
        assert!((1..=4).contains(&most), "{most} connections");
    }
}

#[tokio::test]
async fn reading_goes_on_while_all_that_write_wait() {
    let app = TestApp::with(&[("DATABASE_POOL_SIZE", "4"), ("WORKERS", "1")]).await;
    let michael = app.person("michael").await;
    let mut client = app.database.client().await;
    let holding = client.transaction().await.unwrap();
    holding.query("SELECT FROM users FOR UPDATE", &[]).await.unwrap();

    let body = json!({"username": "michael", "email": michael.email});
    let writes: Vec<_> =
        (0..5).map(|_| app.put(michael.path()).by(&michael).json(body.clone())).collect();
    let writes = tokio::spawn(at_once(writes));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut times = Vec::new();
    for _ in 0..10 {
        let start = Instant::now();
        app.get(michael.path()).await.ok(200);
        app.get("/auth/status").by(&michael).await.ok(200);
        times.push(start.elapsed());
    }
    // Whoever waited for a write would wait each time; the machine may stand still for once.
    times.sort_unstable();
    assert!(times[8] < Duration::from_secs(1), "{times:?}");
    // Two find all three connections in use, and are told so after the limit.
    tokio::time::sleep(users::db::pool::WAIT_LIMIT).await;
    holding.commit().await.unwrap();
    assert_eq!(writes.await.unwrap(), [200, 200, 200, 503, 503]);
}

#[tokio::test]
async fn a_read_that_hangs_is_refused_in_time() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    let mut client = app.database.client().await;
    let holding = client.transaction().await.unwrap();
    holding.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE", &[]).await.unwrap();
    let start = Instant::now();
    let statuses = at_once((0..4).map(|_| app.get("/users"))).await;
    assert_eq!(statuses, [503; 4]);
    // However many wait behind each other, each is done with after the limit, or asked once more.
    let limit = 2 * users::db::reader::ANSWER_LIMIT + Duration::from_secs(1);
    assert!(start.elapsed() < limit, "{:?}", start.elapsed());
    app.get("/ping").await.ok(200);
    holding.commit().await.unwrap();
    assert_eq!(at_once((0..4).map(|_| app.get("/users"))).await, [200; 4]);
}
