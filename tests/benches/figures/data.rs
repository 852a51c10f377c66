//! Databases with many users, and persons who can sign in.

use serde_json::json;
use tests::{Client, Database, PASSWORD};

/// The person that the cases sign in as.
pub(crate) const EMAIL: &str = "somebody@example.com";

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

/// Signs [`EMAIL`] up.
pub(crate) async fn sign_up(client: &Client) {
    let person = json!({"username": "somebody", "email": EMAIL, "password": PASSWORD});
    client.post("/auth/register").json(person).await.ok(201);
}

/// Signs [`EMAIL`] in.
pub(crate) async fn sign_in(client: &Client) -> Tokens {
    let login = json!({"email": EMAIL, "password": PASSWORD});
    let tokens = client.post("/auth/login").json(login).await.ok(200);
    let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
    Tokens { access: text("access_token"), refresh: text("refresh_token") }
}
