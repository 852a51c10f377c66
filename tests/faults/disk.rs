//! The database's disk is full: what reads goes on, what writes is refused for the time being.
//!
//! Here a trigger says so, table by table, and on every machine. A disk that really fills up is in
//! the suite `containers`.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{PASSWORD, database};

use crate::service::{people, postgres, serve};

/// What PostgreSQL says when a table cannot grow.
const FULL: &str = r#"
    CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'could not extend file "base/5/16384": No space left on device'
            USING ERRCODE = '53100', HINT = 'Check free disk space.';
    END $$;
"#;

/// The operations that write.
const REGISTER: &str = "register";
const LOGIN: &str = "login";
const REFRESH: &str = "refresh";
const CHANGE: &str = "change";
const PASSWORDS: &str = "change the password";

/// Each table, and what cannot be done without it.
const TABLES: [(&str, &[&str]); 4] = [
    ("users", &[REGISTER, CHANGE, PASSWORDS]),
    ("sessions", &[LOGIN, REFRESH]),
    ("refresh_tokens", &[LOGIN, REFRESH]),
    ("throttle", &[LOGIN, PASSWORDS]),
];

/// How often each is tried.
const ROUNDS: usize = 5;

#[tokio::test]
async fn full() {
    let postgres = postgres().await;
    // Tries are counted as ever, and none is too many.
    let limits = ["THROTTLE_ACCOUNT", "THROTTLE_ADDRESS", "THROTTLE_REGISTER"];
    let limits = limits.map(|limit| (limit, "100000/60"));
    let serving = serve(&postgres.url(), &[&[("THROTTLE", "on")], &limits[..]].concat());
    let client = serving.client();
    let [person] = <[_; 1]>::try_from(people(&client, 1).await).unwrap();
    let path = contract::paths::user(person.user["id"].as_i64().unwrap());
    let admin = database::connect(&postgres.url()).await;
    admin.batch_execute(FULL).await.unwrap();

    let (mut refresh_token, mut newcomers) = (person.refresh_token.clone(), 0);
    let mut call = async |operation: &str| {
        let (call, success) = match operation {
            REGISTER => {
                newcomers += 1;
                let (name, password) = (format!("newcomer-{newcomers}"), PASSWORD);
                let email = format!("{name}@x.y");
                let body = json!({"username": name, "email": email, "password": password});
                (client.post("/auth/register").json(body), 201)
            }
            LOGIN => {
                let body = json!({"email": person.email, "password": PASSWORD});
                (client.post("/auth/login").json(body), 200)
            }
            REFRESH => {
                let body = json!({"refresh_token": refresh_token});
                (client.post("/auth/refresh").json(body), 200)
            }
            CHANGE => {
                let body = json!({"username": "changed", "email": person.email});
                (client.put(&path).bearer(&person.access_token).json(body), 200)
            }
            PASSWORDS => {
                let body = json!({"current_password": PASSWORD, "new_password": PASSWORD});
                (client.put("/auth/password").bearer(&person.access_token).json(body), 204)
            }
            other => unreachable!("{other}"),
        };
        let answer = call.await;
        if operation == REFRESH && answer.status == success {
            refresh_token = answer.json()["refresh_token"].as_str().unwrap().to_owned();
        }
        (answer, success)
    };

    let (mut refused, mut done, mut reads, mut recovery) = (0, 0, 0, Duration::ZERO);
    for (table, needing) in TABLES {
        let trigger = format!(
            "CREATE TRIGGER no_space BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION no_space()"
        );
        admin.batch_execute(&trigger).await.unwrap();
        for _ in 0..ROUNDS {
            for operation in [REGISTER, LOGIN, REFRESH, CHANGE, PASSWORDS] {
                let (answer, success) = call(operation).await;
                if needing.contains(&operation) {
                    answer.problem(503, "database_unavailable");
                    refused += 1;
                } else {
                    answer.ok(success);
                    done += 1;
                }
            }
            client.get(&path).await.ok(200);
            client.get("/users").await.ok(200);
            client.get("/auth/status").bearer(&person.access_token).await.ok(200);
            client.get("/auth/sessions").bearer(&person.access_token).await.ok(200);
            reads += 4;
        }
        let room = format!("DROP TRIGGER no_space ON {table}");
        admin.batch_execute(&room).await.unwrap();
        let mended = Instant::now();
        for operation in [REGISTER, LOGIN, REFRESH, CHANGE, PASSWORDS] {
            let (answer, success) = call(operation).await;
            answer.ok(success);
        }
        recovery = recovery.max(mended.elapsed());
    }
    println!(
        "disk full, table by table: {refused} writes refused with 503, {done} to other tables done, \
         {reads} reads right; all right {:.2} s after it ended",
        recovery.as_secs_f64()
    );
    // Each at the first try; the rest is for a machine that other tests keep busy.
    assert!(recovery < Duration::from_secs(10), "{recovery:?}");
}
