//! Requests that race each other: the database decides, and nobody gets half an answer.

use std::time::Duration;

use serde_json::json;
use tests::{Answer, Database, PASSWORD, Person, TestApp, http::Call};
use tokio::task::JoinSet;

const NEW_PASSWORD: &str = "paper river candle";

/// Sends all calls at once.
async fn at_once(calls: impl IntoIterator<Item = Call>) -> Vec<Answer> {
    let mut running = JoinSet::new();
    for call in calls {
        running.spawn(async { call.await });
    }
    running.join_all().await
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    statuses
}

#[tokio::test]
async fn one_address_in_different_case_is_registered_once() {
    let app = TestApp::spawn().await;
    for round in 0..5 {
        let call = |name: &str, email: String| {
            let body = json!({"username": format!("{name}-{round}"), "email": email, "password": PASSWORD});
            app.post("/auth/register").json(body)
        };
        let answers = at_once([
            call("first", format!("michael-{round}@example.com")),
            call("second", format!("MICHAEL-{round}@Example.com")),
        ])
        .await;
        assert_eq!(statuses(&answers), [201, 409]);
        let refused = answers.iter().find(|answer| answer.status == 409).unwrap();
        refused.problem(409, "email_taken");
    }
}

#[tokio::test]
async fn one_name_is_given_once() {
    let app = TestApp::spawn().await;
    let calls = (0..6).map(|n| {
        let username = if n % 2 == 0 { "michael" } else { "MICHAEL" };
        let email = format!("user-{n}@example.com");
        let body = json!({"username": username, "email": email, "password": PASSWORD});
        app.post("/auth/register").json(body)
    });
    assert_eq!(statuses(&at_once(calls).await), [201, 409, 409, 409, 409, 409]);
}

#[tokio::test]
async fn two_refreshes_at_once_leave_both_with_tokens_that_work() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let mut token = michael.refresh_token.clone();
    for _ in 0..5 {
        let call = || app.post("/auth/refresh").json(json!({"refresh_token": token}));
        let answers = at_once([call(), call(), call()]).await;
        let successors: Vec<_> = answers.iter().map(|answer| answer.ok(200)).collect();
        for tokens in &successors {
            assert_eq!(tokens["refresh_token"], successors[0]["refresh_token"]);
            assert!(app.opens(tokens["access_token"].as_str().unwrap()).await);
        }
        token = successors[0]["refresh_token"].as_str().unwrap().to_owned();
    }
}

#[tokio::test]
async fn of_the_last_two_admins_one_stays() {
    let app = TestApp::spawn().await;
    let first = app.admin_named("first-admin").await;
    let second = app.admin_named("second-admin").await;
    let calls = [
        app.delete(first.path()).by(&first),
        app.delete(second.path()).by(&second),
        app.delete(first.path()).by(&second),
        app.delete(second.path()).by(&first),
    ];
    let answers = at_once(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    let client = app.database.client().await;
    let row = client.query_one("SELECT count(*) FROM users WHERE is_admin", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 1);
}

#[tokio::test]
async fn one_user_is_removed_once() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    let michael = app.person("michael").await;
    let answers = at_once((0..4).map(|_| app.delete(michael.path()).by(&admin))).await;
    assert_eq!(statuses(&answers), [200, 404, 404, 404]);
}

#[tokio::test]
async fn two_updates_that_want_one_address_do_not_both_get_it() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let other = app.person("somebody").await;
    let calls = [&michael, &other].map(|person| {
        let body = json!({"username": person.username, "email": "wanted@example.com"});
        app.put(person.path()).by(person).json(body)
    });
    assert_eq!(statuses(&at_once(calls).await), [200, 409]);
}

#[tokio::test]
async fn logging_out_during_a_refresh_leaves_no_session() {
    let app = TestApp::spawn().await;
    for round in 0..5 {
        let michael = app.person(&format!("michael-{round}")).await;
        let body = json!({"refresh_token": michael.refresh_token});
        let calls = [app.post("/auth/logout").by(&michael), app.post("/auth/refresh").json(body)];
        let answers = at_once(calls).await;
        assert!(answers.iter().all(|answer| [200, 204, 401].contains(&answer.status)));
        assert!(!app.opens(&michael.access_token).await);
        for answer in answers.iter().filter(|answer| answer.status == 200) {
            assert!(!app.opens(answer.json()["access_token"].as_str().unwrap()).await);
        }
    }
}

#[tokio::test]
async fn tries_at_once_are_all_counted() {
    let app = TestApp::with(&[
        ("THROTTLE", "on"),
        ("THROTTLE_ACCOUNT", "5/60"),
        ("THROTTLE_ADDRESS", "1000/60"),
    ])
    .await;
    let calls = (0..12).map(|_| {
        let body = json!({"email": "nobody@example.com", "password": "not the password"});
        app.post("/auth/login").json(body)
    });
    let refused = at_once(calls).await.iter().filter(|answer| answer.status == 429).count();
    assert_eq!(refused, 7);
}

/// Signs Michael in while `change` is made: when the password has been verified, and before the
/// session has begun.
async fn sign_in_during(app: &TestApp, change: &str) -> Answer {
    let body = json!({"email": "michael@example.com", "password": PASSWORD});
    during(app, change, app.post("/auth/login").json(body)).await
}

/// Changes Michael's password while `change` is made: when hashes have been computed, and before the
/// new one is stored.
async fn change_password_during(app: &TestApp, michael: &Person, change: &str) -> Answer {
    let body = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
    during(app, change, app.put("/auth/password").by(michael).json(body)).await
}

/// Makes a call that waits for the rows that `change` changes.
async fn during(app: &TestApp, change: &str, call: Call) -> Answer {
    let (mut changing, watching) = (app.database.client().await, app.database.client().await);
    let transaction = changing.transaction().await.unwrap();
    transaction.batch_execute(change).await.unwrap();
    let answer = tokio::spawn(async { call.await });
    let waiting = "SELECT count(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while watching.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(!answer.is_finished(), "it did not wait");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    transaction.commit().await.unwrap();
    answer.await.unwrap()
}

#[tokio::test]
async fn a_sign_in_does_not_outlive_a_change_of_its_password() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    let answer = sign_in_during(&app, "UPDATE users SET password_hash = NULL").await;
    answer.problem(401, "incorrect_credentials");
    assert_eq!(count(&app, "sessions").await, 0);
}

#[tokio::test]
async fn a_sign_in_goes_on_where_only_the_hash_is_renewed() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    app.register("somebody").await;
    let change = "UPDATE users SET password_hash = \
                  (SELECT password_hash FROM users WHERE username = 'somebody')";
    let tokens = sign_in_during(&app, change).await.ok(200);
    assert!(app.opens(tokens["access_token"].as_str().unwrap()).await);
}

#[tokio::test]
async fn a_sign_in_of_somebody_who_is_removed_meanwhile_fails_as_any_other() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    let answer = sign_in_during(&app, "DELETE FROM users").await;
    answer.problem(401, "incorrect_credentials");
}

/// The owner has changed it, and who knows the old one must not change it back.
#[tokio::test]
async fn a_password_change_does_not_outlive_another_one() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let change = "UPDATE users SET password_hash = NULL";
    change_password_during(&app, &michael, change).await.problem(403, "incorrect_password");
    app.sign_in(&michael.email, NEW_PASSWORD).await.problem(401, "incorrect_credentials");
    assert!(app.opens(&michael.access_token).await, "a session of its own was not ended");
}

#[tokio::test]
async fn a_password_change_does_not_outlive_its_session() {
    for change in [
        "DELETE FROM sessions",
        "UPDATE users SET active = false; DELETE FROM sessions",
        "DELETE FROM users",
    ] {
        let app = TestApp::spawn().await;
        let michael = app.person("michael").await;
        change_password_during(&app, &michael, change).await.problem(401, "token_invalid");
        app.database.execute("UPDATE users SET active = true").await;
        let answer = app.sign_in(&michael.email, NEW_PASSWORD).await;
        answer.problem(401, "incorrect_credentials");
    }
}

#[tokio::test]
async fn a_password_change_goes_on_where_only_the_hash_is_renewed() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    app.register("somebody").await;
    let change = "UPDATE users SET password_hash = \
                  (SELECT password_hash FROM users WHERE username = 'somebody')";
    change_password_during(&app, &michael, change).await.ok(204);
    app.sign_in(&michael.email, NEW_PASSWORD).await.ok(200);
}

async fn count(app: &TestApp, table: &str) -> i64 {
    let client = app.database.client().await;
    client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn migrations_at_once_wait_for_each_other() {
    let database = Database::empty().await;
    let mut running = JoinSet::new();
    for _ in 0..4 {
        let url = database.url();
        running.spawn(async move { tests::app::migrate(&url).await });
    }
    running.join_all().await;
    let migrated = Database::migrated().await;
    let schema = tests::database::schema(&database.client().await).await;
    assert_eq!(schema, tests::database::schema(&migrated.client().await).await);
}

/// More than the queue of passwords to hash holds: the rest is told to come again, at once.
#[tokio::test]
async fn a_flood_of_logins_is_shed_and_the_rest_goes_on() {
    let app = TestApp::spawn().await;
    app.register("michael").await;
    let flood = (0..300).map(|_| {
        let body = json!({"email": "michael@example.com", "password": PASSWORD});
        app.post("/auth/login").json(body)
    });
    let start = std::time::Instant::now();
    let flood = tokio::spawn(at_once(flood.collect::<Vec<_>>()));
    app.get("/ping").await.ok(200);
    app.get("/users").await.ok(200);
    let meanwhile = start.elapsed();
    let answers = flood.await.unwrap();
    let took = start.elapsed();
    assert!(meanwhile < Duration::from_secs(2).max(took / 2), "{meanwhile:?} of {took:?}");
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    assert!((1..300).contains(&served), "{served} of 300 were served");
    let shed = |code: &str| {
        let of_code = answers.iter().filter(|answer| answer.text().contains(code));
        of_code.inspect(|answer| drop(answer.problem(503, code))).count()
    };
    // On a busy machine some wait too long for a connection before they come to the queue.
    let shed = [shed("overloaded"), shed("database_unavailable")];
    assert!(shed[0] > 0, "the queue took everything");
    assert_eq!(served + shed[0] + shed[1], 300, "nothing else was answered");
}
