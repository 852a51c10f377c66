//! Guessing passwords: many accounts from one address, one account from many addresses, and many
//! accounts from many addresses, with the limits that hold by default.

use chrono::TimeDelta;
use serde_json::json;
use tests::{PASSWORD, TestApp};

/// A botnet's share of addresses, and the accounts that it goes for.
const ADDRESSES: usize = 100;
const ACCOUNTS: usize = 4;
/// What the settings allow by default: tries in five minutes at an account, in a minute from an
/// address.
const PER_ACCOUNT: usize = 10;
const PER_ADDRESS: usize = 60;

const ON: [(&str, &str); 2] = [("THROTTLE", "on"), ("THROTTLE_REGISTER", "1000/60")];

fn email(account: usize) -> String {
    format!("account-{account}@example.com")
}

/// One guess; whether anybody looked at it.
async fn guess(app: &TestApp, address: usize, account: usize) -> bool {
    let body = json!({"email": email(account), "password": "Summer2026!!"});
    let from = format!("198.51.{}.{}", 100 + address / 250, 1 + address % 250);
    let answer = app.post("/auth/login").header("x-forwarded-for", from).json(body).await;
    match answer.status {
        401 => true,
        429 => false,
        _ => panic!("{}", answer.text()),
    }
}

#[tokio::test]
async fn one_address_over_many_accounts() {
    let app = TestApp::with(&ON).await;
    let mut looked_at = 0;
    for account in 0..200 {
        looked_at += usize::from(guess(&app, 0, account).await);
    }
    println!("200 guesses from one address at 200 accounts: {looked_at} were looked at");
    assert_eq!(looked_at, PER_ADDRESS);
    assert!(guess(&app, 1, 0).await, "others are not held up");
}

#[tokio::test]
async fn many_addresses_over_one_account() {
    let app = TestApp::with(&ON).await;
    app.register("account-0").await;
    let mut looked_at = 0;
    for address in 0..ADDRESSES {
        looked_at += usize::from(guess(&app, address, 0).await);
    }
    println!(
        "{ADDRESSES} guesses from as many addresses at one account: {looked_at} were looked at"
    );
    assert_eq!(looked_at, PER_ACCOUNT);
}

/// For an hour, each address at each account: what is looked at is what the accounts allow, and an
/// owner who comes along gets in between two guesses.
#[tokio::test]
async fn many_addresses_over_many_accounts_for_an_hour() {
    let app = TestApp::with(&ON).await;
    app.register("account-0").await;
    let (mut guesses, mut looked_at) = (0_usize, [0_usize; ACCOUNTS]);
    for minute in 0..60 {
        for (account, looked_at) in looked_at.iter_mut().enumerate() {
            // Three a minute: half again as many as are allowed in the long run.
            for number in 0..3 {
                let address = (minute * 7 + account * 3 + number) % ADDRESSES;
                guesses += 1;
                *looked_at += usize::from(guess(&app, address, account).await);
            }
        }
        app.advance(TimeDelta::minutes(1));
    }
    // Ten at first and then one every thirty seconds.
    let allowed = PER_ACCOUNT + 60 * 60 / 30;
    let all: usize = looked_at.iter().sum();
    println!(
        "{guesses} guesses in an hour, {ADDRESSES} addresses at {ACCOUNTS} accounts: {all} were \
         looked at"
    );
    assert!(looked_at.iter().all(|count| *count <= allowed), "{looked_at:?} of {allowed}");
    assert!(all < guesses, "nothing was refused");
    app.sign_in(&email(0), PASSWORD).await.ok(200);
}
