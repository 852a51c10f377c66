//! `PUT /users/{id}`.

use serde_json::json;
use tests::TestApp;

use super::NOBODY;

#[tokio::test]
async fn a_person_changes_the_own_name_and_address() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let body = json!({"username": "mike", "email": "mike@example.com"});
    let updated = app.put(michael.path()).by(&michael).json(body).await.ok(200);
    assert_eq!(updated["message"], format!("{} was updated!", michael.id));
    let user = app.get(michael.path()).by(&michael).await.ok(200);
    assert_eq!(updated["user"], user);
    assert_eq!((&user["username"], &user["email"]), (&json!("mike"), &json!("mike@example.com")));
}

#[tokio::test]
async fn the_own_address_is_no_duplicate_and_its_case_may_change() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    for email in ["michael@example.com", "Michael@Example.com"] {
        let body = json!({"username": "Michael", "email": email});
        let updated = app.put(michael.path()).by(&michael).json(body).await.ok(200);
        assert_eq!(updated["user"]["email"], email);
    }
}

#[tokio::test]
async fn somebody_elses_address_or_name_is_a_conflict() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    app.register("another").await;
    let rows = [
        ("michael", "Another@example.com", "email_taken"),
        ("ANOTHER", "michael@example.com", "username_taken"),
    ];
    for (username, email, code) in rows {
        let body = json!({"username": username, "email": email});
        app.put(michael.path()).by(&michael).json(body).await.problem(409, code);
    }
}

#[tokio::test]
async fn only_that_user_and_admins_may() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let other = app.person("somebody").await;
    let admin = app.admin().await;
    let call = || {
        let body = json!({"username": "michael", "email": "michael@example.com"});
        app.put(michael.path()).json(body)
    };
    call().await.problem(401, "token_required");
    call().by(&other).await.problem(403, "forbidden");
    call().by(&admin).await.ok(200);
}

#[tokio::test]
async fn the_input_is_checked_before_the_user_is_looked_up() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    let nobody = contract::paths::user(NOBODY);
    app.put(&nobody).body("x").await.problem(401, "token_required");
    let errors = app.put(&nobody).by(&admin).json(json!({"email": "x"})).await.field_errors();
    assert_eq!(errors.len(), 2);
    let body = json!({"username": "michael", "email": "michael@example.com"});
    let problem = app.put(&nobody).by(&admin).json(body).await.problem(404, "user_not_found");
    assert_eq!(problem["detail"], format!("User {NOBODY} does not exist"));
}

#[tokio::test]
async fn nobody_makes_an_admin_of_himself() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let body = json!({"username": "michael", "email": "michael@example.com", "is_admin": true});
    let errors = app.put(michael.path()).by(&michael).json(body).await.field_errors();
    assert_eq!(errors, [("is_admin".to_owned(), "unknown_field".to_owned())]);
}
