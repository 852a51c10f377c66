//! What Prometheus reads: names, types, and that nobody outside makes new series.

use std::collections::BTreeSet;

use serde_json::json;
use tests::{Database, PASSWORD, program::Serving};

/// What is told, and of which kind. A name that changes breaks somebody's alarms.
const TOLD: [(&str, &str); 11] = [
    ("users_database_connections", "gauge"),
    ("users_database_connections_idle", "gauge"),
    ("users_database_connections_max", "gauge"),
    ("users_database_reading", "gauge"),
    ("users_database_waiting", "gauge"),
    ("users_http_request_duration_seconds", "histogram"),
    ("users_http_requests_total", "counter"),
    ("users_password_hashes_running", "gauge"),
    ("users_password_hashes_shed_total", "counter"),
    ("users_password_hashes_waiting", "gauge"),
    ("users_throttled_total", "counter"),
];

async fn read(serving: &Serving) -> String {
    let answer = reqwest::get(serving.metrics()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    answer.text().await.unwrap()
}

/// The value of one series.
#[track_caller]
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let value = line.and_then(|value| value.parse().ok());
    assert!(value.is_some(), "no {series} in\n{text}");
    value.unwrap()
}

#[tokio::test]
async fn what_is_told_and_how_much_of_it() {
    let database = Database::migrated().await;
    let serving = Serving::start(&[
        ("DATABASE_URL", &database.url()),
        ("METRICS_PORT", "0"),
        ("DATABASE_POOL_SIZE", "7"),
        ("WORKERS", "2"),
        ("THROTTLE", "on"),
        ("THROTTLE_ACCOUNT", "2/600"),
    ]);
    let client = serving.client();
    for _ in 0..3 {
        client.get("/ping").await.ok(200);
    }
    client.get("/users").await.ok(200);
    client.get("/users/7").await.problem(404, "user_not_found");
    client.get("/users/8").await.problem(404, "user_not_found");
    let login = json!({"email": "nobody@example.com", "password": PASSWORD});
    for _ in 0..2 {
        client.post("/auth/login").json(login.clone()).await.problem(401, "incorrect_credentials");
    }
    client.post("/auth/login").json(login).await.problem(429, "too_many_requests");

    let text = read(&serving).await;
    let types: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let types: BTreeSet<_> = types.into_iter().filter_map(|line| line.split_once(' ')).collect();
    assert_eq!(types, BTreeSet::from(TOLD), "{text}");
    for (name, _) in TOLD {
        assert!(text.contains(&format!("# HELP {name} ")), "{name} is not explained");
    }

    let requests = |method: &str, path: &str, status: u16| {
        let labels = format!("method=\"{method}\",path=\"{path}\",status=\"{status}\"");
        value(&text, &format!("users_http_requests_total{{{labels}}}"))
    };
    assert_eq!(requests("GET", "/ping", 200), 3.0);
    assert_eq!(requests("GET", "/users/{id}", 404), 2.0);
    assert_eq!(requests("POST", "/auth/login", 401), 2.0);
    assert_eq!(requests("POST", "/auth/login", 429), 1.0);
    let login = "method=\"POST\",path=\"/auth/login\"";
    let count = value(&text, &format!("users_http_request_duration_seconds_count{{{login}}}"));
    assert_eq!(count, 3.0);
    let all = format!("users_http_request_duration_seconds_bucket{{{login},le=\"+Inf\"}}");
    assert_eq!(value(&text, &all), 3.0);
    assert_eq!(value(&text, "users_throttled_total{kind=\"account\"}"), 1.0);
    assert_eq!(value(&text, "users_database_connections_max"), 6.0);
    let open = value(&text, "users_database_connections");
    assert!((1.0..=6.0).contains(&open), "{open} connections");
    assert_eq!(value(&text, "users_database_connections_idle"), open);
    for idle in ["database_reading", "database_waiting", "password_hashes_waiting"] {
        assert_eq!(value(&text, &format!("users_{idle}")), 0.0);
    }
}

#[tokio::test]
async fn nobody_outside_makes_new_series() {
    let database = Database::migrated().await;
    let serving = Serving::start(&[("DATABASE_URL", &database.url()), ("METRICS_PORT", "0")]);
    let ask = async |method: &str, path: &str| {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("http://{}{path}", serving.address());
        reqwest::Client::new().request(method, url).send().await.unwrap().status().as_u16()
    };
    for n in 0..20 {
        assert_eq!(ask("GET", &format!("/nothing-{n}")).await, 404);
        assert_eq!(ask("GET", &format!("/users/{n}/nothing")).await, 404);
        assert_eq!(ask("GET", &format!("/users/nothing-{n}")).await, 404);
        assert_eq!(ask("GET", &format!("/swaggerui/nothing-{n}")).await, 404);
        assert_eq!(ask(&format!("BREW{n}"), "/ping").await, 405);
    }
    let text = read(&serving).await;
    let series: Vec<_> =
        text.lines().filter(|line| line.starts_with("users_http_requests_total{")).collect();
    assert_eq!(series.len(), 4, "{series:#?}");
    assert_eq!(
        value(&text, "users_http_requests_total{method=\"GET\",path=\"other\",status=\"404\"}"),
        40.0
    );
    assert_eq!(
        value(&text, "users_http_requests_total{method=\"other\",path=\"/ping\",status=\"405\"}"),
        20.0
    );
}

#[tokio::test]
async fn they_are_off_unless_wanted_and_never_where_the_api_is() {
    let serving = Serving::start(&[("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")]);
    serving.client().get("/metrics").await.problem(404, "not_found");
    serving.terminate();
    let (code, lines) = serving.finish();
    assert_eq!(code, Some(0));
    assert!(!lines.iter().any(|line| line.contains("/metrics\"") && line.contains("metrics on")));

    let serving = Serving::start(&[
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing"),
        ("METRICS_PORT", "0"),
    ]);
    serving.client().get("/metrics").await.problem(404, "not_found");
    // Without a database there is still something to tell.
    assert_eq!(value(&read(&serving).await, "users_database_connections"), 0.0);
}
