//! When the service is slow, slow to forgive, broken or away.

use std::time::Duration;

use serde_json::json;
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

/// Clicks the button that tries again, unless the page has just done so by itself.
const TRY_AGAIN: &str = "document.querySelector('[data-testid=try-again]')?.click()";

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
        page.run(TRY_AGAIN).await;
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
        page.hold().await;
        page.fill("username", "michael").await;
        page.fill("email", "michael@example.com").await;
        page.fill("password", PASSWORD).await;
        page.click("[data-testid=submit]").await;
        page.sees("One moment…").await;
        page.shows("[data-testid=submit][aria-disabled=true]").await;
        page.click("[data-testid=submit]").await;
        page.let_go().await;
        page.sees("You have registered successfully.").await;
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
        page.hold_path("/users").await;
        page.follow("Users").await;
        page.shows("[data-testid=users][aria-busy=true] .skeleton").await;
        page.let_go().await;
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

/// Notes by the page's clock when there is a network again.
const NOTE_THE_NETWORK: &str =
    "window.addEventListener('online', () => { localStorage.online = performance.now(); })";

#[tokio::test]
async fn a_list_is_read_again_by_itself_and_at_once_when_the_network_is_back() {
    visit("list_comes_back", |visit| async move {
        visit.register("michael").await;
        let page = &visit.page;
        page.before_each_page(NOTE_THE_NETWORK).await;
        page.answer("/users", "send => { localStorage.asked = performance.now(); return send(); }")
            .await;
        page.open("/about").await;
        page.shows(".prose").await;
        page.go_offline(true).await;
        page.follow("Users").await;
        page.shows("[data-testid=try-again]").await;
        // The next try would come after twelve seconds.
        tokio::time::sleep(Duration::from_secs(10)).await;
        page.go_offline(false).await;
        page.sees("michael").await;
        page.hides("[data-testid=try-again]").await;
        let after = page.run("return localStorage.asked - localStorage.online").await;
        let after = after.as_f64().unwrap();
        assert!((0.0..1000.0).contains(&after), "{after} ms after the network was back");
    })
    .await;
}

/// Notes when something is asked, and says that the service is not available.
const NOTE_AND_REFUSE: &str = "() => {
    const asked = JSON.parse(localStorage.asked ?? '[]');
    localStorage.asked = JSON.stringify([...asked, performance.now()]);
    return Promise.resolve(new Response('', { status: 503 }));
}";

/// How often the person is impatient.
const CLICKS: usize = 4;

#[tokio::test]
async fn impatience_makes_no_more_tries_than_patience() {
    visit("one_try_at_a_time", |visit| async move {
        let page = &visit.page;
        page.answer("/users", NOTE_AND_REFUSE).await;
        page.open("/").await;
        let asked = async || -> Vec<f64> {
            let asked = page.run("return JSON.parse(localStorage.asked ?? '[]')").await;
            serde_json::from_value(asked).unwrap()
        };
        page.until("a try", async || !asked().await.is_empty()).await;
        for _ in 0..CLICKS {
            let tries = asked().await.len();
            page.click("[data-testid=try-again][aria-disabled=false]").await;
            page.until("another try", async || asked().await.len() > tries).await;
        }
        let last = asked().await.len() - 1;
        page.until("two more", async || asked().await.len() > last + 2).await;
        // A click makes one try, and the page begins to wait anew: three seconds, and then six.
        let pauses: Vec<f64> = asked().await.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let short = pauses.iter().filter(|pause| **pause < 2_900.0).count();
        assert!(short <= CLICKS, "{pauses:?}");
        assert!(pauses[last] >= 2_900.0 && pauses[last + 1] >= 5_900.0, "{pauses:?}");
    })
    .await;
}

#[tokio::test]
async fn a_failed_search_is_tried_again_as_that_search() {
    visit("search_fails", |visit| async move {
        let add = "INSERT INTO users (username, email, created_date) SELECT name || '-' || n, \
                   name || n || '@example.com', now() \
                   FROM unnest('{ada,bob}'::text[]) name, generate_series(1, 60) n";
        visit.execute(add).await;
        let page = &visit.page;
        page.open("/").await;
        page.sees("ada-1").await;
        visit.execute("ALTER TABLE users RENAME TO away").await;
        page.fill("search", "bob-6").await;
        page.shows("[data-testid=try-again]").await;
        page.sees_no("ada-1").await;
        page.hides("[data-testid=load-more]").await;
        visit.execute("ALTER TABLE away RENAME TO users").await;
        page.run(TRY_AGAIN).await;
        page.sees("2 users").await;
        page.sees("bob-60").await;
        page.sees_no("ada-").await;
    })
    .await;
}

#[tokio::test]
async fn the_sessions_are_read_again_by_themselves() {
    visit("sessions_come_back", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.answer(
            "/auth/sessions",
            "send => localStorage.open ? send() : Promise.resolve(new Response('', { status: 503 }))",
        )
        .await;
        page.follow("User status").await;
        page.shows("[data-testid=sessions-problem]:not(:empty)").await;
        page.run("localStorage.open = 'yes'").await;
        page.sees("this one").await;
        page.hides("[data-testid=sessions-problem]").await;
        page.hides("[data-testid=try-again]").await;
    })
    .await;
}

#[tokio::test]
async fn who_closes_a_dialog_too_early_still_hears_what_came_of_it() {
    visit("closed_too_early", |visit| async move {
        for name in ["boss", "michael", "mary"] {
            visit.register(name).await;
        }
        visit.promote("boss").await;
        visit.sign_in("boss").await;
        let page = &visit.page;
        page.shows("[aria-label='Remove michael']").await;

        page.hold().await;
        page.click("[aria-label='Remove michael']").await;
        page.click("[data-testid=confirm-remove]").await;
        page.click("[data-testid=cancel]").await;
        page.hides("[data-testid=dialog]").await;
        page.let_go().await;
        page.sees("User removed.").await;
        page.hides("[aria-label='Remove michael']").await;

        page.hold().await;
        page.click("[aria-label='Edit mary']").await;
        page.fill("username", "mary-jane").await;
        page.click("[data-testid=user-form] [data-testid=submit]").await;
        page.click("[data-testid=cancel]").await;
        page.hides("[data-testid=dialog]").await;
        page.let_go().await;
        page.sees("User updated.").await;
        page.shows("[aria-label='Edit mary-jane']").await;

        page.hold().await;
        page.click("[data-testid=add-user]").await;
        page.fill("username", "adam").await;
        page.fill("email", "adam@example.com").await;
        page.fill("password", PASSWORD).await;
        page.click("[data-testid=user-form] [data-testid=submit]").await;
        page.click("[data-testid=cancel]").await;
        page.hides("[data-testid=dialog]").await;
        page.let_go().await;
        page.sees("User added.").await;
        page.shows("[aria-label='Remove adam']").await;

        // Also where the page has gone, too.
        page.hold().await;
        page.click("[aria-label='Remove adam']").await;
        page.click("[data-testid=confirm-remove]").await;
        page.click("[data-testid=cancel]").await;
        page.follow("About").await;
        page.shows(".prose").await;
        page.let_go().await;
        page.sees("User removed.").await;
        page.back().await;
        page.shows("[aria-label='Edit mary-jane']").await;
        page.hides("[aria-label='Remove adam']").await;
    })
    .await;
}

#[tokio::test]
async fn who_leaves_the_account_too_early_still_hears_what_came_of_it() {
    visit("left_too_early", |visit| async move {
        visit.register("michael").await;
        for agent in ["curl/8.9.1", "Wget/1.24"] {
            let body = json!({"email": "michael@example.com", "password": PASSWORD});
            let login = visit.api.post("/auth/login").header("user-agent", agent);
            login.json(body).await.ok(200);
        }
        visit.sign_in("michael").await;
        let page = &visit.page;
        page.follow("User status").await;
        page.shows("[aria-label='Log out curl']").await;
        page.hold().await;
        page.click("[aria-label='Log out curl']").await;
        page.follow("About").await;
        page.shows(".prose").await;
        page.let_go().await;
        page.sees("That session has ended.").await;

        page.follow("User status").await;
        page.hold().await;
        page.click("[data-testid=end-others]").await;
        page.follow("About").await;
        page.shows(".prose").await;
        page.let_go().await;
        page.sees("You are logged out everywhere else.").await;

        page.follow("User status").await;
        page.hold().await;
        page.fill("current_password", PASSWORD).await;
        page.fill("new_password", "another good password").await;
        page.follow("Change the password").await;
        page.follow("About").await;
        page.shows(".prose").await;
        page.let_go().await;
        page.sees("Your password has been changed.").await;
        page.shows(".prose").await;
    })
    .await;
}

#[tokio::test]
async fn who_goes_elsewhere_while_registering_stays_there() {
    visit("registers_elsewhere", |visit| async move {
        let page = &visit.page;
        page.open("/register").await;
        page.shows("[data-testid=register-form]").await;
        page.hold().await;
        page.fill("username", "michael").await;
        page.fill("email", "michael@example.com").await;
        page.fill("password", PASSWORD).await;
        page.click("[data-testid=submit]").await;
        page.follow("About").await;
        page.shows(".prose").await;
        page.let_go().await;
        page.sees("You have registered successfully.").await;
        page.is_at("/about").await;
        page.shows(".prose").await;
    })
    .await;
}

/// Until it is told otherwise, answers with a fault.
const FAULT: &str = "send => localStorage.open ? send()
    : Promise.resolve(new Response('', { status: 502 }))";

#[tokio::test]
async fn a_dialog_outlives_a_fault_with_what_was_typed() {
    visit("dialog_outlives_fault", |visit| async move {
        visit.register("boss").await;
        visit.promote("boss").await;
        visit.sign_in("boss").await;
        let page = &visit.page;
        page.shows("[aria-label='Edit boss']").await;
        page.answer("/users", FAULT).await;
        page.hold().await;
        page.click("[data-testid=add-user]").await;
        page.fill("username", "mary").await;
        page.fill("email", "mary@example.com").await;
        page.fill("password", PASSWORD).await;
        page.click("[data-testid=user-form] [data-testid=submit]").await;
        page.sees("One moment…").await;
        page.let_go().await;
        page.sees("The service is not available now.").await;
        assert_eq!(page.value("username").await, "mary");
        assert_eq!(page.value("password").await, PASSWORD);
        page.run("localStorage.open = 'yes'").await;
        page.click("[data-testid=user-form] [data-testid=submit]").await;
        page.sees("User added.").await;

        let id = page
            .run(
                "return document.querySelector(\"[aria-label='Edit mary']\")\
                           .closest('tr').dataset.testid.replace('user-', '')",
            )
            .await;
        page.run("delete localStorage.open").await;
        page.answer(&format!("/users/{}", id.as_str().unwrap()), FAULT).await;
        page.click("[aria-label='Edit mary']").await;
        page.fill("username", "mary-jane").await;
        page.click("[data-testid=user-form] [data-testid=submit]").await;
        page.sees("The service is not available now.").await;
        assert_eq!(page.value("username").await, "mary-jane");
        page.run("localStorage.open = 'yes'").await;
        page.click("[data-testid=user-form] [data-testid=submit]").await;
        page.sees("User updated.").await;

        page.run("delete localStorage.open").await;
        page.click("[aria-label='Remove mary-jane']").await;
        page.click("[data-testid=confirm-remove]").await;
        page.sees("The service is not available now.").await;
        page.shows("[data-testid=confirm-remove][aria-disabled=false]").await;
        page.run("localStorage.open = 'yes'").await;
        page.click("[data-testid=confirm-remove]").await;
        page.sees("User removed.").await;
        page.hides("[aria-label='Remove mary-jane']").await;
    })
    .await;
}

#[tokio::test]
async fn who_cannot_log_out_is_told_so() {
    visit("cannot_log_out", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.answer("/auth/logout", FAULT).await;
        page.click("[data-testid=nav-logout]").await;
        page.sees("You are still logged in. The service is not available now.").await;
        page.run("localStorage.open = 'yes'").await;
        page.click("[data-testid=nav-logout]").await;
        page.sees("You have logged out.").await;
    })
    .await;
}
