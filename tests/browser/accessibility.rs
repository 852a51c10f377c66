//! axe-core's verdict on every page and dialog, in both themes.

use std::time::Duration;

use tests::{
    PASSWORD,
    browser::{Visit, visit},
};

const THEMES: [&str; 2] = ["light", "dark"];

/// Has axe look at what `css` shows, in both themes.
async fn examine(visit: &Visit, what: &str, css: &str) {
    let page = &visit.page;
    page.shows(css).await;
    for theme in THEMES {
        page.prefer(theme).await;
        page.is_accessible(&format!("{what}, {theme}")).await;
    }
}

#[tokio::test]
async fn the_pages_of_a_guest_are_accessible() {
    visit("accessible_to_guests", |visit| async move {
        let page = &visit.page;
        page.open("/").await;
        examine(&visit, "/ without users", "[data-testid=nobody]").await;
        visit.register("michael").await;
        visit.register("mary-jane.watson").await;
        page.reload().await;
        examine(&visit, "/", "[data-testid=users] time").await;
        page.open("/about").await;
        examine(&visit, "/about", ".prose").await;
        page.open("/nowhere").await;
        examine(&visit, "404", "[data-testid=not-found]").await;
        page.open("/login").await;
        examine(&visit, "/login", "[data-testid=login-form]").await;
        page.click("[data-testid=submit]").await;
        examine(&visit, "/login with errors", "#password[aria-invalid=true]").await;
        page.open("/register").await;
        page.fill("password", "greater").await;
        examine(&visit, "/register", "[data-testid=strength]").await;
        page.fill("username", "michael").await;
        page.fill("email", "another@example.com").await;
        page.fill("password", PASSWORD).await;
        page.click("[data-testid=submit]").await;
        examine(&visit, "/register refused", "#username[aria-invalid=true]").await;
        page.open("/?q=nobody").await;
        examine(&visit, "a search in vain", "[data-testid=nobody]").await;
        page.open("/about").await;
        page.shows(".prose").await;
        page.slow_down(Duration::from_secs(60)).await;
        page.follow("Users").await;
        examine(&visit, "/ while it loads", ".skeleton").await;
    })
    .await;
}

#[tokio::test]
async fn the_pages_and_dialogs_of_an_admin_are_accessible() {
    visit("accessible_to_admins", |visit| async move {
        visit.register("boss").await;
        visit.register("michael").await;
        visit.promote("boss").await;
        visit.sign_in("boss").await;
        let page = &visit.page;
        examine(&visit, "/ as an admin", "[aria-label='Edit michael']").await;
        for (button, what) in [
            ("[data-testid=add-user]", "adding"),
            ("[aria-label='Edit michael']", "editing"),
            ("[aria-label='Remove michael']", "removing"),
        ] {
            page.click(button).await;
            examine(&visit, what, "[data-testid=dialog]").await;
            page.click("[data-testid=cancel]").await;
            page.hides("[data-testid=dialog]").await;
        }
        page.click("[data-testid=add-user]").await;
        page.click("[data-testid=user-form] [data-testid=submit]").await;
        examine(&visit, "adding, with errors", "#username[aria-invalid=true]").await;
        page.click("[data-testid=cancel]").await;
        page.click("[aria-label='Remove boss']").await;
        page.click("[data-testid=confirm-remove]").await;
        examine(&visit, "removing, refused", "[data-testid=form-problem]:not(:empty)").await;
        page.click("[data-testid=cancel]").await;
        page.hides("[data-testid=dialog]").await;
        page.resize(360, 740).await;
        examine(&visit, "/ on a phone", "[aria-label='Edit michael']").await;
        page.click("[data-testid=add-user]").await;
        examine(&visit, "adding on a phone", "[data-testid=dialog]").await;
        page.open("/status").await;
        examine(&visit, "/status", "[data-testid=end-session]").await;
    })
    .await;
}

#[tokio::test]
async fn the_pages_and_dialogs_of_a_member_are_accessible() {
    visit("accessible_to_members", |visit| async move {
        visit.register("mary").await;
        visit.arrive("michael").await;
        let page = &visit.page;
        // It stays for as long as the focus is in it.
        page.run("document.querySelector('[data-testid=dismiss]')?.focus()").await;
        examine(&visit, "a message", "[data-testid=message]").await;
        page.click("[data-testid=dismiss]").await;
        examine(&visit, "/ as a member", "[aria-label='Edit michael']").await;
        page.open("/status").await;
        page.shows("[data-testid=end-session]").await;
        for (button, what) in [("edit", "editing oneself"), ("remove", "removing oneself")] {
            page.click(&format!("[data-testid=profile] ~ .actions [data-testid={button}]")).await;
            examine(&visit, what, "[data-testid=dialog]").await;
            page.click("[data-testid=cancel]").await;
            page.hides("[data-testid=dialog]").await;
        }
        page.resize(360, 740).await;
        examine(&visit, "/status on a phone", "[data-testid=end-session]").await;
    })
    .await;
}

#[tokio::test]
async fn what_goes_wrong_is_told_accessibly() {
    visit("accessible_faults", |visit| async move {
        let page = &visit.page;
        visit.execute("ALTER TABLE users RENAME TO away").await;
        page.open("/").await;
        examine(&visit, "a list that failed", "[data-testid=try-again]").await;
        visit.execute("ALTER TABLE away RENAME TO users").await;
        page.go_offline(true).await;
        examine(&visit, "offline", "[data-testid=offline]:not(:empty)").await;
        page.go_offline(false).await;
        page.run("document.documentElement.setAttribute('data-failed', '')").await;
        examine(&visit, "a failure", "#failure").await;
    })
    .await;
}
