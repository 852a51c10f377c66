//! `GET /users/{id}`.

use serde_json::{Value, json};
use tests::TestApp;

use super::NOBODY;

#[tokio::test]
async fn a_user_has_these_members() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let user = app.get(michael.path()).by(&michael).await.ok(200);
    let created = user["created_date"].as_str().unwrap();
    assert!(created.ends_with('Z'), "{created}");
    assert_eq!(created.parse(), Ok(app.clock.now()));
    let expected = json!({
        "id": michael.id,
        "username": "michael",
        "email": "michael@example.com",
        "created_date": created,
        "is_admin": false,
    });
    assert_eq!(user, expected);
}

#[tokio::test]
async fn who_asks_decides_what_is_shown() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let other = app.person("somebody").await;
    let admin = app.admin().await;
    let rows = [
        ("anonymous", None, false),
        ("another", Some(&other), false),
        ("self", Some(&michael), true),
        ("admin", Some(&admin), true),
    ];
    for (who, person, shown) in rows {
        let call = app.get(michael.path());
        let user = match person {
            Some(person) => call.by(person).await.ok(200),
            None => call.await.ok(200),
        };
        assert_eq!(user["email"] != Value::Null, shown, "{who}");
        assert_eq!(user["is_admin"] != Value::Null, shown, "{who}");
        assert!(user.as_object().unwrap().contains_key("email"), "{who}: null, not absent");
    }
}

#[tokio::test]
async fn an_unknown_user_is_named_in_the_answer() {
    let app = TestApp::spawn().await;
    let huge = "9".repeat(30);
    for id in ["999", "0", "-1", "blah", &NOBODY.to_string(), &huge] {
        let problem = app.get(format!("/users/{id}")).await.problem(404, "user_not_found");
        assert_eq!(problem["detail"], format!("User {id} does not exist"));
    }
}
