//! What has come of it: it is told, read out, and leaves the person somewhere.

use serde_json::json;
use tests::{PASSWORD, browser::visit};

const ENTER: &str = "\u{e007}";

/// Away until it is told otherwise.
const AWAY: &str = "async send => localStorage.open ? send() : new Response('', { status: 503 })";

#[tokio::test]
async fn a_refusal_is_told_also_where_its_form_has_gone() {
    visit("late_refusals", |visit| async move {
        for name in ["boss", "mary", "michael"] {
            visit.register(name).await;
        }
        visit.promote("boss").await;
        visit.sign_in("boss").await;
        let page = &visit.page;
        page.click("[aria-label='Edit mary']").await;
        page.fill("username", "michael").await;
        page.hold().await;
        page.click("[data-testid=user-form] [data-testid=submit]").await;
        page.sees("One moment…").await;
        page.click("[data-testid=cancel]").await;
        page.hides("[data-testid=dialog]").await;
        page.let_go().await;
        page.sees("That username already exists.").await;

        page.follow("User status").await;
        page.click("[data-testid=remove]").await;
        page.hold().await;
        page.click("[data-testid=confirm-remove]").await;
        page.click("[data-testid=cancel]").await;
        page.hides("[data-testid=dialog]").await;
        page.let_go().await;
        page.sees("administrator").await;
        page.click("[data-testid=dismiss]").await;

        page.fill("current_password", "not the password").await;
        page.fill("new_password", "another good password").await;
        page.hold().await;
        page.follow("Change the password").await;
        page.sees("One moment…").await;
        page.follow("About").await;
        page.shows(".prose").await;
        page.let_go().await;
        page.shows("[data-testid=message].failure").await;
    })
    .await;
}

#[tokio::test]
async fn a_session_that_has_ended_ends_no_others_and_says_so() {
    visit("ended_everywhere", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.open("/status").await;
        page.shows("[data-testid=logout-everywhere]").await;
        visit.execute("DELETE FROM sessions").await;
        page.click("[data-testid=logout-everywhere]").await;
        page.sees("Your session has ended. Please log in again.").await;
        page.sees_no("You have logged out.").await;
        page.is_at("/login").await;
    })
    .await;
}

#[tokio::test]
async fn who_is_signed_in_while_the_api_goes_away_is_let_in_when_it_is_back() {
    visit("half_a_sign_in", |visit| async move {
        visit.register("michael").await;
        let page = &visit.page;
        page.open("/login").await;
        page.shows("[data-testid=login-form]").await;
        page.answer("/auth/status", AWAY).await;
        page.fill("email", "michael@example.com").await;
        page.fill("password", PASSWORD).await;
        page.click("[data-testid=submit]").await;
        let away = "The service is not available now. You will be logged back in";
        page.sees(away).await;
        page.run("localStorage.open = 'yes'").await;
        page.shows("[data-testid=nav-logout]").await;
        page.is_at("/").await;
        page.sees_no(away).await;
        assert_eq!(page.requests_to("/auth/login").await, 1);
    })
    .await;
}

#[tokio::test]
async fn going_back_is_read_out() {
    visit("back_is_read", |visit| async move {
        let page = &visit.page;
        page.open("/").await;
        page.follow("About").await;
        page.shows(".prose").await;
        page.until("the heading has the focus", async || page.has_focus("h1").await).await;
        // What a screen reader hears of.
        let count = "document.body.dataset.headings = 0;
            document.addEventListener('focusin', event => {
                if (event.target.tagName === 'H1') document.body.dataset.headings++;
            })";
        page.run(count).await;
        page.back().await;
        page.shows("#search").await;
        page.until("its heading gets the focus", async || {
            page.run("return document.body.dataset.headings").await == "1"
        })
        .await;
        page.forward().await;
        page.until("and the other one", async || {
            page.run("return document.body.dataset.headings").await == "2"
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn the_focus_stays_on_the_page() {
    visit("focus_stays", |visit| async move {
        visit.register("zoe").await;
        visit.register("boss").await;
        visit.promote("boss").await;
        visit.sign_in("boss").await;
        let page = &visit.page;
        let in_main = async || {
            page.until("the main part has the focus", async || page.has_focus("#main").await).await;
        };
        // The last of what was found goes, and with it the line that counts.
        page.fill("search", "zoe").await;
        page.sees("1 user").await;
        page.click("[aria-label='Remove zoe']").await;
        page.click("[data-testid=confirm-remove]").await;
        page.sees("No name begins with “zoe”.").await;
        in_main().await;

        page.follow("About").await;
        page.shows(".prose").await;
        page.tab_to("[data-testid=nav-logout]").await;
        page.keys(ENTER).await;
        page.shows("[data-testid=nav-login]").await;
        in_main().await;
        page.is_at("/about").await;
    })
    .await;
}

#[tokio::test]
async fn what_is_said_twice_is_read_out_twice() {
    visit("said_twice", |visit| async move {
        for name in ["boss", "mary", "michael"] {
            visit.register(name).await;
        }
        visit.promote("boss").await;
        visit.sign_in("boss").await;
        let page = &visit.page;
        let said = "return document.querySelector('[data-testid=message] p')?.textContent";
        let mut before = json!(null);
        for name in ["mary", "michael"] {
            page.click(&format!("[aria-label='Remove {name}']")).await;
            page.click("[data-testid=confirm-remove]").await;
            page.hides(&format!("[aria-label='Remove {name}']")).await;
            page.sees("User removed.").await;
            // A text that is the same is not another one to a screen reader.
            page.until("another text", async || page.run(said).await != before).await;
            before = page.run(said).await;
        }
    })
    .await;
}

#[tokio::test]
async fn who_signs_in_by_the_navigation_comes_back() {
    visit("sign_in_and_back", |visit| async move {
        visit.register("bob").await;
        let page = &visit.page;
        page.open("/?q=bob").await;
        page.sees("1 user").await;
        page.click("[data-testid=nav-login]").await;
        page.shows("[data-testid=login-form]").await;
        // Not by another click, either.
        page.click("[data-testid=nav-login]").await;
        page.fill("email", "bob@example.com").await;
        page.fill("password", PASSWORD).await;
        page.click("[data-testid=submit]").await;
        page.shows("[data-testid=nav-logout]").await;
        page.is_at("/").await;
        assert_eq!(page.value("search").await, "bob");
    })
    .await;
}

#[tokio::test]
async fn a_user_whom_somebody_else_has_removed_is_gone() {
    visit("removed_by_another", |visit| async move {
        for name in ["boss", "mary", "michael"] {
            visit.register(name).await;
        }
        visit.promote("boss").await;
        visit.sign_in("boss").await;
        let page = &visit.page;
        page.shows("[aria-label='Edit mary']").await;
        visit.execute("DELETE FROM users WHERE username IN ('mary', 'michael')").await;
        page.click("[aria-label='Edit mary']").await;
        page.fill("username", "mary-jane").await;
        page.click("[data-testid=user-form] [data-testid=submit]").await;
        page.sees("This user has been removed.").await;
        page.click("[data-testid=cancel]").await;
        page.hides("[data-testid=dialog]").await;
        page.click("[aria-label='Remove michael']").await;
        page.click("[data-testid=confirm-remove]").await;
        page.sees("User removed.").await;
        page.hides("[aria-label='Remove michael']").await;
    })
    .await;
}

#[tokio::test]
async fn sessions_that_are_not_there_yet_have_a_shape() {
    visit("sessions_to_come", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.hold_path("/auth/sessions").await;
        page.follow("User status").await;
        page.shows("[data-testid=profile]").await;
        page.shows("[data-testid=sessions] ~ .skeleton").await;
        page.hides("[data-testid=logout-everywhere]").await;
        page.let_go().await;
        page.shows("[data-testid=logout-everywhere]").await;
        page.hides("[data-testid=sessions] ~ .skeleton").await;
    })
    .await;
}

#[tokio::test]
async fn a_password_that_is_the_name_is_not_called_good() {
    visit("password_is_name", |visit| async move {
        let page = &visit.page;
        page.open("/register").await;
        page.fill("username", "mary-jane.watson.smith").await;
        page.fill("email", "mary@example.com").await;
        page.fill("password", "mary-jane.watson.smith").await;
        page.shows("[data-testid=strength][data-level=strong]").await;
        page.click("[data-testid=submit]").await;
        page.sees("must not be").await;
        page.shows("[data-testid=strength][data-level=refused]").await;
        page.fill("password", "another good password").await;
        page.shows("[data-testid=strength][data-level=strong]").await;
    })
    .await;
}

#[tokio::test]
async fn the_question_before_a_removal_is_read_out_with_its_title() {
    visit("question_is_read", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.follow("User status").await;
        page.click("[data-testid=remove]").await;
        let text = "const id = document.querySelector('dialog').getAttribute('aria-describedby');
            return document.getElementById(id).textContent";
        page.shows("[data-testid=confirm-remove]").await;
        let text = page.run(text).await;
        assert!(text.as_str().unwrap().contains("will be gone for good"), "{text}");
    })
    .await;
}
