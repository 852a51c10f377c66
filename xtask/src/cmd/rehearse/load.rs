//! Visitors, who go on asking while something happens to the application, and count.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Formatter};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::http;

/// What they ask for: of the API with and without the database, and of the client.
const PATHS: [&str; 4] = ["/ping", "/users", "/", "/doc"];
/// How many ask at once.
const VISITORS: usize = 4;
/// How long each thinks in between.
const PAUSE: Duration = Duration::from_millis(50);

/// Visitors at work. Dropping this sends them home.
#[derive(Debug)]
pub(super) struct Load {
    ended: Arc<AtomicBool>,
    visitors: Vec<JoinHandle<Count>>,
}

/// Where the containers are that have answered, be it once.
type Answered = Arc<Mutex<BTreeSet<String>>>;

/// What came of their requests.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) made: u32,
    pub(super) failed: u32,
    /// How many of these failed at a container that had not answered anybody yet. The emulator sends
    /// requests to a container from its first moment; a load balancer of AWS waits for health
    /// checks that succeed, and sends none to one that never comes up.
    pub(super) early: u32,
    /// How often each failure was seen.
    pub(super) failures: BTreeMap<String, u32>,
}

impl Load {
    /// Sends visitors to the load balancer at `port`, below `prefix`. Containers at `serving` answer
    /// already; `containers` tells where there are any now.
    pub(super) fn start(
        port: u16,
        prefix: &str,
        serving: BTreeSet<String>,
        containers: impl Fn() -> BTreeSet<String> + Send + 'static,
    ) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let answered = Answered::new(Mutex::new(serving));
        let visitor = |number: usize| {
            let (ended, prefix) = (Arc::clone(&ended), prefix.to_owned());
            let answered = Arc::clone(&answered);
            std::thread::spawn(move || visit(port, &prefix, number, &answered, &ended))
        };
        let visitors = (0..VISITORS).map(visitor).collect();
        let watched = Arc::clone(&ended);
        std::thread::spawn(move || watch(&containers, &answered, &watched));
        Self { ended, visitors }
    }

    /// Ends it, and adds up.
    pub(super) fn finish(mut self) -> Count {
        self.ended.store(true, Ordering::SeqCst);
        let mut sum = Count::default();
        for visitor in self.visitors.drain(..) {
            let Ok(count) = visitor.join() else { continue };
            sum.made += count.made;
            sum.failed += count.failed;
            sum.early += count.early;
            for (failure, times) in count.failures {
                *sum.failures.entry(failure).or_default() += times;
            }
        }
        sum
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
    }
}

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} requests, {} failed", self.made, self.failed)?;
        if self.early > 0 {
            write!(f, " ({} at containers that were starting)", self.early)?;
        }
        Ok(())
    }
}

/// Notes which containers have begun to answer: from then on none of them has an excuse.
fn watch(
    containers: &impl Fn() -> BTreeSet<String>,
    answered: &Mutex<BTreeSet<String>>,
    ended: &AtomicBool,
) {
    while !ended.load(Ordering::SeqCst) {
        let known = answered.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let new: Vec<_> = containers().difference(&known).cloned().collect();
        let new = new.into_iter().filter(|container| http::answers(container));
        answered.lock().unwrap_or_else(PoisonError::into_inner).extend(new);
        std::thread::sleep(PAUSE * 4);
    }
}

fn visit(
    port: u16,
    prefix: &str,
    number: usize,
    answered: &Mutex<BTreeSet<String>>,
    ended: &AtomicBool,
) -> Count {
    let mut count = Count::default();
    for path in PATHS.iter().cycle().skip(number) {
        count.made += 1;
        // As it was before the question: the answer takes a while.
        let answered = answered.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(failure) = failure(http::ask(port, "GET", &format!("{prefix}{path}"), "", "")) {
            count.failed += 1;
            if target(&failure).is_some_and(|target| !answered.contains(target)) {
                count.early += 1;
            }
            *count.failures.entry(failure).or_default() += 1;
        }
        std::thread::sleep(PAUSE);
        if ended.load(Ordering::SeqCst) {
            break;
        }
    }
    count
}

/// What a visitor would complain about.
fn failure(answer: std::io::Result<http::Answer>) -> Option<String> {
    match answer {
        Ok(http::Answer { status: 200, version: Some(_), .. }) => None,
        Ok(http::Answer { status: 200, .. }) => Some("an answer of somebody else".to_owned()),
        Ok(http::Answer { status, body, .. }) => {
            Some(format!("{status}: {}", body.lines().next().unwrap_or_default()))
        }
        // The system's word for it depends on the system.
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Some("no answer in time".to_owned())
        }
        Err(error) => Some(error.to_string()),
    }
}

/// The container, by address and port, that the emulated load balancer could not reach, as it says so.
fn target(failure: &str) -> Option<&str> {
    let (_, rest) = failure.split_once("Target ")?;
    rest.split_once(" connect error").map(|(target, _)| target)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};

    use super::*;

    #[test]
    fn only_a_whole_answer_of_the_application_counts() {
        let answer = |status, version: Option<&str>| {
            let (version, body) = (version.map(str::to_owned), "why".to_owned());
            failure(Ok(http::Answer { status, version, body }))
        };
        assert_eq!(answer(200, Some("c0ffee")), None);
        assert!(answer(200, None).is_some());
        assert_eq!(answer(502, None).as_deref(), Some("502: why"));
        for late in [ErrorKind::TimedOut, ErrorKind::WouldBlock] {
            assert_eq!(failure(Err(late.into())).as_deref(), Some("no answer in time"));
        }
    }

    #[test]
    fn the_container_that_failed_is_known() {
        let failure = "502: {\"message\": \"Target 172.17.0.6:5000 connect error: refused\"}";
        assert_eq!(target(failure), Some("172.17.0.6:5000"));
        assert_eq!(target("503: {\"message\": \"No registered targets\"}"), None);
    }

    #[test]
    fn a_container_that_has_answered_once_has_no_excuse() {
        // A load balancer whose only target never answers, and a container that does.
        let broken = |status: &'static str, body: String| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            std::thread::spawn(move || {
                for mut stream in listener.incoming().flatten() {
                    let head = BufReader::new(&stream).lines().map_while(Result::ok);
                    head.take_while(|line| !line.is_empty()).for_each(drop);
                    let _ = write!(stream, "HTTP/1.1 {status}\r\n\r\n{body}");
                }
            });
            address
        };
        let container = broken("200 OK", String::new()).to_string();
        let body = format!("Target {container} connect error: refused");
        let balancer = broken("502 Bad Gateway", body);
        let containers = BTreeSet::from([container]);
        for there in [BTreeSet::new(), containers] {
            let excused = there.is_empty();
            let load = Load::start(balancer.port(), "", BTreeSet::new(), move || there.clone());
            // By then it has been seen, however busy the machine is.
            std::thread::sleep(Duration::from_secs(5));
            let count = load.finish();
            assert!(count.failed > 0 && count.failed == count.made, "{count:?}");
            assert_eq!(count.early == count.failed, excused, "{count:?}");
        }
    }

    #[test]
    fn nobody_is_lost_between_the_visitors() {
        // Nobody listens there: each request fails.
        let port = crate::port::free().unwrap();
        let load = Load::start(port, "", BTreeSet::new(), BTreeSet::new);
        let count = load.finish();
        assert_eq!(count.early, 0, "that was nobody's container");
        assert!(count.made >= 4 && count.made == count.failed, "{count:?}");
        assert_eq!(count.failures.values().sum::<u32>(), count.failed);
        assert_eq!(count.to_string(), format!("{0} requests, {0} failed", count.made));
    }
}
