//! `users seed_db` and `users create_admin`.

use serde_json::json;
use tests::{
    Answer, Client, Database, PASSWORD,
    program::{Serving, run, run_with_input},
};

use super::STRONG_KEY;

const ADD: [&str; 5] = ["create_admin", "--username", "boss", "--email", "boss@example.com"];

async fn sign_in(client: &Client, email: &str, password: &str) -> Answer {
    client.post("/auth/login").json(json!({"email": email, "password": password})).await
}

async fn is_admin(client: &Client, email: &str, password: &str) -> bool {
    let tokens = sign_in(client, email, password).await.ok(200);
    let token = tokens["access_token"].as_str().unwrap();
    client.get("/auth/status").bearer(token).await.ok(200)["is_admin"].as_bool().unwrap()
}

#[tokio::test]
async fn the_example_users_can_sign_in_outside_production() {
    let database = Database::migrated().await;
    let url = database.url();
    let settings = [("DATABASE_URL", url.as_str())];
    let seeded = run(&["seed_db"], &settings);
    let said = seeded.succeeded().to_owned();
    assert!(said.contains("admin@example.com") && said.contains(PASSWORD), "{said}");

    let serving = Serving::start(&settings);
    let client = serving.client();
    for (email, admin) in
        [("hermanmu@gmail.com", false), ("michael@mherman.org", false), ("admin@example.com", true)]
    {
        assert_eq!(is_admin(&client, email, PASSWORD).await, admin, "{email}");
    }
    run(&["seed_db"], &settings).succeeded();
    let users = client.get("/users").await.ok(200);
    let names: Vec<_> = users.as_array().unwrap().iter().map(|u| u["username"].clone()).collect();
    assert_eq!(names, ["michael", "michaelherman", "admin"], "added once");
}

#[tokio::test]
async fn in_production_nobody_gets_a_known_password() {
    let database = Database::migrated().await;
    let url = database.url();
    let settings =
        [("APP_ENV", "production"), ("SECRET_KEY", STRONG_KEY), ("DATABASE_URL", url.as_str())];
    let seeded = run(&["seed_db"], &settings);
    assert!(seeded.succeeded().contains("locked"), "{}", seeded.stdout);
    let serving = Serving::start(&[("DATABASE_URL", &url)]);
    let client = serving.client();
    for email in ["hermanmu@gmail.com", "michael@mherman.org", "admin@example.com"] {
        sign_in(&client, email, PASSWORD).await.problem(401, "incorrect_credentials");
    }
    assert_eq!(client.get("/users").await.ok(200).as_array().unwrap().len(), 2, "no admin");
}

#[tokio::test]
async fn in_production_the_password_comes_from_the_environment() {
    let database = Database::migrated().await;
    let url = database.url();
    let settings = [
        ("APP_ENV", "production"),
        ("SECRET_KEY", STRONG_KEY),
        ("DATABASE_URL", url.as_str()),
        ("SEED_PASSWORD", "paper river candle"),
    ];
    let seeded = run(&["seed_db"], &settings);
    assert!(!seeded.succeeded().contains("paper river"), "{}", seeded.stdout);
    let serving = Serving::start(&[("DATABASE_URL", &url)]);
    let client = serving.client();
    assert!(!is_admin(&client, "michael@mherman.org", "paper river candle").await);
    let weak = [&settings[..3], &[("SEED_PASSWORD", "short")]].concat();
    assert!(run(&["seed_db"], &weak).failed().contains("SEED_PASSWORD"));
}

#[tokio::test]
async fn an_admins_password_comes_from_standard_input_or_the_environment() {
    for (input, variable) in [("paper river candle\n", ""), ("", "paper river candle")] {
        let database = Database::migrated().await;
        let url = database.url();
        let settings = [("DATABASE_URL", url.as_str()), ("ADMIN_PASSWORD", variable)];
        let added = run_with_input(&ADD, &settings, input);
        assert!(added.succeeded().contains("boss@example.com"), "{}", added.stdout);
        assert!(!added.output().contains("paper river"), "{}", added.output());
        let serving = Serving::start(&settings[..1]);
        assert!(is_admin(&serving.client(), "boss@example.com", "paper river candle").await);
    }
}

#[tokio::test]
async fn the_rules_hold_for_admins_too() {
    let database = Database::migrated().await;
    let url = database.url();
    let settings = [("DATABASE_URL", url.as_str())];
    for weak in ["\n", "short\n", "password1234\n", "boss@example.com\n"] {
        let refused = run_with_input(&ADD, &settings, weak).failed();
        assert!(refused.contains("assword"), "{weak:?}: {refused}");
    }
    let rows = [("b", "boss@example.com", "username"), ("boss", "boss", "email")];
    for (username, email, field) in rows {
        let arguments = ["create_admin", "--username", username, "--email", email];
        let refused = run_with_input(&arguments, &settings, "paper river candle\n").failed();
        assert!(refused.contains(field), "{refused}");
    }
    let client = database.client().await;
    let row = client.query_one("SELECT count(*) FROM users", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
}

/// Anybody can sign up with any address: who did so first is not made an administrator by mistake.
#[tokio::test]
async fn somebody_who_is_there_already_is_promoted_only_by_name_and_keeps_the_password() {
    let database = Database::migrated().await;
    let url = database.url();
    let settings = [("DATABASE_URL", url.as_str())];
    let serving = Serving::start(&settings);
    let client = serving.client();
    let body = json!({"username": "chief", "email": "BOSS@example.com", "password": PASSWORD});
    let user = client.post("/auth/register").json(body).await.ok(201);
    let refused = run_with_input(&ADD, &settings, "paper river candle\n").failed();
    for said in [&format!("user {}", user["id"]), "chief", "BOSS@example.com", "--promote"] {
        assert!(refused.contains(said), "{said}: {refused}");
    }
    assert!(!is_admin(&client, "boss@example.com", PASSWORD).await);

    let promote = |username: &str, email: &str| {
        let command = ["create_admin", "--promote", "--username", username, "--email", email];
        run(&command, &settings)
    };
    let refused = promote("boss", "boss@example.com").failed();
    assert!(refused.contains("chief"), "{refused}");
    let refused = promote("chief", "chief@example.com").failed();
    assert!(refused.contains("no user"), "{refused}");
    assert!(!is_admin(&client, "boss@example.com", PASSWORD).await);
    promote("chief", "boss@example.com").succeeded();
    assert!(is_admin(&client, "boss@example.com", PASSWORD).await);
    let answer = sign_in(&client, "boss@example.com", "paper river candle").await;
    answer.problem(401, "incorrect_credentials");
    let again = run_with_input(&ADD, &settings, "paper river candle\n").failed();
    assert!(again.contains("already"), "{again}");
}
