//! The database's disk is full: what reads goes on, what writes is refused for the time being.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{PASSWORD, database};

use crate::service::{people, postgres, serve};

/// What PostgreSQL says when a table cannot grow, by a trigger: to fill a real disk takes rights
/// that not everybody has who runs this.
const FULL: &str = r#"
    CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'could not extend file "base/5/16384": No space left on device'
            USING ERRCODE = '53100', HINT = 'Check free disk space.';
    END $$;
    CREATE TRIGGER no_space BEFORE INSERT OR UPDATE ON users EXECUTE FUNCTION no_space();
    CREATE TRIGGER no_space BEFORE INSERT OR UPDATE ON sessions EXECUTE FUNCTION no_space();
    CREATE TRIGGER no_space BEFORE INSERT OR UPDATE ON refresh_tokens EXECUTE FUNCTION no_space();
"#;

#[tokio::test]
async fn full() {
    let postgres = postgres().await;
    let serving = serve(&postgres.url(), &[]);
    let client = serving.client();
    let [person] = <[_; 1]>::try_from(people(&client, 1).await).unwrap();
    let path = contract::paths::user(person.user["id"].as_i64().unwrap());
    let admin = database::connect(&postgres.url()).await;

    admin.batch_execute(FULL).await.unwrap();
    let register = |name: &str| {
        let body = json!({"username": name, "email": format!("{name}@x.y"), "password": PASSWORD});
        client.post("/auth/register").json(body)
    };
    let login = || {
        let body = json!({"email": person.email, "password": PASSWORD});
        client.post("/auth/login").json(body)
    };
    let refresh =
        || client.post("/auth/refresh").json(json!({"refresh_token": person.refresh_token}));
    let change = || {
        let body = json!({"username": "changed", "email": person.email});
        client.put(&path).bearer(&person.access_token).json(body)
    };
    let mut requests = 0;
    for _ in 0..50 {
        client.get(&path).await.ok(200);
        client.get("/users").await.ok(200);
        client.get("/auth/status").bearer(&person.access_token).await.ok(200);
        for writing in [register("newcomer"), login(), refresh(), change()] {
            writing.await.problem(503, "database_unavailable");
            requests += 1;
        }
    }

    admin.batch_execute("DROP FUNCTION no_space CASCADE").await.unwrap();
    let mended = Instant::now();
    register("newcomer").await.ok(201);
    login().await.ok(200);
    refresh().await.ok(200);
    change().await.ok(200);
    let recovery = mended.elapsed();
    println!(
        "{:34} {requests:6} writes refused with 503, {} reads right, all right {:.2} s after it ended",
        "disk full",
        150,
        recovery.as_secs_f64()
    );
    assert!(recovery < Duration::from_secs(2), "{recovery:?}");
}
