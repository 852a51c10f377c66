//! Limits on tries, per account and per client address.

use chrono::TimeDelta;
use serde_json::json;
use tests::{Answer, Client, PASSWORD, TestApp};

const WRONG: &str = "not the password";

/// Three tries a minute for an account, plenty for an address.
const PER_ACCOUNT: [(&str, &str); 4] = [
    ("THROTTLE", "on"),
    ("THROTTLE_ACCOUNT", "3/60"),
    ("THROTTLE_ADDRESS", "1000/60"),
    ("THROTTLE_REGISTER", "1000/60"),
];

/// Three tries a minute for an address, plenty for an account.
const PER_ADDRESS: [(&str, &str); 4] = [
    ("THROTTLE", "on"),
    ("THROTTLE_ACCOUNT", "1000/60"),
    ("THROTTLE_ADDRESS", "3/60"),
    ("THROTTLE_REGISTER", "3/60"),
];

async fn sign_in_from(client: &Client, forwarded: &str, email: &str, password: &str) -> Answer {
    let call = client.post("/auth/login").header("x-forwarded-for", forwarded);
    call.json(json!({"email": email, "password": password})).await
}

fn retry_after(answer: &Answer) -> i64 {
    answer.problem(429, "too_many_requests");
    answer.expect_header("retry-after").parse().unwrap()
}

#[tokio::test]
async fn an_account_takes_so_many_tries_from_anywhere() {
    let app = TestApp::with(&PER_ACCOUNT).await;
    app.register("michael").await;
    // From many addresses, in any case, whether the account exists or not.
    for account in ["michael@example.com", "nobody@example.com"] {
        for (number, email) in [account, &account.to_uppercase(), account].iter().enumerate() {
            let answer = sign_in_from(&app, &format!("203.0.113.{number}"), email, WRONG).await;
            answer.problem(401, "incorrect_credentials");
        }
        let refused = sign_in_from(&app, "198.51.100.1", account, WRONG).await;
        assert!((1..=60).contains(&retry_after(&refused)));
        let refused = sign_in_from(&app, "198.51.100.2", &format!(" {account}"), PASSWORD).await;
        retry_after(&refused);
    }
    // PostgreSQL may make the same small letter of this one, and Rust another.
    let other = sign_in_from(&app, "198.51.100.3", "m\u{130}chael@example.com", PASSWORD).await;
    other.problem(401, "incorrect_credentials");
}

#[tokio::test]
async fn all_tasks_count_together() {
    let app = TestApp::with(&PER_ACCOUNT).await;
    app.register("michael").await;
    let (second, _server) = app.second_task(&PER_ACCOUNT).await;
    let first: &Client = &app;
    for client in [first, &second, first] {
        let answer = sign_in_from(client, "203.0.113.1", "michael@example.com", WRONG).await;
        answer.problem(401, "incorrect_credentials");
    }
    retry_after(&sign_in_from(&second, "203.0.113.1", "michael@example.com", WRONG).await);
}

#[tokio::test]
async fn nobody_is_locked_out() {
    let app = TestApp::with(&PER_ACCOUNT).await;
    app.register("michael").await;
    let mut answer = app.sign_in("michael@example.com", WRONG).await;
    while answer.status == 401 {
        answer = app.sign_in("michael@example.com", WRONG).await;
    }
    // An attacker who goes on trying does not push the moment away.
    let wait = retry_after(&answer);
    for _ in 0..20 {
        assert_eq!(retry_after(&app.sign_in("michael@example.com", WRONG).await), wait);
    }
    app.advance(TimeDelta::seconds(wait));
    app.sign_in("michael@example.com", PASSWORD).await.ok(200);
}

#[tokio::test]
async fn the_right_password_gives_the_tries_back() {
    let app = TestApp::with(&PER_ACCOUNT).await;
    app.register("michael").await;
    for _ in 0..3 {
        app.sign_in("michael@example.com", WRONG).await.problem(401, "incorrect_credentials");
        app.sign_in("michael@example.com", PASSWORD).await.ok(200);
    }
}

#[tokio::test]
async fn one_account_does_not_bear_anothers_tries() {
    let app = TestApp::with(&PER_ACCOUNT).await;
    app.register("michael").await;
    for _ in 0..4 {
        app.sign_in("somebody@example.com", WRONG).await;
    }
    app.sign_in("michael@example.com", PASSWORD).await.ok(200);
}

#[tokio::test]
async fn a_password_change_is_a_try_too() {
    let app = TestApp::with(&PER_ACCOUNT).await;
    let michael = app.person("michael").await;
    let change = || {
        let body = json!({"current_password": WRONG, "new_password": "paper river candle"});
        app.put("/auth/password").by(&michael).json(body)
    };
    let mut answer = change().await;
    for _ in 0..4 {
        if answer.status == 429 {
            break;
        }
        answer.problem(403, "incorrect_password");
        answer = change().await;
    }
    retry_after(&answer);
    // Another address makes no other account of it.
    let body = json!({"username": "michael", "email": "elsewhere@example.com"});
    app.put(michael.path()).by(&michael).json(body).await.ok(200);
    retry_after(&change().await);
}

#[tokio::test]
async fn an_address_takes_so_many_tries_whatever_it_tries() {
    let app = TestApp::with(&PER_ADDRESS).await;
    for number in 0..3 {
        let email = format!("nobody-{number}@example.com");
        let answer = sign_in_from(&app, "203.0.113.7", &email, WRONG).await;
        answer.problem(401, "incorrect_credentials");
    }
    let refused = sign_in_from(&app, "203.0.113.7", "nobody@example.com", WRONG).await;
    let wait = retry_after(&refused);
    let elsewhere = sign_in_from(&app, "203.0.113.8", "nobody@example.com", WRONG).await;
    elsewhere.problem(401, "incorrect_credentials");
    app.advance(TimeDelta::seconds(wait));
    let later = sign_in_from(&app, "203.0.113.7", "nobody@example.com", WRONG).await;
    later.problem(401, "incorrect_credentials");
}

#[tokio::test]
async fn registrations_and_refreshes_are_limited_as_well() {
    let app = TestApp::with(&PER_ADDRESS).await;
    let register = |number: u32| {
        let name = format!("user-{number}");
        let email = format!("{name}@example.com");
        let body = json!({"username": name, "email": email, "password": PASSWORD});
        app.post("/auth/register").json(body)
    };
    for number in 0..3 {
        register(number).await.ok(201);
    }
    retry_after(&register(3).await);
    for _ in 0..3 {
        app.refresh("tdr_x").await.problem(401, "token_invalid");
    }
    retry_after(&app.refresh("tdr_x").await);
}

#[tokio::test]
async fn what_the_client_writes_into_the_header_hides_nothing() {
    let app = TestApp::with(&PER_ADDRESS).await;
    // The load balancer appends the address that it saw; what stands before is anybody's.
    for forged in ["198.51.100.1", "198.51.100.2, 10.0.0.1", "nonsense", "", "::1, 192.0.2.1"] {
        let forwarded = format!("{forged}, 203.0.113.7");
        sign_in_from(&app, &forwarded, "nobody@example.com", WRONG).await;
    }
    let refused = sign_in_from(&app, "192.0.2.77, 203.0.113.7", "nobody@example.com", WRONG).await;
    retry_after(&refused);
    // The same through a second proxy of ours.
    let refused = sign_in_from(&app, "203.0.113.7, 10.1.2.3", "nobody@example.com", WRONG).await;
    retry_after(&refused);
}

#[tokio::test]
async fn without_a_trusted_proxy_the_header_counts_for_nothing() {
    let settings = [&PER_ADDRESS[..], &[("TRUSTED_PROXIES", "192.0.2.0/24")]].concat();
    let app = TestApp::with(&settings).await;
    for number in 0..3 {
        sign_in_from(&app, &format!("203.0.113.{number}"), "nobody@example.com", WRONG).await;
    }
    retry_after(&sign_in_from(&app, "203.0.113.99", "nobody@example.com", WRONG).await);
}

#[tokio::test]
async fn neighbours_in_one_ipv6_network_are_one_client() {
    let app = TestApp::with(&PER_ADDRESS).await;
    for number in 0..3 {
        let address = format!("2001:db8:1:2::{number}");
        sign_in_from(&app, &address, "nobody@example.com", WRONG).await;
    }
    retry_after(&sign_in_from(&app, "2001:db8:1:2:ffff::1", "nobody@example.com", WRONG).await);
    let other_network = sign_in_from(&app, "2001:db8:1:3::1", "nobody@example.com", WRONG).await;
    other_network.problem(401, "incorrect_credentials");
}

#[tokio::test]
async fn off_means_off() {
    let settings =
        [("THROTTLE", "off"), ("THROTTLE_ACCOUNT", "1/60"), ("THROTTLE_ADDRESS", "1/60")];
    let app = TestApp::with(&settings).await;
    for _ in 0..5 {
        app.sign_in("nobody@example.com", WRONG).await.problem(401, "incorrect_credentials");
    }
}
