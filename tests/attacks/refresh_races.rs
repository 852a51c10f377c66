//! Pairs of refreshes at once: two tabs, or an owner and a thief. Nobody is signed out by the
//! former, and whatever happens, a session never has two tokens that both buy the next.

use std::{collections::HashMap, time::Duration};

use serde_json::{Value, json};
use tests::{Answer, Client, Database, PASSWORD, program::Serving};
use tokio::task::JoinSet;

/// Sessions that refresh at once, each twice.
const SESSIONS: usize = 50;
/// How many of them at least have come as far as their session when the first goes on: half of the
/// service's connections may be for reading.
const AT_ONCE: i64 = 8;
/// How often each does.
const ROUNDS: usize = 20;

struct Race {
    client: Client,
    database: Database,
    _serving: Serving,
}

impl Race {
    /// A service, and somebody with many sessions: their refresh tokens.
    async fn start() -> (Self, Vec<String>) {
        let database = Database::migrated().await;
        let serving = Serving::start(&[
            ("DATABASE_URL", &database.url()),
            ("DATABASE_POOL_SIZE", "20"),
            ("LOG_FORMAT", "json"),
        ]);
        let client = serving.client();
        let body = json!({"username": "michael", "email": "m@example.com", "password": PASSWORD});
        client.post("/auth/register").json(body).await.ok(201);
        let mut tokens = Vec::new();
        for _ in 0..SESSIONS {
            let body = json!({"email": "m@example.com", "password": PASSWORD});
            tokens.push(refresh_token(&client.post("/auth/login").json(body).await.ok(200)));
        }
        (Self { client, database, _serving: serving }, tokens)
    }

    /// Shows all tokens at once, each under the number that stands beside it.
    async fn show(
        &self,
        tokens: impl IntoIterator<Item = (usize, String)>,
    ) -> HashMap<usize, Vec<Answer>> {
        let mut running = JoinSet::new();
        for (number, token) in tokens {
            let client = self.client.clone();
            running.spawn(async move { (number, refresh(&client, &token).await) });
        }
        let mut answers = HashMap::<_, Vec<_>>::new();
        for (number, answer) in running.join_all().await {
            answers.entry(number).or_default().push(answer);
        }
        answers
    }

    /// How many requests wait for a session that another one has.
    async fn waiting(&self) -> i64 {
        let query = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND wait_event_type = 'Lock'";
        self.database.client().await.query_one(query, &[]).await.unwrap().get(0)
    }

    /// How many tokens that were never used each live session has.
    async fn unused(&self) -> Vec<i64> {
        let query = "SELECT count(t.token_hash) FILTER (WHERE t.used_date IS NULL) FROM sessions s
                     LEFT JOIN refresh_tokens t ON t.session_id = s.id GROUP BY s.id";
        let rows = self.database.client().await.query(query, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

/// A refresh, repeated as a client does that is told to come again.
async fn refresh(client: &Client, token: &str) -> Answer {
    loop {
        let answer = client.post("/auth/refresh").json(json!({"refresh_token": token})).await;
        if answer.status != 503 {
            return answer;
        }
        answer.problem(503, "database_unavailable");
    }
}

fn refresh_token(tokens: &Value) -> String {
    tokens["refresh_token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pairs_at_once_round_after_round() {
    let (race, mut tokens) = Race::start().await;
    let mut holder = race.database.client().await;
    for _ in 0..ROUNDS {
        let pairs: Vec<_> =
            tokens.iter().cloned().enumerate().flat_map(|pair| [pair.clone(), pair]).collect();
        // Held until many stand before the sessions: one after the other they would prove nothing.
        let hold = holder.transaction().await.unwrap();
        hold.batch_execute("SELECT FROM sessions FOR UPDATE").await.unwrap();
        let release = async {
            while race.waiting().await < AT_ONCE {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            hold.commit().await.unwrap();
        };
        for (number, answers) in tokio::join!(race.show(pairs), release).0 {
            let successors: Vec<_> = answers.iter().map(|a| refresh_token(&a.ok(200))).collect();
            assert_eq!(successors.len(), 2);
            assert_eq!(successors[0], successors[1], "one successor, not two");
            tokens[number].clone_from(&successors[0]);
        }
    }
    assert_eq!(race.unused().await, [1; SESSIONS], "each session has one token that is good");
    println!("{ROUNDS} rounds of {SESSIONS} pairs at once: no sign-in lost, no second family");
}

/// The thief has the token that the owner used last, the owner its successor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thief_and_an_owner_at_once() {
    let (race, stolen) = Race::start().await;
    let mut owned = Vec::new();
    for token in &stolen {
        owned.push(refresh_token(&refresh(&race.client, token).await.ok(200)));
    }
    let all = stolen.into_iter().enumerate().chain(owned.into_iter().enumerate());
    let mut ended = 0;
    for answers in race.show(all.collect::<Vec<_>>()).await.into_values() {
        for answer in answers {
            if answer.status == 401 {
                answer.problem(401, "token_invalid");
                ended += 1;
            } else {
                answer.ok(200);
            }
        }
    }
    let unused = race.unused().await;
    println!("{SESSIONS} thieves: {ended} answers 401, {} sessions live on", unused.len());
    assert!(unused.iter().all(|count| *count == 1), "{unused:?}");
}
