//! Whether an account exists must not be told by how long a refusal takes.
//!
//! Two medians always differ by something. How much they differ by chance is measured in the same
//! run: one kind of refusal is timed twice as often as the others, as two groups that are equal but
//! for chance. The tries of both, thrown together and split at random many times, give the spread
//! of such differences on this machine at this hour; a difference that is no larger than
//! [`ERRORS`] times that is noise.

use std::time::Instant;

use serde_json::json;
use tests::{Database, PASSWORD, program::Serving};

/// Tries of each group; where so much else goes on that they say too little, as many again.
const TRIES: usize = 200;
const MOST: usize = 5 * TRIES;
/// How many spreads two medians may be apart: by chance alone more comes once in a million runs.
const ERRORS: f64 = 5.0;
/// How often the equal tries are split anew.
const SPLITS: usize = 2_000;
/// A difference of this share of the median must be seen, or the tries say too little. A refusal that
/// saves the hash saves nearly all of it.
const RESOLUTION: f64 = 0.2;

/// The groups: who tries to sign in, and as whom.
const GROUPS: [(&str, &str); 4] = [
    ("wrong password", "michael"),
    ("wrong password again", "michael"),
    ("unknown account", "nobody"),
    ("deactivated account", "deactivated"),
];

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn difference(one: &[f64], other: &[f64]) -> f64 {
    median(one.to_vec()) - median(other.to_vec())
}

/// The standard deviation of the difference between the medians of two equal groups: all their tries
/// are shuffled and split in two, over and over.
#[expect(clippy::as_conversions, reason = "two thousand is exact")]
fn spread(one: &[f64], other: &[f64]) -> f64 {
    let mut all = [one, other].concat();
    let mut dice = Dice(1);
    let squares: f64 = (0..SPLITS)
        .map(|_| {
            for last in (1..all.len()).rev() {
                all.swap(last, dice.below(last + 1));
            }
            let (left, right) = all.split_at(one.len());
            difference(left, right).powi(2)
        })
        .sum();
    (squares / SPLITS as f64).sqrt()
}

/// How far two medians may be apart by chance: what the two equal groups, the first two, show.
fn noise(times: &[Vec<f64>; GROUPS.len()]) -> f64 {
    ERRORS * spread(&times[0], &times[1])
}

/// Marsaglia's xorshift: the same splits in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let bound = u64::try_from(bound).unwrap();
        usize::try_from(self.0 % bound).unwrap()
    }
}

#[test]
fn the_spread_is_that_of_the_times() {
    // Of two medians of 200 values that are spread evenly over one millisecond: 1/√800, √2 times.
    let even: Vec<f64> = (0..TRIES).map(|n| f64::from(u32::try_from(n).unwrap()) / 200.0).collect();
    let spread = spread(&even, &even);
    assert!((0.03..0.07).contains(&spread), "{spread}");
}

#[tokio::test]
async fn unknown_wrong_and_deactivated_take_as_long() {
    let database = Database::migrated().await;
    // Tries are counted as in production, and none is too many.
    let limits = ["THROTTLE_ACCOUNT", "THROTTLE_ADDRESS", "THROTTLE_REGISTER"];
    let limits = limits.map(|limit| (limit, "1000000/1"));
    let url = database.url();
    let serving =
        Serving::start(&[&[("DATABASE_URL", &*url), ("THROTTLE", "on")], &limits[..]].concat());
    let client = serving.client();
    for name in ["michael", "deactivated"] {
        let email = format!("{name}@example.com");
        let body = json!({"username": name, "email": email, "password": PASSWORD});
        client.post("/auth/register").json(body).await.ok(201);
    }
    database.execute("UPDATE users SET active = false WHERE username = 'deactivated'").await;

    let mut times = [const { Vec::new() }; GROUPS.len()];
    let mut refused_early = Vec::new();
    for round in 0..MOST {
        if round > 0 && round % TRIES == 0 && noise(&times) < RESOLUTION * median(times[0].clone())
        {
            break;
        }
        // In turns, and each at each place in turn, so that whatever else the machine does, and
        // whatever one try leaves behind for the next, falls on all alike.
        for place in 0..GROUPS.len() {
            let group = (round + place) % GROUPS.len();
            let email = format!("{}@example.com", GROUPS[group].1);
            let body = json!({"email": email, "password": "not the one"});
            let begin = Instant::now();
            client.post("/auth/login").json(body).await.problem(401, "incorrect_credentials");
            times[group].push(begin.elapsed().as_secs_f64() * 1000.0);
        }
        let body = json!({"email": "x"});
        let begin = Instant::now();
        client.post("/auth/login").json(body).await.problem(422, "validation_failed");
        refused_early.push(begin.elapsed().as_secs_f64() * 1000.0);
    }

    let [wrong, again, unknown, deactivated] = &times;
    let of_wrong = median(wrong.clone());
    let noise = noise(&times);
    for ((about, _), times) in GROUPS.iter().zip(&times) {
        println!(
            "{about:21} {} tries, median {:.3} ms, {:+.3} ms beside the first",
            times.len(),
            median(times.clone()),
            difference(times, wrong)
        );
    }
    println!(
        "noise: {noise:.3} ms, {:.1} % of the median; less cannot be told from chance",
        noise / of_wrong * 100.0
    );
    let differs = |times: &[f64]| difference(times, wrong).abs() > noise;
    assert!(!differs(again), "the same takes another time: the noise is not what it seems");
    assert!(!differs(unknown), "an unknown account takes another time");
    assert!(!differs(deactivated), "a deactivated account takes another time");
    // Without this the above would prove nothing: what does take another time is seen.
    assert!(
        differs(&refused_early),
        "too much goes on here: {of_wrong} ms and {} ms",
        median(refused_early)
    );
}
