//! `DELETE /users/{id}`.

use tests::{PASSWORD, TestApp};

use super::NOBODY;

#[tokio::test]
async fn a_person_leaves_and_every_access_ends() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let phone = michael.signed_in_anew(&app).await;
    let removed = app.delete(michael.path()).by(&michael).await.ok(200);
    assert_eq!(removed["message"], "michael@example.com was removed!");
    app.get(michael.path()).await.problem(404, "user_not_found");
    for session in [&michael, &phone] {
        app.get("/auth/status").by(session).await.problem(401, "token_invalid");
        app.refresh(&session.refresh_token).await.problem(401, "token_invalid");
    }
    app.sign_in(&michael.email, PASSWORD).await.problem(401, "incorrect_credentials");
    app.register("michael").await;
}

#[tokio::test]
async fn only_that_user_and_admins_may() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let other = app.person("somebody").await;
    let admin = app.admin().await;
    app.delete(michael.path()).await.problem(401, "token_required");
    app.delete(michael.path()).by(&other).await.problem(403, "forbidden");
    app.delete(michael.path()).by(&admin).await.ok(200);
    app.delete(michael.path()).by(&admin).await.problem(404, "user_not_found");
    app.delete(contract::paths::user(NOBODY)).by(&admin).await.problem(404, "user_not_found");
}

#[tokio::test]
async fn the_last_admin_stays() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    app.delete(admin.path()).by(&admin).await.problem(409, "last_admin");
    let second = app.admin_named("another-admin").await;
    app.delete(admin.path()).by(&admin).await.ok(200);
    app.delete(second.path()).by(&second).await.problem(409, "last_admin");
}
