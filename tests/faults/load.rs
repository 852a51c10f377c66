//! The load: people who use the service, each in a session of their own, and know what is right.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tests::{Answer, Client, PASSWORD, http::Call};
use tokio::task::JoinSet;

use crate::{
    pings::Pings,
    service::{Person, people},
    tally::{Outcome, Tally},
};

/// The longest that anybody waits for an answer, whatever happens. The service's own limit on a
/// request is 15 s; the rest is for a machine that other tests keep busy.
pub(crate) const LIMIT: Duration = Duration::from_secs(25);

/// Between two requests of a person: enough load to have some of everything in flight, not so much
/// that the machine is what is measured.
const PAUSE: Duration = Duration::from_millis(2);

/// A page that nobody changes.
const PAGE: &str = "/users?limit=20";

/// For so many right answers that are waited for, one to `/ping` is waited for, too: or there would
/// be too few to judge, where the machine is slow with these.
const TO_A_PING: usize = 20;

/// How long right answers may be waited for; far more than any fault's recovery takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// People at work, until they are told to stop; and somebody who does nothing but `/ping`.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    right: Arc<AtomicUsize>,
    workers: JoinSet<(Tally, Worker)>,
    pings: Pings,
}

impl Load {
    /// Signs up `count` people, who then begin.
    pub(crate) async fn start(client: &Client, count: usize) -> Self {
        let page = client.get(PAGE).await;
        let page = page.ok(200);
        let (stop, right) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut workers = JoinSet::new();
        for person in people(client, count).await {
            let right = Arc::clone(&right);
            let worker = Worker::new(client.clone(), person, page.clone(), right);
            workers.spawn(worker.work(Arc::clone(&stop)));
        }
        Self { stop, right, workers, pings: Pings::start(client.base()) }
    }

    /// How many right answers have come so far.
    pub(crate) fn right(&self) -> usize {
        self.right.load(Ordering::Relaxed)
    }

    /// Waits until so many right answers more have come, and a share of that to `/ping`.
    pub(crate) async fn more(&self, count: usize) {
        let (begin, goal) = (Instant::now(), self.right() + count);
        let pings = self.pings.answered() + count.div_ceil(TO_A_PING);
        while self.right() < goal || self.pings.answered() < pings {
            let missing = goal.saturating_sub(self.right());
            assert!(begin.elapsed() < PATIENCE, "{missing} right answers of {count} do not come");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Tells everybody to stop; everybody looks whether what was acknowledged has lasted, and then
    /// there are the figures.
    pub(crate) async fn finish_and_compare(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Tally::with(self.pings.finish());
        for (mut tally, mut worker) in self.workers.join_all().await {
            worker.once(&mut tally, Worker::own_entry).await;
            worker.once(&mut tally, Worker::status).await;
            worker.once(&mut tally, Worker::renew).await;
            all = all.merge(tally);
        }
        all
    }
}

/// One person, and what the person has been told so far.
struct Worker {
    client: Client,
    person: Person,
    page: Value,
    /// The names that the account may have: one, or after a change without an answer two.
    names: Vec<String>,
    changes: usize,
    /// Everybody's right answers.
    right: Arc<AtomicUsize>,
}

impl Worker {
    fn new(client: Client, person: Person, page: Value, right: Arc<AtomicUsize>) -> Self {
        let name = person.user["username"].as_str().unwrap().to_owned();
        Self { client, person, page, names: vec![name], changes: 0, right }
    }

    async fn work(mut self, stop: Arc<AtomicBool>) -> (Tally, Self) {
        let mut tally = Tally::default();
        let mut step = 0_usize;
        while !stop.load(Ordering::Relaxed) {
            match step % 10 {
                1 | 6 => self.once(&mut tally, Self::status).await,
                2 => self.once(&mut tally, Self::first_page).await,
                3 => self.once(&mut tally, Self::renew).await,
                4 => self.once(&mut tally, Self::ping).await,
                5 => self.once(&mut tally, Self::rename).await,
                9 if step % 60 == 9 => self.once(&mut tally, Self::sign_in).await,
                _ => self.once(&mut tally, Self::own_entry).await,
            }
            step += 1;
            tokio::time::sleep(PAUSE).await;
        }
        (tally, self)
    }

    async fn once(&mut self, tally: &mut Tally, what: impl AsyncFn(&mut Self) -> Outcome) {
        let begin = Instant::now();
        let outcome = what(self).await;
        if matches!(outcome, Outcome::Right) {
            self.right.fetch_add(1, Ordering::Relaxed);
        }
        tally.add(outcome, begin.elapsed());
    }

    fn path(&self) -> String {
        contract::paths::user(self.person.user["id"].as_i64().unwrap())
    }

    async fn own_entry(&mut self) -> Outcome {
        let answer = ask(self.client.get(self.path())).await;
        let names = &self.names;
        right(answer, 200, |body| names.iter().any(|name| body["username"] == **name))
    }

    async fn status(&mut self) -> Outcome {
        let answer = ask(self.client.get("/auth/status").bearer(&self.person.access_token)).await;
        right(answer, 200, |body| body["email"] == *self.person.email)
    }

    async fn first_page(&mut self) -> Outcome {
        right(ask(self.client.get(PAGE)).await, 200, |body| *body == self.page)
    }

    async fn ping(&mut self) -> Outcome {
        match right(ask(self.client.get("/ping")).await, 200, |body| body["message"] == "pong!") {
            Outcome::Unavailable => Outcome::Wrong("/ping needs nothing, and got a 503".to_owned()),
            outcome => outcome,
        }
    }

    /// A pair of tokens that no answer brought may have been made all the same: then the old
    /// refresh token is good for once more.
    async fn renew(&mut self) -> Outcome {
        let body = json!({"refresh_token": self.person.refresh_token});
        let answer = ask(self.client.post("/auth/refresh").json(body)).await;
        if let Ok(answer) = &answer
            && answer.status == 200
        {
            let tokens = answer.json();
            let token = |name: &str| tokens[name].as_str().unwrap_or_default().to_owned();
            self.person.access_token = token("access_token");
            self.person.refresh_token = token("refresh_token");
        }
        right(answer, 200, |tokens| tokens["token_type"] == "Bearer")
    }

    async fn rename(&mut self) -> Outcome {
        self.changes += 1;
        let name = format!("{}-{}", self.person.user["username"].as_str().unwrap(), self.changes);
        let body = json!({"username": name, "email": self.person.email});
        let call = self.client.put(self.path()).bearer(&self.person.access_token);
        let outcome = right(ask(call.json(body)).await, 200, |b| b["user"]["username"] == *name);
        if matches!(outcome, Outcome::Right) {
            self.names.clear();
        }
        self.names.push(name);
        outcome
    }

    async fn sign_in(&mut self) -> Outcome {
        let body = json!({"email": self.person.email, "password": PASSWORD});
        let answer = ask(self.client.post("/auth/login").json(body)).await;
        right(answer, 200, |tokens| tokens["access_token"].is_string())
    }
}

/// Sends a call. In a task of its own: an answer that breaks the conventions of all answers panics
/// there, and is one wrong answer here.
async fn ask(call: Call) -> Result<Answer, Outcome> {
    let sent = tokio::time::timeout(LIMIT, tokio::spawn(call.send())).await;
    match sent {
        Err(_) => Err(Outcome::Wrong(format!("no answer within {LIMIT:?}"))),
        Ok(Err(panic)) => Err(Outcome::Wrong(panic.to_string())),
        Ok(Ok(Err(error))) => Err(Outcome::Unanswered(chain(&error))),
        Ok(Ok(Ok(answer))) => Ok(answer),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// What an answer is worth, which should have `status` and what `is_right` looks for.
fn right(
    answer: Result<Answer, Outcome>,
    status: u16,
    is_right: impl FnOnce(&Value) -> bool,
) -> Outcome {
    let answer = match answer {
        Ok(answer) => answer,
        Err(outcome) => return outcome,
    };
    let wrong =
        || Outcome::Wrong(format!("{} → {} {}", answer.request, answer.status, answer.text()));
    match (answer.status, serde_json::from_slice(&answer.body)) {
        (503, Ok(body)) => {
            let Value::Object(body) = body else { return wrong() };
            let told = ["database_unavailable", "overloaded"].map(Value::from);
            let code = body.get("code").is_some_and(|code| told.contains(code));
            if code && answer.header("retry-after").is_some() {
                Outcome::Unavailable
            } else {
                wrong()
            }
        }
        (got, Ok(body)) if got == status && is_right(&body) => Outcome::Right,
        _ => wrong(),
    }
}
