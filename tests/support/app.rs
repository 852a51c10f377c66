//! The API in this process, on a free port, with a database and a clock of its own.

use std::ops::Deref;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use users::{
    clock::Clock,
    config::{Config, DatabaseConfig, Env},
    startup::Application,
};

use crate::{Answer, Client, Database, PASSWORD, SECRET_KEY};

/// When every test begins.
const START: &str = "2026-03-29T00:30:00Z";

/// A running API. Calls go through the [`Client`] that it derefs to.
#[derive(Debug)]
pub struct TestApp {
    client: Client,
    // In this order: the server stops before its database is dropped.
    _server: Server,
    /// The API's clock, which stands still until a test moves it.
    pub clock: Clock,
    /// The API's database.
    pub database: Database,
}

impl TestApp {
    /// The API with the settings of a test.
    pub async fn spawn() -> Self {
        Self::with(&[]).await
    }

    /// The API with more settings, or others.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let database = Database::migrated().await;
        let clock = Clock::fixed(START.parse::<DateTime<Utc>>().unwrap());
        Self::on(database, clock, settings).await
    }

    /// The API on a database that is there already, as after a restart.
    pub async fn on(database: Database, clock: Clock, settings: &[(&str, &str)]) -> Self {
        let server = Server::start(&database.url(), clock.clone(), settings).await;
        let client = Client::new(server.base()).checked_against_its_document().await;
        Self { client, _server: server, clock, database }
    }

    /// Another task of the same service: the same database, clock and settings.
    pub async fn second_task(&self, settings: &[(&str, &str)]) -> (Client, Server) {
        let server = Server::start(&self.database.url(), self.clock.clone(), settings).await;
        (self.client.at(server.base()), server)
    }

    /// Moves the clock.
    pub fn advance(&self, duration: chrono::Duration) {
        self.clock.advance(duration);
    }

    /// Signs up and in.
    pub async fn person(&self, name: &str) -> Person {
        let user = self.register(name).await;
        let person = Person::new(&user, name);
        person.signed_in_anew(self).await
    }

    /// Signs up, without signing in.
    pub async fn register(&self, name: &str) -> Value {
        let email = format!("{name}@example.com");
        let body = json!({"username": name, "email": email, "password": PASSWORD});
        self.post("/auth/register").json(body).await.ok(201)
    }

    /// A person who is an administrator.
    pub async fn admin(&self) -> Person {
        self.admin_named("root-of-all").await
    }

    /// One of several administrators.
    pub async fn admin_named(&self, name: &str) -> Person {
        let person = self.person(name).await;
        let promote = format!("UPDATE users SET is_admin = true WHERE id = {}", person.id);
        self.database.execute(&promote).await;
        person
    }

    /// Gives columns types that no release expects: every query is a fault of ours then.
    pub async fn spoil(&self) {
        let client = self.database.client().await;
        let constraints = "SELECT format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I CASCADE', \
                           conrelid::regclass, conname) FROM pg_constraint \
                           WHERE connamespace = 'public'::regnamespace AND contype <> 'n' \
                           UNION ALL SELECT format('DROP INDEX IF EXISTS %I', indexname) \
                           FROM pg_indexes WHERE schemaname = 'public'";
        let drop: Vec<String> =
            client.query(constraints, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
        for statement in drop {
            client.batch_execute(&statement).await.expect(&statement);
        }
        self.database
            .execute(
                "ALTER TABLE users ALTER username TYPE bytea USING '\\xff', \
                 ALTER email TYPE bytea USING '\\xff'; \
                 ALTER TABLE sessions ALTER created_date TYPE text; \
                 ALTER TABLE refresh_tokens ALTER token_hash TYPE text",
            )
            .await;
    }

    /// One try to sign in.
    pub async fn sign_in(&self, email: &str, password: &str) -> Answer {
        self.post("/auth/login").json(json!({"email": email, "password": password})).await
    }

    /// One try to refresh.
    pub async fn refresh(&self, refresh_token: &str) -> Answer {
        self.post("/auth/refresh").json(json!({"refresh_token": refresh_token})).await
    }

    /// Whether an access token opens anything.
    pub async fn opens(&self, access_token: &str) -> bool {
        let answer = self.get("/auth/status").bearer(access_token).await;
        assert!([200, 401].contains(&answer.status), "{}", answer.text());
        answer.status == 200
    }
}

impl Deref for TestApp {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// A person with an account and a session.
#[derive(Clone, Debug)]
pub struct Person {
    /// The user's number.
    pub id: i64,
    /// The user name.
    pub username: String,
    /// The e-mail address.
    pub email: String,
    /// For the `Authorization` header.
    pub access_token: String,
    /// Buys the next pair.
    pub refresh_token: String,
}

impl Person {
    fn new(user: &Value, name: &str) -> Self {
        Self {
            id: user["id"].as_i64().expect("an id"),
            username: name.to_owned(),
            email: format!("{name}@example.com"),
            access_token: String::new(),
            refresh_token: String::new(),
        }
    }

    /// The same person in one more session.
    pub async fn signed_in_anew(&self, app: &TestApp) -> Self {
        let tokens = app.sign_in(&self.email, PASSWORD).await.ok(200);
        self.with(&tokens)
    }

    /// The same person with other tokens.
    pub fn with(&self, tokens: &Value) -> Self {
        let token = |name: &str| tokens[name].as_str().expect("a token").to_owned();
        Self {
            access_token: token("access_token"),
            refresh_token: token("refresh_token"),
            ..self.clone()
        }
    }

    /// The path of this user.
    pub fn path(&self) -> String {
        contract::paths::user(self.id)
    }
}

/// A server that stops when it is dropped.
#[derive(Debug)]
pub struct Server {
    port: u16,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Starts the API on `database_url`, on a thread with a runtime of its own as in `main`.
    pub async fn start(database_url: &str, clock: Clock, settings: &[(&str, &str)]) -> Self {
        let mut variables = vec![
            ("APP_ENV", "testing"),
            ("DATABASE_TEST_URL", database_url),
            ("DATABASE_POOL_SIZE", "8"),
            ("HOST", "127.0.0.1"),
            ("PORT", "0"),
            ("SECRET_KEY", SECRET_KEY),
            ("THROTTLE", "off"),
        ];
        // Of two values for one name, the later counts.
        variables.extend_from_slice(settings);
        let mut config = Config::from_env(&variables.into_iter().collect::<Env>()).unwrap();
        config.clock = clock;

        let (started, port) = tokio::sync::oneshot::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let application = Application::build(config).await.expect("a listening API");
                let handle = application.handle();
                started.send(application.port()).unwrap();
                tokio::spawn(async move {
                    // The sender's end counts too: the test is over.
                    let _ = stopped.await;
                    handle.stop(false).await;
                });
                application.run().await.expect("the API");
            });
        });
        let port = port.await.expect("the API did not start");
        Self { port, stop: Some(stop), thread: Some(thread) }
    }

    /// The address of the API.
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed and must not hide the test's.
            let _ = thread.join();
        }
    }
}

/// Brings the database at `url` to the schema of this build.
pub async fn migrate(url: &str) {
    let environment = Env::from([("APP_ENV", "testing"), ("DATABASE_TEST_URL", url)]);
    let config = DatabaseConfig::from_env(&environment).unwrap();
    // Migrations need a runtime of several threads; the tests' own has one.
    let migrated = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.unwrap().block_on(users::db::migrate(&config)).map_err(|error| error.to_string())
    });
    let migrated = tokio::task::spawn_blocking(|| migrated.join().unwrap()).await.unwrap();
    migrated.unwrap_or_else(|error| panic!("the migrations failed: {error}"));
}
