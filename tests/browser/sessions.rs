//! Who is signed in: over reloads, over tabs, and from elsewhere.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto::sign};
use serde_json::json;
use tests::{
    PASSWORD,
    browser::{Page, visit},
};

/// Longer than an access token is good for.
const A_WHILE: Duration = Duration::from_mins(20);

#[tokio::test]
async fn a_reload_keeps_the_sign_in() {
    visit("a_reload_keeps_the_sign_in", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.open("/status").await;
        for _ in 0..3 {
            page.sees("michael@example.com").await;
            page.is_at("/status").await;
            page.reload().await;
        }
        page.sees("michael@example.com").await;
    })
    .await;
}

#[tokio::test]
async fn no_script_can_read_a_token() {
    visit("no_script_reads_a_token", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        let kept = page
            .run("return JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
            .await;
        let kept = kept.as_str().unwrap();
        for mark in ["eyJ", contract::REFRESH_TOKEN_PREFIX] {
            assert!(!kept.contains(mark), "{kept}");
        }
    })
    .await;
}

#[tokio::test]
async fn two_tabs_share_the_sign_in_and_the_sign_out() {
    visit("two_tabs", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        let (first, second) = page.second_tab().await;
        page.switch_to(&second).await;
        page.open("/status").await;
        page.sees("michael@example.com").await;
        page.switch_to(&first).await;
        page.open("/status").await;
        page.sees("michael@example.com").await;
        page.click("[data-testid=nav-logout]").await;
        page.shows("[data-testid=nav-login]").await;
        page.switch_to(&second).await;
        page.shows("[data-testid=nav-login]").await;
        page.sees_no("michael@example.com").await;
    })
    .await;
}

#[tokio::test]
async fn two_tabs_that_are_reloaded_at_once_stay_signed_in() {
    visit("two_tabs_reloaded", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.open("/status").await;
        let (first, second) = page.second_tab().await;
        page.switch_to(&second).await;
        page.open("/status").await;
        page.sees("michael@example.com").await;
        for _ in 0..3 {
            page.run("setTimeout(() => location.reload(), 50)").await;
            page.switch_to(&first).await;
            page.reload().await;
            page.sees("michael@example.com").await;
            page.switch_to(&second).await;
            page.sees("michael@example.com").await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_token_that_expires_in_the_middle_of_an_action_is_renewed() {
    visit("expires_midway", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.open("/status").await;
        page.click("[data-testid=profile] ~ .actions [data-testid=edit]").await;
        page.fill("username", "mike").await;
        let refreshed = page.requests_to("/auth/refresh").await;
        page.let_pass(A_WHILE).await;
        page.click("[data-testid=user-form] [data-testid=submit]").await;
        page.sees("User updated.").await;
        page.sees("mike").await;
        page.is_at("/status").await;
        assert_eq!(page.requests_to("/auth/refresh").await, refreshed + 1);
    })
    .await;
}

#[tokio::test]
async fn one_tab_renews_the_token_for_both() {
    visit("one_refresh", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        let (first, second) = page.second_tab().await;
        page.switch_to(&second).await;
        page.open("/about").await;
        page.shows("[data-testid=nav-logout]").await;
        let mut refreshed = 0;
        for tab in [&first, &second] {
            page.switch_to(tab).await;
            refreshed += page.requests_to("/auth/refresh").await;
            page.let_pass(A_WHILE).await;
        }
        // The first to need a token gets it, and tells the other.
        for tab in [&first, &second] {
            page.switch_to(tab).await;
            page.follow("Users").await;
            page.follow("User status").await;
            page.sees("michael@example.com").await;
            page.shows("[data-testid=sessions] li").await;
        }
        let mut now = 0;
        for tab in [&first, &second] {
            page.switch_to(tab).await;
            now += page.requests_to("/auth/refresh").await;
        }
        assert_eq!(now, refreshed + 1);
    })
    .await;
}

#[tokio::test]
async fn a_session_that_ends_during_an_action_says_so_once_and_leads_back() {
    visit("ends_midway", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.open("/status").await;
        page.shows("[data-testid=sessions] li").await;
        visit.execute("DELETE FROM sessions").await;
        page.fill("current_password", PASSWORD).await;
        page.fill("new_password", "another good password").await;
        page.follow("Change the password").await;
        page.is_at("/login").await;
        page.sees("Your session has ended. Please log in again.").await;
        assert_eq!(page.count("[data-testid=message]").await, 1);
        page.fill("email", "michael@example.com").await;
        page.fill("password", PASSWORD).await;
        page.follow("Log in").await;
        page.is_at("/status").await;
        page.sees("michael@example.com").await;
    })
    .await;
}

#[tokio::test]
async fn another_session_can_be_ended() {
    visit("another_session", |visit| async move {
        visit.register("michael").await;
        let body = json!({"email": "michael@example.com", "password": PASSWORD});
        let login = visit.api.post("/auth/login").header("user-agent", "curl/8.9.1");
        let tokens = login.json(body).await.ok(200);
        let other = tokens["access_token"].as_str().unwrap();
        visit.sign_in("michael").await;
        let page = &visit.page;
        page.open("/status").await;
        page.sees("curl").await;
        page.sees("this one").await;
        page.click("[aria-label='Log out curl']").await;
        page.sees("That session has ended.").await;
        visit.api.get("/auth/status").bearer(other).await.problem(401, "token_invalid");
        page.shows("[data-testid=nav-logout]").await;
    })
    .await;
}

#[tokio::test]
async fn a_session_that_was_ended_elsewhere_leads_to_the_sign_in() {
    visit("ended_elsewhere", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.open("/status").await;
        page.sees("michael@example.com").await;
        visit.execute("DELETE FROM sessions").await;
        page.reload().await;
        page.sees("Your session has ended. Please log in again.").await;
        page.is_at("/login").await;
        page.hides("[data-testid=nav-logout]").await;
    })
    .await;
}

#[tokio::test]
async fn signing_out_everywhere_ends_all_sessions() {
    visit("everywhere", |visit| async move {
        visit.register("michael").await;
        let body = json!({"email": "michael@example.com", "password": PASSWORD});
        let tokens = visit.api.post("/auth/login").json(body).await.ok(200);
        let other = tokens["access_token"].as_str().unwrap();
        visit.sign_in("michael").await;
        visit.page.open("/status").await;
        visit.page.click("[data-testid=logout-everywhere]").await;
        visit.page.shows("[data-testid=nav-login]").await;
        visit.api.get("/auth/status").bearer(other).await.problem(401, "token_invalid");
    })
    .await;
}

/// Has what the API answers come when the test lets it go, and tells when it is there.
const LATE: &str = "async send => {
    const answer = await send();
    localStorage.answered = 'yes';
    while (localStorage.held) await new Promise(done => setTimeout(done, 20));
    return answer;
}";

const IS_ANSWERED: &str = "return 'answered' in localStorage";

const HINT: &str = "return localStorage.getItem('session-expires-at')";

#[tokio::test]
async fn a_sign_out_counts_that_is_heard_of_during_a_reload() {
    visit("out_during_reload", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.answer("/auth/refresh", LATE).await;
        page.run("localStorage.held = 'yes'").await;
        page.open("/about").await;
        page.shows(".prose").await;
        page.until("an answer", async || page.run(IS_ANSWERED).await == true).await;
        page.hear(&json!("SignedOut")).await;
        page.shows("[data-testid=nav-login]").await;
        page.let_go().await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(page.run(HINT).await, json!(null));
        page.shows("[data-testid=nav-login]").await;
    })
    .await;
}

#[tokio::test]
async fn who_signs_out_just_after_another_tab_has_signed_out() {
    visit("out_twice", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.answer("/auth/refresh", LATE).await;
        page.run("localStorage.held = 'yes'").await;
        page.let_pass(A_WHILE).await;
        page.click("[data-testid=nav-logout]").await;
        page.until("an answer", async || page.run(IS_ANSWERED).await == true).await;
        page.hear(&json!("SignedOut")).await;
        page.sees("You have logged out.").await;
        page.let_go().await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        page.sees("You have logged out.").await;
        page.sees_no("You are still logged in.").await;
    })
    .await;
}

#[tokio::test]
async fn a_token_that_the_api_calls_expired_is_renewed() {
    /// The token as it was an hour before.
    fn expired(token: &str, key: &str) -> String {
        let mut parts = token.split('.');
        let (header, claims) = (parts.next().unwrap(), parts.next().unwrap());
        let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
        let mut claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        for time in ["iat", "exp"] {
            claims[time] = json!(claims[time].as_i64().unwrap() - 3600);
        }
        let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let key = EncodingKey::from_secret(key.as_bytes());
        let signature = sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
        format!("{message}.{signature}")
    }

    visit("called_expired", |visit| async move {
        let key = visit.secret_key().expect("an API whose key is known");
        visit.arrive("michael").await;
        let page = &visit.page;
        page.open("/status").await;
        page.shows("[data-testid=sessions] li").await;
        let body = json!({"email": "michael@example.com", "password": PASSWORD});
        let tokens = visit.api.post("/auth/login").json(body).await.ok(200);
        let token = expired(tokens["access_token"].as_str().unwrap(), key);
        visit.api.get("/auth/status").bearer(&token).await.problem(401, "token_expired");

        page.click("[data-testid=profile] ~ .actions [data-testid=edit]").await;
        page.fill("username", "mike").await;
        let refreshed = page.requests_to("/auth/refresh").await;
        // By this device's clock it is still good.
        let later = chrono::Utc::now().timestamp() + 3600;
        page.hear(&json!({"Renewed": {"access": token, "expires_at": later}})).await;
        page.click("[data-testid=user-form] [data-testid=submit]").await;
        page.sees("User updated.").await;
        page.sees("mike").await;
        page.is_at("/status").await;
        assert_eq!(page.requests_to("/auth/refresh").await, refreshed + 1);
    })
    .await;
}

/// Until it is told otherwise, something between here and the API answers in its place.
const CAPTIVE: &str = "send => localStorage.open ? send()
    : Promise.resolve(new Response('<p>Log in to the Wi-Fi</p>', { status: STATUS }))";

#[tokio::test]
async fn only_the_api_ends_a_session() {
    visit("captive", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        for status in ["200", "403"] {
            page.open("/status").await;
            page.sees("michael@example.com").await;
            page.run("delete localStorage.open").await;
            page.answer("/auth/refresh", &CAPTIVE.replace("STATUS", status)).await;
            page.let_pass(A_WHILE).await;
            page.follow("Users").await;
            page.shows("[data-testid=users-problem] p").await;
            page.shows("[data-testid=nav-logout]").await;
            page.open("/status").await;
            page.sees("You will be logged back in").await;
            page.is_at("/status").await;
            page.run("localStorage.open = 'yes'").await;
            page.sees("michael@example.com").await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_session_that_began_since_is_ended_with_the_others() {
    visit("others_since", |visit| async move {
        visit.register("michael").await;
        let sign_in = async || {
            let body = json!({"email": "michael@example.com", "password": PASSWORD});
            let login = visit.api.post("/auth/login").header("user-agent", "curl/8.9.1");
            login.json(body).await.ok(200)["access_token"].as_str().unwrap().to_owned()
        };
        sign_in().await;
        visit.sign_in("michael").await;
        let page = &visit.page;
        page.open("/status").await;
        page.shows("[data-testid=end-others]").await;
        let since = sign_in().await;
        page.click("[data-testid=end-others]").await;
        page.sees("You are logged out everywhere else.").await;
        visit.api.get("/auth/status").bearer(&since).await.problem(401, "token_invalid");
        page.until("one is left", async || page.count("[data-testid=sessions] li").await == 1)
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_session_that_ends_while_others_are_ended_says_so_once() {
    visit("ends_at_the_list", |visit| async move {
        visit.register("michael").await;
        for button in ["[aria-label='Log out curl']", "[data-testid=end-others]"] {
            let body = json!({"email": "michael@example.com", "password": PASSWORD});
            let login = visit.api.post("/auth/login").header("user-agent", "curl/8.9.1");
            login.json(body).await.ok(200);
            visit.sign_in("michael").await;
            let page = &visit.page;
            page.follow("User status").await;
            page.shows("[aria-label='Log out curl']").await;
            visit.execute("DELETE FROM sessions").await;
            page.click(button).await;
            page.is_at("/login").await;
            page.sees("Your session has ended. Please log in again.").await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            page.sees("Your session has ended. Please log in again.").await;
            assert_eq!(page.count("[data-testid=message]").await, 1);
        }
    })
    .await;
}

/// Signs in where the person has been led to.
async fn sign_in_again(page: &Page, name: &str) {
    page.is_at("/login").await;
    page.fill("email", &format!("{name}@example.com")).await;
    page.fill("password", PASSWORD).await;
    page.follow("Log in").await;
    page.shows("[data-testid=nav-logout]").await;
}

#[tokio::test]
async fn what_was_typed_in_a_dialog_waits_for_the_person_to_sign_in_again() {
    visit("typed_text_waits", |visit| async move {
        visit.register("boss").await;
        visit.promote("boss").await;
        visit.sign_in("boss").await;
        let page = &visit.page;
        page.click("[data-testid=add-user]").await;
        page.fill("username", "mary").await;
        page.fill("email", "mary@example.com").await;
        page.fill("password", "the first password").await;
        visit.execute("DELETE FROM sessions").await;
        page.click("[data-testid=user-form] [data-testid=submit]").await;
        page.sees("Your session has ended. Please log in again.").await;
        let kept =
            page.run("return JSON.stringify([{...localStorage}, {...sessionStorage}])").await;
        assert!(!kept.as_str().unwrap().contains("mary"), "{kept}");

        sign_in_again(page, "boss").await;
        page.is_at("/").await;
        page.shows("[data-testid=dialog] [data-testid=user-form]").await;
        assert_eq!(page.value("username").await, "mary");
        assert_eq!(page.value("email").await, "mary@example.com");
        assert_eq!(page.value("password").await, "", "passwords are kept nowhere");
        page.fill("password", PASSWORD).await;
        page.click("[data-testid=user-form] [data-testid=submit]").await;
        page.sees("User added.").await;
        page.hides("[data-testid=dialog]").await;

        // The same on another page, where another tab has found out.
        page.follow("User status").await;
        page.click("[data-testid=profile] ~ .actions [data-testid=edit]").await;
        page.fill("username", "the-boss").await;
        page.hear(&json!("Ended")).await;
        sign_in_again(page, "boss").await;
        page.is_at("/status").await;
        page.sees("Edit boss").await;
        assert_eq!(page.value("username").await, "the-boss");
        page.click("[data-testid=user-form] [data-testid=submit]").await;
        page.sees("User updated.").await;
        assert_eq!(page.text_of("[data-testid=profile-username]").await, "the-boss");
    })
    .await;
}

#[tokio::test]
async fn what_was_typed_in_a_dialog_waits_for_nobody_else() {
    visit("typed_text_is_private", |visit| async move {
        visit.register("mary").await;
        visit.arrive("michael").await;
        let page = &visit.page;
        page.follow("User status").await;
        let edit = "[data-testid=profile] ~ .actions [data-testid=edit]";
        page.click(edit).await;
        page.fill("username", "mike").await;
        // What the person closes is not kept, either.
        page.click("[data-testid=cancel]").await;
        page.hides("[data-testid=dialog]").await;
        for (name, dialogs) in [("michael", 0), ("mary", 0), ("michael", 0)] {
            page.hear(&json!("Ended")).await;
            sign_in_again(page, name).await;
            page.is_at("/status").await;
            page.sees(&format!("{name}@example.com")).await;
            assert_eq!(page.count("[data-testid=dialog]").await, dialogs, "{name}");
            if name == "michael" {
                page.click(edit).await;
                page.fill("username", "mike").await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_session_that_ends_is_told_in_both_tabs() {
    visit("ends_in_both_tabs", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        let (first, second) = page.second_tab().await;
        page.switch_to(&second).await;
        page.open("/status").await;
        page.shows("[data-testid=sessions] li").await;
        visit.execute("DELETE FROM sessions").await;
        page.follow("Log out everywhere").await;
        page.shows("[data-testid=nav-login]").await;
        page.switch_to(&first).await;
        page.shows("[data-testid=nav-login]").await;

        page.open("/login").await;
        sign_in_again(page, "michael").await;
        page.switch_to(&second).await;
        page.shows("[data-testid=nav-logout]").await;
        page.follow("User status").await;
        page.shows("[data-testid=sessions] li").await;
        visit.execute("DELETE FROM sessions").await;
        page.switch_to(&first).await;
        page.follow("User status").await;
        for tab in [&first, &second] {
            page.switch_to(tab).await;
            page.is_at("/login").await;
            page.sees("Your session has ended. Please log in again.").await;
            assert_eq!(page.count("[data-testid=message]").await, 1);
        }
        // And who signs in again is back in both.
        sign_in_again(page, "michael").await;
        for tab in [&second, &first] {
            page.switch_to(tab).await;
            page.is_at("/status").await;
            page.sees("michael@example.com").await;
        }
    })
    .await;
}
