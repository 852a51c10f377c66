//! The search on the list of users, and what of it survives.

use tests::browser::visit;

const ROWS: &str = "[data-testid=users] tbody tr:not(.skeleton)";

async fn add_users(visit: &tests::browser::Visit) {
    let add = "INSERT INTO users (username, email, created_date) SELECT name || '-' || n, \
               name || n || '@example.com', now() \
               FROM unnest('{ada,bob}'::text[]) name, generate_series(1, 120) n";
    visit.execute(add).await;
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
        page.until("the same place", async || {
            page.run("return Math.round(window.scrollY)").await == 2500
        })
        .await;
    })
    .await;
}
