//! As whom the API is called.

use serde_json::json;
use tests::{
    Database, PASSWORD,
    program::{QUIET, Serving},
};

/// The number of the account that calls: so great that no generated request removes it by chance.
const ID: i64 = 7_000_000_000_001;

/// A running API, and somebody who calls it.
pub(crate) struct Role {
    pub(crate) serving: Serving,
    pub(crate) access_token: Option<String>,
    _database: Database,
}

impl Role {
    /// Without a token.
    pub(crate) async fn nobody() -> Self {
        let database = Database::migrated().await;
        let serving = Serving::start(&[("DATABASE_URL", &database.url()), ("RUST_LOG", QUIET)]);
        // Somebody must be there to be found.
        for name in ["michael", "michaelherman"] {
            register(&serving, name).await;
        }
        Self { serving, access_token: None, _database: database }
    }

    /// With a user's token.
    pub(crate) async fn user() -> Self {
        let mut role = Self::nobody().await;
        register(&role.serving, "the-caller").await;
        let renumber = format!("UPDATE users SET id = {ID} WHERE username = 'the-caller'");
        role._database.execute(&renumber).await;
        let body = json!({"email": "the-caller@example.com", "password": PASSWORD});
        let tokens = role.serving.client().post("/auth/login").json(body).await.ok(200);
        role.access_token = tokens["access_token"].as_str().map(str::to_owned);
        role
    }

    /// Fails if the token no longer opens anything: then all answers since were the same refusal.
    pub(crate) async fn is_signed_in(&self) {
        let token = self.access_token.as_deref().unwrap();
        self.serving.client().get("/auth/status").bearer(token).await.ok(200);
    }

    /// With an administrator's token.
    pub(crate) async fn administrator() -> Self {
        let role = Self::user().await;
        let promote = format!("UPDATE users SET is_admin = true WHERE id = {ID}");
        role._database.execute(&promote).await;
        role
    }
}

async fn register(serving: &Serving, name: &str) {
    let email = format!("{name}@example.com");
    let body = json!({"username": name, "email": email, "password": PASSWORD});
    serving.client().post("/auth/register").json(body).await.ok(201);
}
