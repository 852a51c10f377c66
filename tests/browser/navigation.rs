//! Pages, their addresses and titles.

use contract::paths::PAGES;
use tests::browser::{Visit, visit};

#[tokio::test]
async fn every_page_can_be_opened_by_its_address() {
    visit("pages_by_address", |visit| async move {
        let page = &visit.page;
        let mut titles = Vec::new();
        for path in PAGES {
            page.open(path).await;
            page.shows("main h1").await;
            titles.push(page.title().await);
            page.reload().await;
            page.shows("main h1").await;
        }
        // `/status` leads a guest to the sign-in page.
        titles.sort();
        titles.dedup();
        assert_eq!(titles.len(), PAGES.len() - 1, "a title of its own for each: {titles:?}");
    })
    .await;
}

#[tokio::test]
async fn links_change_the_page_without_loading_it_anew() {
    visit("links", |visit| async move {
        let page = &visit.page;
        page.open("/").await;
        page.shows("[data-testid=nav-about]").await;
        page.run("window.stillHere = true").await;
        for (link, path) in [("About", "/about"), ("Register", "/register"), ("Log in", "/login")] {
            page.follow(link).await;
            page.is_at(path).await;
        }
        page.back().await;
        page.is_at("/register").await;
        page.shows("[data-testid=register-form]").await;
        assert_eq!(page.run("return window.stillHere").await, true);
    })
    .await;
}

#[tokio::test]
async fn an_unknown_address_says_so() {
    visit("unknown_address", |visit| async move {
        let page = &visit.page;
        page.open("/nothing/of/the/kind").await;
        page.shows("[data-testid=not-found]").await;
        page.follow("Go to the users").await;
        page.is_at("/").await;
    })
    .await;
}

#[tokio::test]
async fn a_guest_is_led_to_the_sign_in_and_back() {
    visit("a_guest_is_led", |visit| async move {
        visit.register("michael").await;
        let page = &visit.page;
        page.open("/status").await;
        page.is_at("/login").await;
        page.fill("email", "michael@example.com").await;
        page.fill("password", tests::PASSWORD).await;
        page.follow("Log in").await;
        page.is_at("/status").await;
    })
    .await;
}

#[tokio::test]
async fn a_double_click_on_a_link_is_one_step() {
    visit("twice_on_a_link", |visit| async move {
        let page = &visit.page;
        page.open("/").await;
        page.shows("[data-testid=nav-register]").await;
        page.double_click("[data-testid=nav-about]").await;
        page.is_at("/about").await;
        page.shows(".prose").await;
        page.back().await;
        page.is_at("/").await;
        page.shows("#search").await;
    })
    .await;
}

#[tokio::test]
async fn the_title_follows_the_page() {
    visit("title_follows", |visit| async move {
        let page = &visit.page;
        let is_called = async |title: &str| {
            page.until(title, async || page.title().await == title).await;
        };
        page.open("/").await;
        page.shows("[data-testid=nav-about]").await;
        for (link, title) in
            [("About", "About · Users"), ("Log in", "Log in · Users"), ("Users", "Users")]
        {
            page.follow(link).await;
            is_called(title).await;
        }
        page.back().await;
        is_called("Log in · Users").await;
    })
    .await;
}

#[tokio::test]
async fn an_application_that_does_not_start_says_so() {
    visit("does_not_start", |visit| async move {
        let page = &visit.page;
        let hindrance = "if (localStorage.hindered) { \
            WebAssembly.instantiateStreaming = WebAssembly.instantiate = \
                () => Promise.reject(new Error('hindered')); \
            addEventListener('error', event => event.preventDefault()); }";
        page.before_each_page(hindrance).await;
        page.open("/about").await;
        page.shows(".prose").await;
        page.run("localStorage.hindered = 'yes'").await;
        page.reload().await;
        page.sees("Something went wrong").await;
        page.run("localStorage.clear()").await;
        page.click("#failure a").await;
        page.shows(".prose").await;
    })
    .await;
}

#[tokio::test]
async fn after_a_failure_the_page_can_be_loaded_anew() {
    visit("failure_card", |visit| async move {
        let page = &visit.page;
        page.open("/about").await;
        page.shows(".prose").await;
        page.run("window.stillHere = true").await;
        page.run("document.documentElement.setAttribute('data-failed', '')").await;
        page.hides(".prose").await;
        page.click("#failure a").await;
        page.shows(".prose").await;
        assert_eq!(page.run("return window.stillHere").await, serde_json::json!(null));
    })
    .await;
}

/// Goes through all pages by links, back, forward, and loads each anew on the way.
async fn go_through(visit: &Visit, pages: &[(&str, &str, &str)]) {
    let page = &visit.page;
    let is_on = async |(_, path, title): &(&str, &str, &str)| {
        page.is_at(path).await;
        page.until(title, async || page.text_of("h1").await == *title).await;
        page.until("one page is shown", async || page.count("h1").await == 1).await;
    };
    page.open("/nowhere").await;
    page.shows("[data-testid=not-found]").await;
    for there in pages {
        page.click(there.0).await;
        is_on(there).await;
    }
    for there in pages.iter().rev().skip(1) {
        page.back().await;
        is_on(there).await;
        page.reload().await;
        is_on(there).await;
    }
    page.back().await;
    page.shows("[data-testid=not-found]").await;
    page.reload().await;
    page.shows("[data-testid=not-found]").await;
    for there in pages {
        page.forward().await;
        is_on(there).await;
        page.reload().await;
        is_on(there).await;
    }
}

#[tokio::test]
async fn back_forward_and_reload_find_every_page() {
    visit("back_forward_reload", |visit| async move {
        let (users, about) = (
            ("[data-testid=nav-users]", "/", "Users"),
            ("[data-testid=nav-about]", "/about", "About"),
        );
        let register = ("[data-testid=nav-register]", "/register", "Register");
        let login = ("[data-testid=nav-login]", "/login", "Log in");
        go_through(&visit, &[users, about, register, login]).await;
        visit.arrive("michael").await;
        let status = ("[data-testid=nav-status]", "/status", "User status");
        go_through(&visit, &[users, status, about, status]).await;
        visit.page.sees("michael@example.com").await;
    })
    .await;
}
