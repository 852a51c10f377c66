//! The whole application by the keyboard alone.

use serde_json::json;
use tests::{PASSWORD, browser::visit};

const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const TAB: &str = "\u{e004}";

#[tokio::test]
async fn a_person_registers_signs_in_and_out_without_a_mouse() {
    visit("keyboard_account", |visit| async move {
        let page = &visit.page;
        page.open("/").await;
        page.shows("[data-testid=nav-register]").await;
        page.tab_to("[data-testid=nav-register]").await;
        page.keys(ENTER).await;
        page.is_at("/register").await;
        page.until("the heading has the focus", async || page.has_focus("h1").await).await;
        page.tab_to("#username").await;
        page.keys("michael").await;
        page.tab_to("#email").await;
        page.keys("michael@example.com").await;
        page.tab_to("#password").await;
        page.keys("too short").await;
        page.keys(ENTER).await;
        page.until("the error has the focus", async || {
            page.has_focus("#password[aria-invalid=true]").await
        })
        .await;
        page.keys(" for a password").await;
        page.keys(ENTER).await;
        page.is_at("/login").await;
        page.sees("You have registered successfully.").await;
        assert_eq!(page.value("email").await, "michael@example.com");
        page.tab_to("#password").await;
        page.keys("too short for a password").await;
        page.keys(ENTER).await;
        page.is_at("/").await;
        page.shows("[data-testid=nav-logout]").await;
        page.tab_to("[data-testid=nav-logout]").await;
        page.keys(ENTER).await;
        page.shows("[data-testid=nav-login]").await;
    })
    .await;
}

#[tokio::test]
async fn an_admin_adds_and_removes_a_user_without_a_mouse() {
    visit("keyboard_users", |visit| async move {
        visit.register("boss").await;
        visit.promote("boss").await;
        visit.sign_in("boss").await;
        let page = &visit.page;
        page.shows("[data-testid=add-user]").await;
        page.tab_to("[data-testid=add-user]").await;
        page.keys(ENTER).await;
        page.shows("[data-testid=dialog]").await;
        page.keys(ESCAPE).await;
        page.hides("[data-testid=dialog]").await;
        page.until("the focus returns", async || page.has_focus("[data-testid=add-user]").await)
            .await;
        page.keys(ENTER).await;
        page.shows("[data-testid=dialog]").await;
        for (field, text) in
            [("username", "mary"), ("email", "m@example.com"), ("password", PASSWORD)]
        {
            if !page.has_focus(&format!("#{field}")).await {
                page.tab_to(&format!("#{field}")).await;
            }
            page.keys(text).await;
        }
        page.keys(ENTER).await;
        page.sees("User added.").await;
        page.shows("[aria-label='Remove mary']").await;
        page.tab_to("[aria-label='Remove mary']").await;
        page.keys(ENTER).await;
        page.shows("[data-testid=confirm-remove]").await;
        // A hasty Enter removes nobody.
        page.keys(ENTER).await;
        page.hides("[data-testid=dialog]").await;
        page.keys(ENTER).await;
        page.shows("[data-testid=confirm-remove]").await;
        page.tab_to("[data-testid=confirm-remove]").await;
        page.keys(ENTER).await;
        page.sees("User removed.").await;
        page.hides("[aria-label='Remove mary']").await;
    })
    .await;
}

#[tokio::test]
async fn a_person_manages_the_own_account_without_a_mouse() {
    const NEW_PASSWORD: &str = "another good password";
    visit("keyboard_status", |visit| async move {
        visit.register("michael").await;
        let body = json!({"email": "michael@example.com", "password": PASSWORD});
        let elsewhere = visit.api.post("/auth/login").header("user-agent", "curl/8.9.1");
        elsewhere.json(body).await.ok(200);
        visit.sign_in("michael").await;
        let page = &visit.page;
        page.shows("[data-testid=nav-status]").await;
        page.tab_to("[data-testid=nav-status]").await;
        page.keys(ENTER).await;
        page.is_at("/status").await;
        page.shows("[data-testid=sessions] li").await;

        page.tab_to("[data-testid=edit]").await;
        page.keys(ENTER).await;
        page.shows("[data-testid=dialog]").await;
        if !page.has_focus("#username").await {
            page.tab_to("#username").await;
        }
        page.keys("-angelo").await;
        page.keys(ENTER).await;
        page.sees("User updated.").await;
        page.sees("michael-angelo").await;

        page.tab_to("[aria-label='Log out curl']").await;
        page.keys(ENTER).await;
        page.sees("That session has ended.").await;

        page.tab_to("#current_password").await;
        page.keys(PASSWORD).await;
        page.tab_to("#new_password").await;
        page.keys(NEW_PASSWORD).await;
        page.keys(ENTER).await;
        page.sees("Your password has been changed.").await;

        page.tab_to("[data-testid=remove]").await;
        page.keys(ENTER).await;
        page.shows("[data-testid=confirm-remove]").await;
        page.tab_to("[data-testid=confirm-remove]").await;
        page.keys(ENTER).await;
        page.shows("[data-testid=nav-login]").await;
        let body = json!({"email": "michael@example.com", "password": NEW_PASSWORD});
        visit.api.post("/auth/login").json(body).await.problem(401, "incorrect_credentials");
    })
    .await;
}

#[tokio::test]
async fn a_person_finds_users_without_a_mouse() {
    visit("keyboard_search", |visit| async move {
        let add = "INSERT INTO users (username, email, created_date) SELECT 'user-' || n, \
                   'user-' || n || '@example.com', now() FROM generate_series(1, 60) n";
        visit.execute(add).await;
        let page = &visit.page;
        page.open("/").await;
        page.shows("[data-testid=load-more]").await;
        page.tab_to("[data-testid=load-more]").await;
        page.keys(ENTER).await;
        page.sees("60 users").await;
        // The button is gone: the focus stays near, and not at the page's start.
        page.until("the count has the focus", async || {
            page.has_focus("[data-testid=users-count]").await
        })
        .await;
        page.tab_to("#search").await;
        page.keys("user-60").await;
        page.sees("1 user").await;
        assert!(page.has_focus("#search").await);
    })
    .await;
}

#[tokio::test]
async fn a_dialog_keeps_the_focus_inside() {
    visit("keyboard_dialog", |visit| async move {
        visit.register("boss").await;
        visit.promote("boss").await;
        visit.sign_in("boss").await;
        let page = &visit.page;
        page.click("[data-testid=add-user]").await;
        page.shows("[data-testid=dialog]").await;
        for _ in 0..20 {
            page.keys(TAB).await;
            // The browser's own controls, for which the body stands, are no dead end.
            assert!(page.has_focus("[data-testid=dialog] *, body").await);
        }
    })
    .await;
}

#[tokio::test]
async fn the_first_tab_stop_skips_the_navigation() {
    visit("keyboard_skip", |visit| async move {
        let page = &visit.page;
        page.open("/about").await;
        page.shows(".prose").await;
        page.keys(TAB).await;
        assert!(page.has_focus(".skip").await);
        page.keys(ENTER).await;
        page.until("the main part has the focus", async || page.has_focus("#main").await).await;
        page.keys(TAB).await;
        assert!(page.has_focus("#main a").await);
    })
    .await;
}

#[tokio::test]
async fn an_admin_edits_a_user_without_a_mouse() {
    visit("keyboard_edit", |visit| async move {
        visit.register("boss").await;
        visit.register("mary").await;
        visit.promote("boss").await;
        visit.sign_in("boss").await;
        let page = &visit.page;
        page.shows("[aria-label='Edit mary']").await;
        page.tab_to("[aria-label='Edit mary']").await;
        page.keys(ENTER).await;
        page.shows("[data-testid=dialog]").await;
        if !page.has_focus("#username").await {
            page.tab_to("#username").await;
        }
        page.keys("-jane").await;
        page.keys(ENTER).await;
        page.sees("User updated.").await;
        page.until("the focus returns", async || {
            page.has_focus("[aria-label='Edit mary-jane']").await
        })
        .await;
        page.tab_to("[data-testid=dismiss]").await;
        page.keys(ENTER).await;
        page.hides("[data-testid=message]").await;
        page.until("the focus stays near", async || page.has_focus("#main").await).await;
    })
    .await;
}

#[tokio::test]
async fn a_person_ends_all_other_sessions_without_a_mouse() {
    visit("keyboard_others", |visit| async move {
        visit.register("michael").await;
        let body = json!({"email": "michael@example.com", "password": PASSWORD});
        visit.api.post("/auth/login").json(body).await.ok(200);
        visit.sign_in("michael").await;
        let page = &visit.page;
        page.follow("User status").await;
        page.shows("[data-testid=end-others]").await;
        page.tab_to("[data-testid=end-others]").await;
        page.keys(ENTER).await;
        page.sees("You are logged out everywhere else.").await;
        page.hides("[data-testid=end-others]").await;
        // The button is gone: the focus stays near, and not at the page's start.
        page.until("the list has the focus", async || {
            page.has_focus("[data-testid=sessions]").await
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_person_tries_again_without_a_mouse() {
    const FAIL: &str = "send => localStorage.open ? send() \
                        : Promise.resolve(new Response('', { status: 404 }))";
    visit("keyboard_try_again", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        for (path, link, heir) in [
            ("/users", "Users", "[data-testid=users-count]"),
            ("/auth/sessions", "User status", "[data-testid=sessions]"),
        ] {
            page.follow("About").await;
            page.answer(path, FAIL).await;
            page.run("delete localStorage.open").await;
            page.follow(link).await;
            page.shows("[data-testid=try-again]").await;
            page.tab_to("[data-testid=try-again]").await;
            page.run("localStorage.open = 'yes'").await;
            page.keys(ENTER).await;
            page.hides("[data-testid=try-again]").await;
            page.until(heir, async || page.has_focus(heir).await).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_guest_is_led_to_the_sign_in_and_back_without_a_mouse() {
    visit("keyboard_led", |visit| async move {
        visit.register("michael").await;
        let page = &visit.page;
        page.open("/nowhere").await;
        page.shows("[data-testid=not-found]").await;
        page.tab_to("[data-testid=not-found] a").await;
        page.keys(ENTER).await;
        page.is_at("/").await;
        page.open("/status").await;
        page.is_at("/login").await;
        page.tab_to("#email").await;
        page.keys("michael@example.com").await;
        page.tab_to("#password").await;
        page.keys(PASSWORD).await;
        page.tab_to("[aria-controls=password]").await;
        for kind in ["text", "password"] {
            page.keys(ENTER).await;
            page.shows(&format!("#password[type={kind}]")).await;
            assert!(page.has_focus("[aria-controls=password]").await);
        }
        page.tab_to("[data-testid=submit]").await;
        page.keys(" ").await;
        page.is_at("/status").await;
        page.until("the heading has the focus", async || page.has_focus("h1").await).await;

        // A session that ends leads there and back, too, and to what was being typed.
        page.tab_to("[data-testid=edit]").await;
        page.keys(ENTER).await;
        page.shows("[data-testid=dialog]").await;
        page.until("the field has the focus", async || page.has_focus("#username").await).await;
        page.keys("-angelo").await;
        visit.execute("DELETE FROM sessions").await;
        page.keys(ENTER).await;
        page.is_at("/login").await;
        page.until("the heading has the focus", async || page.has_focus("h1").await).await;
        page.tab_to("#email").await;
        page.keys("michael@example.com").await;
        page.tab_to("#password").await;
        page.keys(PASSWORD).await;
        page.keys(ENTER).await;
        page.is_at("/status").await;
        page.until("the field has the focus", async || page.has_focus("#username").await).await;
        assert_eq!(page.value("username").await, "michael-angelo");
        page.keys(ENTER).await;
        page.sees("User updated.").await;
        page.until("the focus is on the page", async || page.has_focus("main *").await).await;
    })
    .await;
}

#[tokio::test]
async fn a_person_logs_out_by_every_way_without_a_mouse() {
    visit("keyboard_out", |visit| async move {
        visit.register("michael").await;
        let page = &visit.page;
        for button in
            ["[data-testid=sessions] [data-testid=end-session]", "[data-testid=logout-everywhere]"]
        {
            visit.sign_in("michael").await;
            page.follow("User status").await;
            page.shows("[data-testid=sessions] li").await;
            page.tab_to(button).await;
            page.keys(ENTER).await;
            page.sees("You have logged out.").await;
            page.is_at("/login").await;
            page.until("the heading has the focus", async || page.has_focus("h1").await).await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_page_is_loaded_anew_after_a_failure_without_a_mouse() {
    visit("keyboard_failure", |visit| async move {
        let page = &visit.page;
        page.open("/about").await;
        page.shows(".prose").await;
        page.run("document.documentElement.setAttribute('data-failed', '')").await;
        page.tab_to("#failure a").await;
        page.keys(ENTER).await;
        page.shows(".prose").await;
        page.hides("#failure").await;
    })
    .await;
}
