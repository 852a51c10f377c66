//! When the service is slow, slow to forgive, broken or away.

use std::time::Duration;

use tests::{
    PASSWORD,
    browser::{visit, visit_with},
};

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

#[tokio::test]
async fn a_list_that_cannot_be_read_is_told_and_tried_again() {
    visit("list_fails", |visit| async move {
        visit.register("michael").await;
        visit.execute("ALTER TABLE users RENAME TO away").await;
        let page = &visit.page;
        page.open("/").await;
        page.shows("[data-testid=users-problem] [data-testid=try-again]").await;
        page.hides("[data-testid=users]").await;
        visit.execute("ALTER TABLE away RENAME TO users").await;
        page.click("[data-testid=try-again]").await;
        page.sees("michael").await;
        page.hides("[data-testid=try-again]").await;
    })
    .await;
}

#[tokio::test]
async fn a_slow_service_shows_that_it_is_at_work_and_is_asked_once() {
    visit("slow", |visit| async move {
        let page = &visit.page;
        page.open("/register").await;
        page.shows("[data-testid=register-form]").await;
        page.slow_down(Duration::from_secs(2)).await;
        page.fill("username", "michael").await;
        page.fill("email", "michael@example.com").await;
        page.fill("password", PASSWORD).await;
        page.click("[data-testid=submit]").await;
        page.sees("One moment…").await;
        page.shows("[data-testid=submit][aria-disabled=true]").await;
        page.click("[data-testid=submit]").await;
        page.sees("You have registered successfully.").await;
        page.slow_down(Duration::ZERO).await;
        assert_eq!(page.requests_to("/auth/register").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_slow_list_has_a_shape_before_it_is_there() {
    visit("slow_list", |visit| async move {
        visit.register("michael").await;
        let page = &visit.page;
        page.open("/about").await;
        page.shows(".prose").await;
        page.slow_down(Duration::from_secs(2)).await;
        page.follow("Users").await;
        page.shows("[data-testid=users][aria-busy=true] .skeleton").await;
        page.sees("michael").await;
        page.hides(".skeleton").await;
        page.shows("[data-testid=users]:not([aria-busy=true])").await;
    })
    .await;
}

#[tokio::test]
async fn a_device_without_network_is_told_and_loses_nothing() {
    visit("offline", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.open("/status").await;
        page.shows("#current_password").await;
        page.go_offline(true).await;
        page.sees("You are offline.").await;
        page.fill("current_password", PASSWORD).await;
        page.fill("new_password", "another good password").await;
        page.follow("Change the password").await;
        page.shows("[data-testid=password-form] [data-testid=form-problem]:not(:empty)").await;
        assert_eq!(page.value("new_password").await, "another good password");
        page.go_offline(false).await;
        page.sees_no("You are offline.").await;
        page.follow("Change the password").await;
        page.sees("Your password has been changed.").await;
    })
    .await;
}
