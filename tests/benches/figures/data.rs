//! Databases with many users, and persons who can sign in.

use serde_json::json;
use tests::{Client, Database, PASSWORD};

/// How many persons sign in, at first to last `person-1@example.com`, `person-2@example.com`…
pub(crate) const PERSONS: usize = 64;

/// A database with users whose numbers are 1 to `count`.
pub(crate) async fn with_users(count: i64) -> Database {
    let database = Database::migrated().await;
    let insert = format!(
        "INSERT INTO users (username, email, created_date) \
         SELECT 'user-' || n, 'user-' || n || '@example.com', now() \
         FROM generate_series(1, {count}) AS n"
    );
    database.execute(&insert).await;
    database.execute("VACUUM (FREEZE, ANALYZE) users").await;
    database
}

/// A person's tokens.
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// Signs all of them up.
pub(crate) async fn sign_up(client: &Client) {
    for number in 1..=PERSONS {
        let (username, email) = (format!("person-{number}"), email(number));
        let person = json!({"username": username, "email": email, "password": PASSWORD});
        client.post("/auth/register").json(person).await.ok(201);
    }
}

fn email(number: usize) -> String {
    format!("person-{number}@example.com")
}

/// Signs the first of them in.
pub(crate) async fn sign_in(client: &Client) -> Tokens {
    let login = json!({"email": email(1), "password": PASSWORD});
    let tokens = client.post("/auth/login").json(login).await.ok(200);
    let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
    Tokens { access: text("access_token"), refresh: text("refresh_token") }
}
