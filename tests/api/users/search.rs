//! `GET /users?q=`: the users whose names begin so.

use serde_json::Value;
use tests::TestApp;

async fn add(app: &TestApp, names: &[&str]) {
    for name in names {
        let add = format!(
            "INSERT INTO users (username, email, created_date) \
             VALUES ('{name}', '{name}@example.com', '2026-01-01T00:00:00Z')"
        );
        app.database.execute(&add).await;
    }
}

fn names(page: &Value) -> Vec<String> {
    let name = |user: &Value| user["username"].as_str().unwrap().to_owned();
    page.as_array().unwrap().iter().map(name).collect()
}

#[tokio::test]
async fn names_that_begin_so_in_their_order_ignoring_case() {
    let app = TestApp::spawn().await;
    add(&app, &["michelle", "Michael", "mi_x", "miz", "mjx", "amichael", "m.i", "MI-5"]).await;
    let found = async |q: &str| names(&app.get(format!("/users?q={q}")).await.ok(200));
    assert_eq!(found("mi").await, ["MI-5", "mi_x", "Michael", "michelle", "miz"]);
    assert_eq!(found("MICH").await, ["Michael", "michelle"]);
    // No wild cards: `_` and `.` stand for themselves.
    assert_eq!(found("mi_").await, ["mi_x"]);
    assert_eq!(found("m.").await, ["m.i"]);
    assert_eq!(found("nobody").await, [""; 0]);
    assert_eq!(found(&"m".repeat(64)).await, [""; 0]);
}

#[tokio::test]
async fn the_links_keep_to_the_search() {
    let app = TestApp::spawn().await;
    let all: Vec<_> = (10..20).map(|n| format!("Mi{n}")).collect();
    add(&app, &all.iter().map(String::as_str).rev().collect::<Vec<_>>()).await;
    add(&app, &["other", "mjx"]).await;
    let mut seen = Vec::new();
    let mut path = "/users?q=mI&limit=3".to_owned();
    for _ in 0..4 {
        let answer = app.get(path.as_str()).await;
        seen.extend(names(&answer.ok(200)));
        let Some(link) = answer.header("link") else { break };
        let target = link.trim_start_matches('<').split('>').next().unwrap();
        path = target[target.find("/users").unwrap()..].to_owned();
    }
    assert_eq!(seen, all);
}

#[tokio::test]
async fn what_no_name_begins_with_is_refused() {
    let app = TestApp::spawn().await;
    for bad in ["", "%20", "a%20b", "%25", "%C3%A4", "%00", &"a".repeat(65), "a&q=b"] {
        let errors = app.get(format!("/users?q={bad}")).await.field_errors();
        assert_eq!(errors.len(), 1, "{bad}");
        assert_eq!(errors[0].0, "q", "{bad}");
    }
    let all = app.get("/users?q=%25&limit=0&cursor=x").await.field_errors();
    assert_eq!(all.len(), 3, "all faults at once");
}

#[tokio::test]
async fn a_cursor_of_the_whole_list_is_none_of_a_search() {
    let app = TestApp::spawn().await;
    add(&app, &["mia", "mib"]).await;
    let answer = app.get("/users?limit=1").await;
    let link = answer.header("link").unwrap();
    let cursor = link.split("cursor=").nth(1).unwrap().split('>').next().unwrap();
    let errors = app.get(format!("/users?q=mi&cursor={cursor}")).await.field_errors();
    assert_eq!(errors[0].0, "cursor");
}

#[tokio::test]
async fn a_search_reads_the_index_and_no_more() {
    let app = TestApp::spawn().await;
    app.database
        .execute(
            "INSERT INTO users (username, email, created_date) SELECT 'user-' || n, \
             'user-' || n || '@example.com', now() FROM generate_series(1, 20000) n; ANALYZE users",
        )
        .await;
    let client = app.database.client().await;
    let plan = client
        .query(
            "EXPLAIN SELECT id FROM users WHERE lower(username) >= 'user-1' \
             AND lower(username) > 'user-15' AND lower(username) < 'user-1{' \
             ORDER BY lower(username) LIMIT 51",
            &[],
        )
        .await
        .unwrap();
    let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
    let plan = plan.join("\n");
    assert!(plan.contains("Index Scan using users_username_key"), "{plan}");
    assert!(!plan.contains("Sort"), "{plan}");
}
