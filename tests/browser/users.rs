//! The list of users, and what a person may do to them.

use tests::{PASSWORD, browser::visit};

#[tokio::test]
async fn everybody_sees_the_users_and_no_addresses() {
    visit("everybody_sees_the_users", |visit| async move {
        visit.register("michael").await;
        let page = &visit.page;
        page.open("/").await;
        page.sees("michael").await;
        page.sees_no("michael@example.com").await;
        page.hides("[data-testid=edit], [data-testid=remove], [data-testid=add-user]").await;
    })
    .await;
}

#[tokio::test]
async fn a_long_list_is_read_on_by_a_button() {
    visit("a_long_list", |visit| async move {
        visit
            .execute(
                "INSERT INTO users (username, email, created_date) SELECT 'user-' || n, \
                 'user-' || n || '@example.com', now() FROM generate_series(1, 120) n",
            )
            .await;
        let page = &visit.page;
        page.open("/").await;
        let rows = "[data-testid=users] tbody tr";
        for expected in [50, 100] {
            page.until("a page of users", async || page.count(rows).await == expected).await;
            page.click("[data-testid=load-more]").await;
        }
        page.until("all users", async || page.count(rows).await == 120).await;
        page.hides("[data-testid=load-more]").await;
    })
    .await;
}

#[tokio::test]
async fn an_admin_adds_edits_and_removes_a_user() {
    visit("an_admin_adds_edits_and_removes", |visit| async move {
        visit.register("boss").await;
        visit.promote("boss").await;
        visit.sign_in("boss").await;
        let page = &visit.page;
        page.open("/").await;
        page.click("[data-testid=add-user]").await;
        page.fill("username", "michael").await;
        page.fill("email", "michael@example.com").await;
        page.fill("password", PASSWORD).await;
        page.click("[data-testid=user-form] [data-testid=submit]").await;
        page.sees("User added.").await;
        page.sees("michael@example.com").await;

        page.click("[aria-label='Edit michael']").await;
        assert_eq!(page.value("email").await, "michael@example.com");
        page.fill("username", "mike").await;
        page.click("[data-testid=user-form] [data-testid=submit]").await;
        page.sees("User updated.").await;
        page.shows("[aria-label='Edit mike']").await;

        page.click("[aria-label='Remove mike']").await;
        page.click("[data-testid=cancel]").await;
        page.hides("[data-testid=dialog]").await;
        page.shows("[aria-label='Remove mike']").await;
        page.click("[aria-label='Remove mike']").await;
        page.click("[data-testid=confirm-remove]").await;
        page.sees("User removed.").await;
        page.hides("[aria-label='Remove mike']").await;
    })
    .await;
}

#[tokio::test]
async fn a_person_may_edit_only_the_own_row() {
    visit("only_the_own_row", |visit| async move {
        visit.register("somebody").await;
        visit.arrive("michael").await;
        let page = &visit.page;
        page.shows("[aria-label='Edit michael']").await;
        assert_eq!(page.count("[data-testid=edit]").await, 1);
        page.hides("[data-testid=add-user]").await;
        page.click("[aria-label='Edit michael']").await;
        page.fill("username", "somebody").await;
        page.click("[data-testid=user-form] [data-testid=submit]").await;
        page.sees("Sorry. That username already exists.").await;
        page.shows("#username[aria-invalid=true]").await;
        page.fill("username", "mike").await;
        page.click("[data-testid=user-form] [data-testid=submit]").await;
        page.sees("User updated.").await;
        page.reload().await;
        page.shows("[aria-label='Edit mike']").await;
    })
    .await;
}

#[tokio::test]
async fn the_last_admin_cannot_be_removed() {
    visit("the_last_admin", |visit| async move {
        visit.register("boss").await;
        visit.promote("boss").await;
        visit.sign_in("boss").await;
        let page = &visit.page;
        page.click("[aria-label='Remove boss']").await;
        page.click("[data-testid=confirm-remove]").await;
        page.shows("[data-testid=form-problem]:not(:empty)").await;
        page.click("[data-testid=cancel]").await;
        page.shows("[aria-label='Remove boss']").await;
    })
    .await;
}

#[tokio::test]
async fn only_admins_have_a_column_for_addresses() {
    visit("column_for_addresses", |visit| async move {
        visit.register("boss").await;
        visit.promote("boss").await;
        visit.arrive("michael").await;
        let page = &visit.page;
        page.shows("[aria-label='Edit michael']").await;
        let columns = async || page.count("[data-testid=users] th[scope=col]").await;
        assert_eq!(columns().await, 3);
        page.hides("[data-testid=users] .email").await;
        page.click("[data-testid=nav-logout]").await;
        page.shows("[data-testid=nav-login]").await;
        visit.sign_in("boss").await;
        page.until("a fourth column", async || columns().await == 4).await;
        page.sees("michael@example.com").await;
    })
    .await;
}

#[tokio::test]
async fn dates_are_written_as_the_reader_does() {
    visit("dates", |visit| async move {
        visit.register("michael").await;
        visit.execute("UPDATE users SET created_date = '2026-03-04T12:00:00Z'").await;
        let page = &visit.page;
        for (language, date) in [("en-GB", "4 Mar 2026"), ("de", "04.03.2026")] {
            page.speak(language).await;
            page.open("/").await;
            page.until(date, async || page.text_of("[data-testid=users] time").await == date).await;
        }
    })
    .await;
}
