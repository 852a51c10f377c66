//! Whether an account exists must not be told by how long a refusal takes.

use std::time::Instant;

use serde_json::json;
use tests::{Database, PASSWORD, program::Serving};

/// Tries of each kind.
const TRIES: usize = 200;
/// Of what two medians differ by chance, this many standard errors are allowed: by chance alone
/// more comes once in a million runs.
const ERRORS: f64 = 5.0;
/// Less than this share of the median nobody can tell over a network.
const SHARE: f64 = 0.03;

/// Times in milliseconds.
#[derive(Debug, Default)]
struct Times(Vec<f64>);

impl Times {
    fn median(&self) -> f64 {
        median(self.0.clone())
    }

    /// The standard error of the median, from the median deviation, which outliers do not move.
    #[expect(clippy::as_conversions, reason = "two hundred is exact")]
    fn error(&self) -> f64 {
        let median = self.median();
        let deviation = self.0.iter().map(|time| (time - median).abs()).collect();
        // 1.4826 makes it a standard deviation, and 1.2533 a mean's error a median's.
        self.0.first().map_or(0.0, |_| {
            self::median(deviation) * 1.4826 * 1.2533 / (self.0.len() as f64).sqrt()
        })
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Whether two kinds can be told apart.
fn differ(one: &Times, other: &Times) -> bool {
    let allowed = (ERRORS * one.error().hypot(other.error())).max(SHARE * one.median());
    (one.median() - other.median()).abs() > allowed
}

#[tokio::test]
async fn unknown_wrong_and_deactivated_take_as_long() {
    let database = Database::migrated().await;
    let serving = Serving::start(&[("DATABASE_URL", &database.url())]);
    let client = serving.client();
    for name in ["michael", "deactivated"] {
        let email = format!("{name}@example.com");
        let body = json!({"username": name, "email": email, "password": PASSWORD});
        client.post("/auth/register").json(body).await.ok(201);
    }
    database.execute("UPDATE users SET active = false WHERE username = 'deactivated'").await;

    let kinds = ["michael", "nobody", "deactivated"];
    let mut times = [const { Times(Vec::new()) }; 3];
    let mut refused_early = Times::default();
    // In turns, so that whatever else the machine does falls on all alike.
    for _ in 0..TRIES {
        for (kind, times) in kinds.iter().zip(&mut times) {
            let body = json!({"email": format!("{kind}@example.com"), "password": "not the one"});
            let begin = Instant::now();
            client.post("/auth/login").json(body).await.problem(401, "incorrect_credentials");
            times.0.push(begin.elapsed().as_secs_f64() * 1000.0);
        }
        let begin = Instant::now();
        client
            .post("/auth/login")
            .json(json!({"email": "x"}))
            .await
            .problem(422, "validation_failed");
        refused_early.0.push(begin.elapsed().as_secs_f64() * 1000.0);
    }

    let [wrong, unknown, deactivated] = &times;
    for (about, times) in [("wrong", wrong), ("unknown", unknown), ("deactivated", deactivated)] {
        let (median, error) = (times.median(), times.error());
        println!("{about:12} {TRIES} tries, median {median:.3} ms, its error {error:.3} ms");
    }
    assert!(!differ(wrong, unknown), "an unknown account takes another time");
    assert!(!differ(wrong, deactivated), "a deactivated account takes another time");
    // Without this the above would prove nothing: what does take another time is seen.
    assert!(differ(wrong, &refused_early), "{wrong:?} {refused_early:?}");
}
