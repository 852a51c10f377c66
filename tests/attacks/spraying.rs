//! Guessing passwords: many accounts from one address, one account from many addresses, and many
//! accounts from many addresses, with the limits that hold by default. Who is held up, and who is
//! not?
//!
//! What is promised: an address that guesses is held up, whatever it guesses at; an account takes so
//! many tries from everywhere together, and is never locked for longer than until its next one, half
//! a minute at most, whatever is tried meanwhile. Owners pay for that: while others use up an
//! account's tries, the owner has to wait for the next one, and whoever comes first has it. Somebody
//! with many addresses who aims a guess at each of these moments can hold up the owner's sign-ins for
//! as long as that goes on. Whoever is signed in does not notice, and nobody else has to wait.

use chrono::TimeDelta;
use serde_json::json;
use tests::{Answer, PASSWORD, Person, TestApp};

/// A botnet's share of addresses, and the accounts that it goes for.
const ADDRESSES: usize = 100;
const ACCOUNTS: usize = 4;
/// What the settings allow by default: tries in five minutes at an account, in a minute from an
/// address.
const PER_ACCOUNT: usize = 10;
const PER_ADDRESS: usize = 60;
/// How soon an account takes one more try.
const INTERVAL: i64 = 30;

const ON: [(&str, &str); 2] = [("THROTTLE", "on"), ("THROTTLE_REGISTER", "1000/60")];

/// Where owners come from.
const HOME: &str = "203.0.113.7";

fn email(account: usize) -> String {
    format!("account-{account}@example.com")
}

fn bot(number: usize) -> String {
    format!("198.51.{}.{}", 100 + number / 250, 1 + number % 250)
}

/// Marsaglia's xorshift: the same moments in each run.
struct Dice(u64);

impl Dice {
    fn one_in(&mut self, count: u64) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.is_multiple_of(count)
    }
}

async fn sign_in(app: &TestApp, from: &str, account: usize, password: &str) -> Answer {
    let body = json!({"email": email(account), "password": password});
    app.post("/auth/login").header("x-forwarded-for", from).json(body).await
}

/// One guess; whether anybody looked at it.
async fn guess(app: &TestApp, address: usize, account: usize) -> bool {
    let answer = sign_in(app, &bot(address), account, "Summer2026!!").await;
    match answer.status {
        401 => answer.problem(401, "incorrect_credentials"),
        _ => answer.problem(429, "too_many_requests"),
    };
    answer.status == 401
}

fn retry_after(answer: &Answer) -> i64 {
    answer.problem(429, "too_many_requests");
    answer.expect_header("retry-after").parse().unwrap()
}

/// Somebody who is signed in notices nothing, whatever others try at the account.
async fn goes_on_working(app: &TestApp, owner: &Person) -> Person {
    let home = |call: tests::http::Call| call.header("x-forwarded-for", HOME);
    home(app.get("/auth/status")).by(owner).await.ok(200);
    let body = json!({"refresh_token": owner.refresh_token});
    let tokens = home(app.post("/auth/refresh")).json(body).await.ok(200);
    owner.with(&tokens)
}

#[tokio::test]
async fn one_address_over_many_accounts() {
    let app = TestApp::with(&ON).await;
    for account in [0, 199] {
        app.register(&format!("account-{account}")).await;
    }
    let mut looked_at = 0;
    for account in 0..200 {
        looked_at += usize::from(guess(&app, 0, account).await);
    }
    println!("200 guesses from one address at 200 accounts: {looked_at} were looked at");
    assert_eq!(looked_at, PER_ADDRESS);
    // The address waits, even with a right password; owners at other addresses do not, neither of
    // an account that was guessed at nor of one at which nobody looked any more.
    let held_up = sign_in(&app, &bot(0), 199, PASSWORD).await;
    let wait = retry_after(&held_up);
    for account in [0, 199] {
        sign_in(&app, HOME, account, PASSWORD).await.ok(200);
    }
    assert!(guess(&app, 1, 1).await, "others are not held up");
    app.advance(TimeDelta::seconds(wait));
    sign_in(&app, &bot(0), 199, PASSWORD).await.ok(200);
}

#[tokio::test]
async fn many_addresses_over_one_account() {
    let app = TestApp::with(&ON).await;
    let owner = app.person("account-0").await;
    app.register("account-1").await;
    let mut looked_at = 0;
    for address in 0..ADDRESSES {
        looked_at += usize::from(guess(&app, address, 0).await);
    }
    println!(
        "{ADDRESSES} guesses from as many addresses at one account: {looked_at} were looked at"
    );
    assert_eq!(looked_at, PER_ACCOUNT);
    // Whoever is signed in stays so. The next sign-in has to wait, and not for long; the guesses that
    // are refused meanwhile do not make it longer.
    let owner = goes_on_working(&app, &owner).await;
    let wait = retry_after(&sign_in(&app, HOME, 0, PASSWORD).await);
    assert!((1..=INTERVAL).contains(&wait), "{wait} s");
    for address in 0..ADDRESSES {
        assert!(!guess(&app, address, 0).await);
    }
    assert_eq!(retry_after(&sign_in(&app, HOME, 0, PASSWORD).await), wait);
    // Other accounts take tries, from the owner's address and from those of the guesses.
    sign_in(&app, HOME, 1, PASSWORD).await.ok(200);
    assert!(guess(&app, 0, 1).await);
    app.advance(TimeDelta::seconds(wait));
    sign_in(&app, HOME, 0, PASSWORD).await.ok(200);
    // And that gave all tries back.
    for _ in 1..PER_ACCOUNT {
        sign_in(&app, HOME, 0, "not the one").await.problem(401, "incorrect_credentials");
    }
    goes_on_working(&app, &owner).await;
}

/// For an hour, each address at each account, three times as often as the accounts allow: what is looked
/// at is what they allow. An owner who wants to sign in meanwhile comes again when told to, and
/// gets in; those who are signed in notice nothing.
#[tokio::test]
async fn many_addresses_over_many_accounts_for_an_hour() {
    let app = TestApp::with(&ON).await;
    let mut owner = app.person("account-0").await;
    app.register("account-1").await;
    let (mut guesses, mut looked_at) = (0_usize, [0_usize; ACCOUNTS]);
    let (mut wanted, mut waits) = (0_usize, Vec::new());
    let mut dice = Dice(1);
    // When the owner of the second account wanted to get in, and when to come again.
    let mut waiting: Option<(i64, i64)> = None;
    for second in 0..60 * 60 {
        // Six a minute at each, at moments that nobody knows beforehand. In its second a guess comes
        // before the owner.
        for (account, looked_at) in looked_at.iter_mut().enumerate() {
            if dice.one_in(10) {
                guesses += 1;
                *looked_at += usize::from(guess(&app, guesses % ADDRESSES, account).await);
            }
        }
        // Every five minutes the owner of the second one wants to sign in, from home.
        if second % 300 == 299 && waiting.is_none() {
            wanted += 1;
            waiting = Some((second, second));
        }
        if let Some((since, _)) = waiting.filter(|(_, next)| *next <= second) {
            let answer = sign_in(&app, HOME, 1, PASSWORD).await;
            waiting = (answer.status != 200).then(|| (since, second + retry_after(&answer)));
            if waiting.is_none() {
                waits.push(second - since);
            }
        }
        if second % 600 == 0 {
            owner = goes_on_working(&app, &owner).await;
        }
        app.advance(TimeDelta::seconds(1));
    }
    // Ten at first and then one every thirty seconds; and an owner who gets in gives all back.
    let allowed = PER_ACCOUNT + 60 * 60 / usize::try_from(INTERVAL).unwrap();
    let all: usize = looked_at.iter().sum();
    println!(
        "{guesses} guesses in an hour, {ADDRESSES} addresses at {ACCOUNTS} accounts: {all} were \
         looked at; an owner wanted to sign in {wanted} times meanwhile, and waited {waits:?} s"
    );
    let [of_first, _, others @ ..] = looked_at;
    assert!(of_first <= allowed && others.iter().all(|count| *count <= allowed), "{looked_at:?}");
    assert!(looked_at[1] <= allowed + wanted * PER_ACCOUNT, "{looked_at:?}");
    assert!(all < guesses / 2, "{all} of {guesses}");
    assert!(wanted >= 6 && waits.len() + 1 >= wanted, "{wanted} wanted to get in: {waits:?}");
    // Two of the account's moments at most went by.
    assert!(waits.iter().any(|wait| *wait > 0), "the account was never at its limit: {waits:?}");
    assert!(waits.iter().all(|wait| *wait <= 3 * INTERVAL), "{waits:?}");
    app.advance(TimeDelta::seconds(INTERVAL));
    sign_in(&app, HOME, 0, PASSWORD).await.ok(200);
}
