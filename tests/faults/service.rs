//! A PostgreSQL with people in it, and the program on it.

use serde_json::{Value, json};
use tests::{Client, PASSWORD, app::migrate, database, postgres::Postgres, program::Serving};

/// How many people the list begins with; nobody changes these.
const FILLERS: u32 = 200;

/// The database's part.
pub(crate) async fn postgres() -> Postgres {
    let postgres = Postgres::start().await;
    migrate(&postgres.url()).await;
    let fill = format!(
        "INSERT INTO users (username, email, created_date)
         SELECT 'filler-' || n, 'filler-' || n || '@example.com', now()
         FROM generate_series(1, {FILLERS}) AS n"
    );
    database::connect(&postgres.url()).await.batch_execute(&fill).await.unwrap();
    postgres
}

/// The program on a database, with more settings, or others.
pub(crate) fn serve(url: &str, settings: &[(&str, &str)]) -> Serving {
    let all = [&[("DATABASE_URL", url), ("LOG_FORMAT", "json")], settings].concat();
    Serving::start(&all)
}

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) user: Value,
    pub(crate) email: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

/// People who have signed up and in.
pub(crate) async fn people(client: &Client, count: usize) -> Vec<Person> {
    let mut people = Vec::new();
    for number in 0..count {
        let name = format!("person-{number}");
        let email = format!("{name}@example.com");
        let body = json!({"username": name, "email": email, "password": PASSWORD});
        let user = client.post("/auth/register").json(body).await.ok(201);
        let body = json!({"email": email, "password": PASSWORD});
        let tokens = client.post("/auth/login").json(body).await.ok(200);
        let token = |name: &str| tokens[name].as_str().unwrap().to_owned();
        people.push(Person {
            user,
            email,
            access_token: token("access_token"),
            refresh_token: token("refresh_token"),
        });
    }
    people
}
