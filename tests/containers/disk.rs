//! The database's disk fills up: a small file system, and a file beside the database that takes all
//! the room there is left.
//!
//! The write-ahead log lies elsewhere. Where that has no room, PostgreSQL ends itself, and to the
//! service that is a server that is away; see the suite `faults`.

use std::time::{Duration, Instant};

use serde_json::json;
use testcontainers_modules::{
    postgres::Postgres,
    testcontainers::{
        ContainerAsync, ImageExt,
        core::{CmdWaitFor, ExecCommand, Mount},
    },
};
use tests::{Answer, Client, PASSWORD, app::migrate, program::Serving};

use crate::{postgres, start};

/// Room for an empty database, and some megabytes.
const SIZE: &str = "32m";
/// How many requests of each kind are sent while there is no room.
const ROUNDS: usize = 20;
/// What has room in pages that are there already still succeeds: by then it no longer does.
const MOST: usize = 1_000;
/// How soon all is well again, at the first try; two passwords are hashed in that time.
const RECOVERY: Duration = Duration::from_secs(10);

async fn shell(container: &ContainerAsync<Postgres>, script: &str) {
    let command = ExecCommand::new(["sh", "-c", script]);
    let done = command.with_cmd_ready_condition(CmdWaitFor::exit_code(0));
    container.exec(done).await.expect(script);
}

/// Somebody who is signed in, and who writes.
struct Person {
    client: Client,
    path: String,
    access_token: String,
    refresh_token: String,
    newcomers: usize,
}

impl Person {
    async fn sign_up_and_in(client: Client) -> Self {
        let body = json!({"username": "michael", "email": "m@example.com", "password": PASSWORD});
        let user = client.post("/auth/register").json(body).await.ok(201);
        let path = contract::paths::user(user["id"].as_i64().unwrap());
        let nothing = String::new;
        let mut person =
            Self { client, path, access_token: nothing(), refresh_token: nothing(), newcomers: 0 };
        let answer = person.login().await;
        person.takes_tokens(&answer);
        person
    }

    fn takes_tokens(&mut self, answer: &Answer) {
        let tokens = answer.ok(200);
        let token = |name: &str| tokens[name].as_str().unwrap().to_owned();
        (self.access_token, self.refresh_token) = (token("access_token"), token("refresh_token"));
    }

    async fn register(&mut self) -> Answer {
        self.newcomers += 1;
        let name = format!("newcomer-{}", self.newcomers);
        let email = format!("{name}@example.com");
        let body = json!({"username": name, "email": email, "password": PASSWORD});
        self.client.post("/auth/register").json(body).await
    }

    async fn login(&self) -> Answer {
        let body = json!({"email": "m@example.com", "password": PASSWORD});
        self.client.post("/auth/login").json(body).await
    }

    async fn refresh(&mut self) -> Answer {
        let body = json!({"refresh_token": self.refresh_token});
        let answer = self.client.post("/auth/refresh").json(body).await;
        if answer.status == 200 {
            self.takes_tokens(&answer);
        }
        answer
    }

    async fn change(&self) -> Answer {
        let body = json!({"username": "michael", "email": "m@example.com"});
        self.client.put(&self.path).bearer(&self.access_token).json(body).await
    }

    async fn read(&self) {
        self.client.get(&self.path).await.ok(200);
        self.client.get("/users").await.ok(200);
        self.client.get("/auth/status").bearer(&self.access_token).await.ok(200);
    }
}

/// Whether it was done; if not, it was refused for the time being.
fn done(answer: &Answer, status: u16) -> bool {
    if answer.status == status {
        answer.ok(status);
        return true;
    }
    answer.problem(503, "database_unavailable");
    false
}

#[tokio::test]
async fn a_disk_that_is_full() {
    let disk = Mount::tmpfs_mount("/small").with_size(SIZE);
    let (container, server) = start(postgres().with_mount(disk)).await;
    shell(&container, "mkdir /small/data && chown postgres /small/data").await;
    let admin = tests::database::connect(&format!("{server}/postgres")).await;
    admin.batch_execute("CREATE TABLESPACE small LOCATION '/small/data'").await.unwrap();
    admin.batch_execute("CREATE DATABASE users TABLESPACE small").await.unwrap();
    let url = format!("{server}/users");
    migrate(&url).await;
    let limits = ["THROTTLE_ACCOUNT", "THROTTLE_ADDRESS", "THROTTLE_REGISTER"];
    let limits = limits.map(|limit| (limit, "100000/60"));
    let settings = [("DATABASE_URL", &*url), ("LOG_FORMAT", "json"), ("THROTTLE", "on")];
    let serving = Serving::start(&[&settings[..], &limits[..]].concat());
    let mut person = Person::sign_up_and_in(serving.client()).await;

    // It ends where there is no room left, which is no failure here.
    shell(&container, "dd if=/dev/zero of=/small/ballast bs=4k 2>/dev/null || true").await;
    let mut fitting = 0;
    while done(&person.register().await, 201) {
        fitting += 1;
        assert!(fitting < MOST, "there is always room");
    }
    while done(&person.refresh().await, 200) {
        fitting += 1;
        assert!(fitting < MOST, "there is always room");
    }
    let (mut fine, mut refused) = (0, 0);
    for _ in 0..ROUNDS {
        person.read().await;
        let answers = [
            done(&person.register().await, 201),
            done(&person.refresh().await, 200),
            done(&person.login().await, 200),
            done(&person.change().await, 200),
        ];
        let all = answers.len();
        let done = answers.into_iter().filter(|done| *done).count();
        (fine, refused) = (fine + done, refused + all - done);
    }

    shell(&container, "rm /small/ballast").await;
    let mended = Instant::now();
    person.register().await.ok(201);
    person.refresh().await.ok(200);
    person.login().await.ok(200);
    person.change().await.ok(200);
    person.read().await;
    let recovery = mended.elapsed();
    println!(
        "a disk of {SIZE} full: {fitting} writes more fitted, then {refused} refused with 503 and \
         {fine} done that needed no room, {} reads right; all right {:.2} s after there was room",
        3 * ROUNDS,
        recovery.as_secs_f64()
    );
    assert!(refused >= ROUNDS, "{refused}");
    assert!(recovery < RECOVERY, "{recovery:?}");
    serving.terminate();
    let (code, lines) = serving.finish();
    assert_eq!(code, Some(0));
    let cause = lines.iter().find(|line| line.contains("could not extend file"));
    println!("{}", cause.expect("PostgreSQL says in the log that a file cannot grow"));
    container.rm().await.unwrap();
}
