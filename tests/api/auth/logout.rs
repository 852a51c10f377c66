//! `POST /auth/logout`.

use tests::TestApp;

#[tokio::test]
async fn ends_this_session_at_once_and_no_other() {
    let app = TestApp::spawn().await;
    let laptop = app.person("michael").await;
    let phone = laptop.signed_in_anew(&app).await;
    assert_eq!(app.post("/auth/logout").by(&laptop).await.ok(204), serde_json::Value::Null);
    app.get("/auth/status").by(&laptop).await.problem(401, "token_invalid");
    app.post("/auth/logout").by(&laptop).await.problem(401, "token_invalid");
    app.refresh(&laptop.refresh_token).await.problem(401, "token_invalid");
    app.get("/auth/status").by(&phone).await.ok(200);
    app.refresh(&phone.refresh_token).await.ok(200);
}

#[tokio::test]
async fn everywhere_means_every_session_of_that_person() {
    let app = TestApp::spawn().await;
    for all in ["all", "all=true", "all=1"] {
        let laptop = app.person(&format!("michael-{}", all.len())).await;
        let phone = laptop.signed_in_anew(&app).await;
        let other = app.person(&format!("other-{}", all.len())).await;
        app.post(format!("/auth/logout?{all}")).by(&laptop).await.ok(204);
        for session in [&laptop, &phone] {
            app.get("/auth/status").by(session).await.problem(401, "token_invalid");
            app.refresh(&session.refresh_token).await.problem(401, "token_invalid");
        }
        app.get("/auth/status").by(&other).await.ok(200);
    }
}

#[tokio::test]
async fn not_everywhere_means_here() {
    let app = TestApp::spawn().await;
    let laptop = app.person("michael").await;
    let phone = laptop.signed_in_anew(&app).await;
    app.post("/auth/logout?all=false").by(&laptop).await.ok(204);
    app.get("/auth/status").by(&phone).await.ok(200);
    app.post("/auth/logout").await.problem(401, "token_required");
}

#[tokio::test]
async fn other_tasks_know_at_once() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let (second, _server) = app.second_task(&[]).await;
    second.get("/auth/status").by(&michael).await.ok(200);
    app.post("/auth/logout").by(&michael).await.ok(204);
    second.get("/auth/status").by(&michael).await.problem(401, "token_invalid");
}
