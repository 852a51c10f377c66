//! When the service is slow to forgive, or away.

use tests::browser::{visit, visit_with};

#[tokio::test]
async fn a_server_that_is_away_is_told_and_what_was_typed_stays() {
    visit("server_away", |visit| async move {
        let page = &visit.page;
        page.open("/login").await;
        page.fill("email", "michael@example.com").await;
        page.fill("password", tests::PASSWORD).await;
        visit.stop_the_api();
        page.until("the service is gone", async || visit.api.get("/ping").send().await.is_err())
            .await;
        page.follow("Log in").await;
        page.sees("The server does not answer.").await;
        assert_eq!(page.value("email").await, "michael@example.com");
        assert_eq!(page.value("password").await, tests::PASSWORD);
    })
    .await;
}

#[tokio::test]
async fn too_many_tries_are_told_with_the_time_to_wait() {
    let settings = [("THROTTLE", "on"), ("THROTTLE_ACCOUNT", "1/60")];
    visit_with("too_many_tries", &settings, |visit| async move {
        let page = &visit.page;
        page.open("/login").await;
        page.fill("email", "michael@example.com").await;
        page.fill("password", "not the password").await;
        page.follow("Log in").await;
        page.sees("Incorrect email and/or password.").await;
        page.fill("password", "not the password either").await;
        page.follow("Log in").await;
        page.sees("Too many tries. Please try again in ").await;
    })
    .await;
}
