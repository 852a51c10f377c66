//! People who click twice, on every button that there is. The second click must do nothing: no
//! second request, no dialog on a dialog, no error about what the first has done.

use serde_json::json;
use tests::{PASSWORD, browser::visit};

#[tokio::test]
async fn a_guest_may_click_twice() {
    visit("twice_as_guest", |visit| async move {
        let page = &visit.page;
        page.open("/register").await;
        page.double_click("[data-testid=submit]").await;
        page.shows("#username[aria-invalid=true]").await;
        assert_eq!(page.requests_to("/auth/register").await, 0);
        page.fill("username", "michael").await;
        page.fill("email", "michael@example.com").await;
        page.fill("password", PASSWORD).await;
        page.double_click("[data-testid=submit]").await;
        page.sees("You have registered successfully.").await;
        assert_eq!(page.requests_to("/auth/register").await, 1);
        page.fill("password", PASSWORD).await;
        page.double_click("[data-testid=submit]").await;
        page.sees("You have logged in successfully.").await;
        assert_eq!(page.requests_to("/auth/login").await, 1);
        page.double_click("[data-testid=dismiss]").await;
        page.hides("[data-testid=message]").await;
        page.double_click("[data-testid=nav-status]").await;
        page.sees("michael@example.com").await;
        page.double_click("[data-testid=nav-logout]").await;
        page.sees("You have logged out.").await;
        assert_eq!(page.requests_to("/auth/logout").await, 1);
    })
    .await;
}

#[tokio::test]
async fn an_admin_may_click_twice() {
    visit("twice_as_admin", |visit| async move {
        visit.register("boss").await;
        visit.promote("boss").await;
        let add = "INSERT INTO users (username, email, created_date) SELECT 'user-' || n, \
                   'user-' || n || '@example.com', now() FROM generate_series(1, 60) n";
        visit.execute(add).await;
        visit.sign_in("boss").await;
        let page = &visit.page;
        page.sees("The first 50 users").await;
        let asked = page.requests_to("/users").await;
        page.double_click("[data-testid=load-more]").await;
        page.sees("61 users").await;
        assert_eq!(page.requests_to("/users").await, asked + 1);

        page.double_click("[data-testid=add-user]").await;
        page.shows("[data-testid=dialog]").await;
        page.double_click("[data-testid=cancel]").await;
        page.hides("[data-testid=dialog]").await;
        page.double_click("[data-testid=add-user]").await;
        page.fill("username", "mary").await;
        page.fill("email", "mary@example.com").await;
        page.fill("password", PASSWORD).await;
        page.double_click("[data-testid=user-form] [data-testid=submit]").await;
        page.sees("User added.").await;
        page.sees("62 users").await;
        page.hides("[data-testid=dialog]").await;

        page.double_click("[aria-label='Edit mary']").await;
        page.fill("username", "mary-jane").await;
        page.double_click("[data-testid=user-form] [data-testid=submit]").await;
        page.sees("User updated.").await;
        page.hides("[data-testid=dialog]").await;

        // Opened again at once, before the browser has told that it is closed.
        page.click("[aria-label='Remove mary-jane']").await;
        page.shows("[data-testid=confirm-remove]").await;
        let again = "document.querySelector('[data-testid=cancel]').click(); \
                     document.querySelector(\"[aria-label='Remove mary-jane']\").click()";
        page.run(again).await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        page.shows("[data-testid=confirm-remove]").await;
        page.click("[data-testid=cancel]").await;
        page.hides("[data-testid=dialog]").await;

        page.double_click("[aria-label='Remove mary-jane']").await;
        page.double_click("[data-testid=confirm-remove]").await;
        page.sees("User removed.").await;
        page.sees("61 users").await;
        page.hides("[data-testid=dialog]").await;
    })
    .await;
}

#[tokio::test]
async fn the_owner_of_an_account_may_click_twice() {
    visit("twice_on_status", |visit| async move {
        visit.register("michael").await;
        for agent in ["curl/8.9.1", "Wget/1.24"] {
            let body = json!({"email": "michael@example.com", "password": PASSWORD});
            let login = visit.api.post("/auth/login").header("user-agent", agent);
            login.json(body).await.ok(200);
        }
        visit.sign_in("michael").await;
        let page = &visit.page;
        page.open("/status").await;
        page.shows("[aria-label='Log out curl']").await;
        // The second click comes when the session has ended and the list still shows it.
        page.hold_path("/auth/sessions").await;
        let row = "return document.querySelector(\"[aria-label='Log out curl']\")\
                   .closest('li').dataset.testid";
        let path = page.run(row).await.as_str().unwrap().replace("session-", "/auth/sessions/");
        page.click("[aria-label='Log out curl']").await;
        page.sees("That session has ended.").await;
        page.click("[aria-label='Log out curl']").await;
        page.let_go().await;
        page.until("two are left", async || page.count("[data-testid=sessions] li").await == 2)
            .await;
        assert_eq!(page.requests_to(&path).await, 1);
        page.double_click("[data-testid=end-others]").await;
        page.until("one is left", async || page.count("[data-testid=sessions] li").await == 1)
            .await;
        page.fill("current_password", PASSWORD).await;
        page.fill("new_password", "another good password").await;
        page.double_click("[data-testid=password-form] [data-testid=submit]").await;
        page.sees("Your password has been changed.").await;
        assert_eq!(page.requests_to("/auth/password").await, 1);
        page.double_click("[data-testid=logout-everywhere]").await;
        page.sees("You have logged out.").await;
        assert_eq!(page.requests_to("/auth/logout").await, 1);

        page.open("/login").await;
        page.fill("email", "michael@example.com").await;
        page.fill("password", "another good password").await;
        page.follow("Log in").await;
        page.follow("User status").await;
        page.double_click("[data-testid=sessions] [data-testid=end-session]").await;
        page.sees("You have logged out.").await;
        assert_eq!(page.requests_to("/auth/logout").await, 1);
    })
    .await;
}

/// Answers a second late, and not at all before it is told to.
const LATE_OR_NOT: &str = "async send => {
    localStorage.asked = 1 + Number(localStorage.asked ?? 0);
    await new Promise(done => setTimeout(done, 1000));
    return localStorage.open ? send() : new Response('', { status: 404 });
}";

#[tokio::test]
async fn what_failed_is_tried_again_once_for_two_clicks() {
    visit("twice_try_again", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        let asked = async || page.run("return Number(localStorage.asked ?? 0)").await;
        for (path, link, there) in [
            ("/users", "Users", "[aria-label='Edit michael']"),
            ("/auth/sessions", "User status", "[data-testid=sessions] li"),
        ] {
            page.follow("About").await;
            page.answer(path, LATE_OR_NOT).await;
            page.run("localStorage.clear()").await;
            page.follow(link).await;
            page.shows("[data-testid=try-again][aria-disabled=false]").await;
            assert_eq!(asked().await, 1, "{path}");
            page.run("localStorage.open = 'yes'").await;
            page.double_click("[data-testid=try-again]").await;
            page.shows(there).await;
            page.hides("[data-testid=try-again]").await;
            assert_eq!(asked().await, 2, "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_password_is_as_it_was_after_two_clicks() {
    visit("twice_reveal", |visit| async move {
        let page = &visit.page;
        page.open("/login").await;
        page.fill("password", PASSWORD).await;
        page.double_click("[aria-controls=password]").await;
        page.shows("#password[type=password]").await;
        assert_eq!(page.value("password").await, PASSWORD);
        page.is_at("/login").await;
    })
    .await;
}

#[tokio::test]
async fn the_own_account_is_edited_and_removed_once_for_two_clicks() {
    visit("twice_on_profile", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.follow("User status").await;
        page.shows("[data-testid=sessions] li").await;
        for button in ["edit", "remove"] {
            page.double_click(&format!("[data-testid=profile] ~ .actions [data-testid={button}]"))
                .await;
            page.shows("[data-testid=dialog]").await;
            assert_eq!(page.count("[data-testid=dialog]").await, 1);
            page.double_click("[data-testid=cancel]").await;
            page.hides("[data-testid=dialog]").await;
        }
        let users = visit.api.get("/users").await.ok(200);
        page.answer(&format!("/users/{}", users[0]["id"]), LATE_OR_NOT).await;
        page.run("localStorage.open = 'yes'").await;
        page.click("[data-testid=remove]").await;
        page.double_click("[data-testid=confirm-remove]").await;
        page.sees("Your account was removed.").await;
        assert_eq!(page.run("return localStorage.asked").await, "1");
    })
    .await;
}

#[tokio::test]
async fn the_second_click_is_not_for_what_has_come_in_the_way_of_the_first() {
    visit("slow_double_click", |visit| async move {
        visit.register("michael").await;
        for agent in ["curl/8.9.1", "Wget/1.24", "HTTPie/3.2"] {
            let body = json!({"email": "michael@example.com", "password": PASSWORD});
            let login = visit.api.post("/auth/login").header("user-agent", agent);
            login.json(body).await.ok(200);
        }
        visit.sign_in("michael").await;
        let page = &visit.page;
        page.follow("User status").await;
        let sessions = async || page.count("[data-testid=sessions] li").await;
        page.until("four sessions", async || sessions().await == 4).await;
        // Between the two clicks the row goes, and the next one takes its place.
        let place = page.first_click("[aria-label='Log out HTTPie']").await;
        page.sees("That session has ended.").await;
        page.until("the row has gone", async || sessions().await == 3).await;
        page.second_click(place).await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        assert_eq!(sessions().await, 3);

        // The button to log in comes where the one to log out was.
        let place = page.first_click("[data-testid=nav-logout]").await;
        page.shows("[data-testid=nav-login]").await;
        page.second_click(place).await;
        page.sees("You have logged out.").await;
    })
    .await;
}
