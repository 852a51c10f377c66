//! The whole application by the keyboard alone.

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
