//! `GET /users`.

use contract::{PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX};
use serde_json::Value;
use tests::{Answer, TestApp};

/// Adds users by SQL: a hundred registrations would hash a hundred passwords.
async fn add_users(app: &TestApp, count: u32) {
    let add = format!(
        "INSERT INTO users (username, email, created_date) SELECT 'user-' || n, \
         'user-' || n || '@example.com', '2026-01-01T00:00:00Z' FROM generate_series(1, {count}) n"
    );
    app.database.execute(&add).await;
}

fn ids(page: &Value) -> Vec<i64> {
    page.as_array().unwrap().iter().map(|user| user["id"].as_i64().unwrap()).collect()
}

/// The target of `Link: <…>; rel="next"`, as a path.
fn next(answer: &Answer) -> Option<String> {
    let link = answer.header("link")?;
    let (target, relation) = link.strip_prefix('<').unwrap().split_once('>').unwrap();
    assert_eq!(relation.trim_start_matches([';', ' ']), r#"rel="next""#);
    let path = target.find("/users").unwrap();
    Some(target[path..].to_owned())
}

#[tokio::test]
async fn nobody_there_is_an_empty_array() {
    let app = TestApp::spawn().await;
    let answer = app.get("/users").await;
    assert_eq!(answer.ok(200), serde_json::json!([]));
    assert_eq!(next(&answer), None);
}

#[tokio::test]
async fn the_links_lead_through_all_users_once_and_in_order() {
    let app = TestApp::spawn().await;
    add_users(&app, 10).await;
    for limit in [1, 3, 5, 10] {
        let mut seen = Vec::new();
        let mut path = Some(format!("/users?limit={limit}"));
        while let Some(current) = path {
            let answer = app.get(current).await;
            let page = ids(&answer.ok(200));
            assert!((1..=limit).contains(&page.len()), "an empty or overlong page");
            seen.extend(page);
            path = next(&answer);
        }
        let mut sorted = seen.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(seen, sorted);
        assert_eq!(seen.len(), 10, "limit {limit}");
    }
}

#[tokio::test]
async fn a_page_stays_right_while_users_come_and_go() {
    let app = TestApp::spawn().await;
    add_users(&app, 6).await;
    let first = app.get("/users?limit=3").await;
    let seen = ids(&first.ok(200));
    app.database.execute(&format!("DELETE FROM users WHERE id = {}", seen[0])).await;
    app.database.execute(&format!("DELETE FROM users WHERE id = {}", seen[2])).await;
    add_users_named(&app, "late").await;
    let rest =
        ids(&app.get(format!("{}&limit=100", without_limit(&next(&first).unwrap()))).await.ok(200));
    assert_eq!(rest.len(), 4, "three that were there and the late one");
    assert!(rest.iter().all(|id| !seen.contains(id)));
}

fn without_limit(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap();
    let kept: Vec<_> = query.split('&').filter(|part| !part.starts_with("limit=")).collect();
    format!("{path}?{}", kept.join("&"))
}

async fn add_users_named(app: &TestApp, name: &str) {
    let add = format!(
        "INSERT INTO users (username, email, created_date) \
         VALUES ('{name}', '{name}@example.com', '2026-01-01T00:00:00Z')"
    );
    app.database.execute(&add).await;
}

#[tokio::test]
async fn the_limit_has_a_default_and_bounds() {
    let app = TestApp::spawn().await;
    add_users(&app, u32::from(PAGE_LIMIT_MAX) + 1).await;
    let length = async |path: &str| ids(&app.get(path).await.ok(200)).len();
    assert_eq!(length("/users").await, usize::from(PAGE_LIMIT_DEFAULT));
    assert_eq!(length("/users?limit=1").await, 1);
    assert_eq!(length("/users?limit=100").await, usize::from(PAGE_LIMIT_MAX));
    for bad in ["0", "101", "-1", "1.5", "x", "", "%00", "99999999999999999999", "1&limit=2"] {
        let errors = app.get(format!("/users?limit={bad}")).await.field_errors();
        assert_eq!(errors.len(), 1, "{bad}");
        assert_eq!(errors[0].0, "limit", "{bad}");
    }
}

#[tokio::test]
async fn a_cursor_of_ones_own_making_is_refused() {
    let app = TestApp::spawn().await;
    for bad in ["x", "%00", "-1", "AAAA%2F%3D", "%F0%9F%90%98", &"A".repeat(5000)] {
        let errors = app.get(format!("/users?cursor={bad}")).await.field_errors();
        assert_eq!(errors[0].0, "cursor", "{bad}");
    }
    let both = app.get("/users?limit=0&cursor=x").await.field_errors();
    assert_eq!(both.len(), 2, "all faults at once");
}

#[tokio::test]
async fn addresses_and_admins_are_shown_to_themselves_and_to_admins() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let admin = app.admin().await;
    let seen = async |token: Option<&str>| {
        let call = app.get("/users");
        let list = token.map_or(app.get("/users"), |token| call.bearer(token)).await.ok(200);
        let shown = |user: &Value| (user["email"].is_string(), user["is_admin"].is_boolean());
        list.as_array().unwrap().iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(seen(None).await, [(false, false), (false, false)]);
    assert_eq!(seen(Some(&michael.access_token)).await, [(true, true), (false, false)]);
    assert_eq!(seen(Some(&admin.access_token)).await, [(true, true), (true, true)]);
}

#[tokio::test]
async fn a_bad_token_is_refused_even_where_none_is_needed() {
    let app = TestApp::spawn().await;
    app.get("/users").bearer("nonsense").await.problem(401, "token_invalid");
}
