//! The search on the list of users, and what of it survives.

use tests::browser::{Page, visit};

const ROWS: &str = "[data-testid=users] tbody tr:not(.skeleton)";

async fn add_users(visit: &tests::browser::Visit) {
    let add = "INSERT INTO users (username, email, created_date) SELECT name || '-' || n, \
               name || n || '@example.com', now() \
               FROM unnest('{ada,bob}'::text[]) name, generate_series(1, 120) n";
    visit.execute(add).await;
}

/// Waits until the page is so far down, in CSS pixels.
async fn scrolled_to(page: &Page, to: i64) {
    page.until(&format!("scrolled to {to}"), async || {
        page.run("return Math.round(window.scrollY)").await == to
    })
    .await;
}

#[tokio::test]
async fn typing_narrows_the_list_and_the_address_keeps_it() {
    visit("search", |visit| async move {
        add_users(&visit).await;
        let page = &visit.page;
        page.open("/").await;
        page.until("a page", async || page.count(ROWS).await == 50).await;
        page.fill("search", "BOB-12").await;
        page.until("bob-12 and bob-120", async || page.count(ROWS).await == 2).await;
        page.sees("2 users").await;
        page.reload().await;
        page.until("the same after a reload", async || page.count(ROWS).await == 2).await;
        assert_eq!(page.value("search").await, "BOB-12");
        page.fill("search", "nobody").await;
        page.sees("No name begins with “nobody”.").await;
        // What no name can begin with is no fault of the person's.
        page.fill("search", "a b").await;
        page.sees("No name begins with “a b”.").await;
        page.fill("search", "bob").await;
        page.until("the first bobs", async || page.count(ROWS).await == 50).await;
        page.click("[data-testid=load-more]").await;
        page.until("more bobs", async || page.count(ROWS).await == 100).await;
        page.sees_no("ada-").await;
    })
    .await;
}

#[tokio::test]
async fn going_back_finds_the_list_as_it_was_left() {
    visit("back_to_the_list", |visit| async move {
        add_users(&visit).await;
        let page = &visit.page;
        page.open("/").await;
        page.click("[data-testid=load-more]").await;
        page.until("two pages", async || page.count(ROWS).await == 100).await;
        page.run("window.scrollTo(0, 2500)").await;
        // Not by the driver, which would scroll to the link first.
        page.run("document.querySelector('[data-testid=nav-about]').click()").await;
        page.is_at("/about").await;
        assert_eq!(page.run("return window.scrollY").await, 0);
        page.back().await;
        page.until("as many users", async || page.count(ROWS).await == 100).await;
        scrolled_to(page, 2500).await;
    })
    .await;
}

#[tokio::test]
async fn box_address_and_list_agree() {
    visit("search_agrees", |visit| async move {
        add_users(&visit).await;
        visit.arrive("michael").await;
        let page = &visit.page;
        page.fill("search", "bob-12").await;
        page.sees("2 users").await;
        page.click("[data-testid=nav-logout]").await;
        page.shows("[data-testid=nav-login]").await;
        page.sees("2 users").await;
        assert_eq!(page.value("search").await, "bob-12");

        page.reload().await;
        page.sees("2 users").await;
        page.follow("Users").await;
        page.sees("The first 50 users").await;
        assert_eq!(page.value("search").await, "");
        page.back().await;
        page.sees("2 users").await;
        assert_eq!(page.value("search").await, "bob-12");
        page.forward().await;
        page.sees("The first 50 users").await;
        assert_eq!(page.value("search").await, "");
    })
    .await;
}

#[tokio::test]
async fn back_and_forward_find_each_list_where_it_was_left() {
    visit("back_and_forward", |visit| async move {
        add_users(&visit).await;
        let page = &visit.page;
        // Not by the driver, which would scroll to what it clicks first.
        let about = "document.querySelector('[data-testid=nav-about]').click()";
        let scrolled = async |to| scrolled_to(page, to).await;
        page.resize(600, 300).await;
        page.open("/?q=bob").await;
        page.click("[data-testid=load-more]").await;
        page.until("two pages", async || page.count(ROWS).await == 100).await;
        page.run("window.scrollTo(0, 3000)").await;
        page.run(about).await;
        page.shows(".prose").await;
        scrolled(0).await;
        page.run("window.scrollTo(0, 100)").await;
        page.back().await;
        page.until("as many users", async || page.count(ROWS).await == 100).await;
        scrolled(3000).await;
        page.forward().await;
        page.shows(".prose").await;
        scrolled(100).await;
        page.back().await;
        scrolled(3000).await;

        // A page that is loaded anew begins with one part of the list.
        page.run("window.scrollTo(0, 1500)").await;
        page.until("the history knows", async || page.run("return history.state[1]").await == 1500)
            .await;
        page.reload().await;
        page.until("one page", async || page.count(ROWS).await == 50).await;
        scrolled(1500).await;
        page.run(about).await;
        page.shows(".prose").await;
        page.reload().await;
        page.shows(".prose").await;
        page.back().await;
        page.until("one page", async || page.count(ROWS).await == 50).await;
        scrolled(1500).await;
    })
    .await;
}

#[tokio::test]
async fn a_session_that_ends_leads_back_to_the_search() {
    visit("back_to_the_search", |visit| async move {
        add_users(&visit).await;
        visit.arrive("michael").await;
        let page = &visit.page;
        page.fill("search", "bob-12").await;
        page.sees("2 users").await;
        visit.execute("DELETE FROM sessions").await;
        // At once: what begins so, too, would lead away before the rest is typed.
        let type_it = "const box = document.getElementById('search'); box.value = 'bob-11'; \
                       box.dispatchEvent(new Event('input', { bubbles: true }))";
        page.run(type_it).await;
        page.is_at("/login").await;
        page.sees("Your session has ended. Please log in again.").await;
        page.fill("email", "michael@example.com").await;
        page.fill("password", tests::PASSWORD).await;
        page.follow("Log in").await;
        page.is_at("/").await;
        page.sees("11 users").await;
        assert_eq!(page.value("search").await, "bob-11");
    })
    .await;
}

#[tokio::test]
async fn a_search_without_a_hit_is_told_and_leaves_nothing_behind() {
    visit("search_in_vain", |visit| async move {
        add_users(&visit).await;
        let page = &visit.page;
        page.resize(360, 740).await;
        page.open("/").await;
        page.sees("ada-1").await;
        page.fill("search", "nobody").await;
        page.shows("[role=status] [data-testid=nobody]").await;
        let display = "return getComputedStyle(document.querySelector('table')).display";
        assert_eq!(page.run(display).await, "none");
    })
    .await;
}

#[tokio::test]
async fn who_does_not_match_the_search_is_not_shown() {
    visit("changed_and_searched", |visit| async move {
        visit.register("boss").await;
        visit.promote("boss").await;
        for name in ["bob-1", "bob-2"] {
            visit.register(name).await;
        }
        visit.sign_in("boss").await;
        let page = &visit.page;
        page.fill("search", "BOB").await;
        page.sees("2 users").await;
        for (name, count) in [("zoe", "2 users"), ("Bob-3", "3 users")] {
            page.click("[data-testid=add-user]").await;
            page.fill("username", name).await;
            page.fill("email", &format!("{name}@example.com")).await;
            page.fill("password", tests::PASSWORD).await;
            page.click("[data-testid=user-form] [data-testid=submit]").await;
            page.sees("User added.").await;
            page.sees(count).await;
            page.click("[data-testid=dismiss]").await;
        }
        page.click("[aria-label='Edit bob-1']").await;
        page.fill("username", "rob").await;
        page.click("[data-testid=user-form] [data-testid=submit]").await;
        page.sees("User updated.").await;
        page.sees("2 users").await;
        page.hides("[aria-label='Edit rob']").await;
        page.until("the count has the focus", async || {
            page.has_focus("[data-testid=users-count]").await
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn two_lists_are_each_found_where_they_were_left() {
    visit("two_lists", |visit| async move {
        add_users(&visit).await;
        let page = &visit.page;
        let scrolled = async |to| scrolled_to(page, to).await;
        page.resize(600, 300).await;
        page.open("/?q=bob").await;
        page.sees("bob-1").await;
        page.run("window.scrollTo(0, 900)").await;
        page.run("document.querySelector('[data-testid=nav-users]').click()").await;
        page.sees("ada-1").await;
        scrolled(0).await;
        page.run("window.scrollTo(0, 700)").await;
        page.back().await;
        page.sees_no("ada-1").await;
        scrolled(900).await;
        page.forward().await;
        page.sees("ada-1").await;
        scrolled(700).await;
    })
    .await;
}
