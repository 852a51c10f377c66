//! Password hashes: argon2id, made by threads of their own.
//!
//! A hash takes 19 MiB and some 20 ms of a core, on purpose. On the async
//! workers it would hold up everybody else's requests; in an unbounded pool of
//! blocking threads, a burst of sign-ins would take a stack of memory each. So
//! the [`Hasher`] has a fixed number of threads, one a core where there is room
//! ([`crate::memory`]), each of which allocates its memory once and uses it again
//! for every hash, and a queue of fixed length in front of them. When the queue is
//! full the answer is [`HashError::Overloaded`], at once.
//!
//! # Memory
//!
//! threads × 19 MiB, from start to end, however many sign-ins are waiting. A
//! stored hash with greater parameters than ours takes as much more as it asks
//! for, up to [`MEMORY_MAX`], while it is being verified.
//!
//! # Time
//!
//! [`Hasher::verify`] without a stored hash does the same work as with one, so
//! that the time of an answer does not tell whether an account exists.

use std::{
    hint::black_box,
    io,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
};

use argon2::{
    Algorithm, Argon2, Block, Params, RECOMMENDED_SALT_LEN, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use tokio::sync::oneshot;
use tracing::Span;
use zeroize::{Zeroize, Zeroizing};

/// Memory of a hash in KiB: 19 MiB, OWASP's minimum for two passes.
pub const MEMORY: u32 = 19 * 1024;
/// Passes over the memory.
pub const PASSES: u32 = 2;
/// Lanes; more than one would need more threads to gain anything.
pub const LANES: u32 = 1;

/// The most memory in KiB that a stored hash may ask for: 64 MiB. A corrupted row asks for no more.
pub const MEMORY_MAX: u32 = 64 * 1024;
/// The most passes that a stored hash may ask for.
pub const PASSES_MAX: u32 = 10;
/// The most lanes that a stored hash may ask for.
pub const LANES_MAX: u32 = 8;

/// A good length for the queue: with some 20 ms a hash, two cores are through with it in
/// about two and a half seconds, and nobody waits longer than that.
pub const QUEUE: usize = 256;

const ALGORITHM: Algorithm = Algorithm::Argon2id;
const VERSION: Version = Version::V0x13;
const OUTPUT_LENGTH: usize = Params::DEFAULT_OUTPUT_LEN;
/// Refused parameters fail the build.
const PARAMETERS: Params = match Params::new(MEMORY, PASSES, LANES, Some(OUTPUT_LENGTH)) {
    Ok(parameters) => parameters,
    Err(_) => panic!("argon2 refuses these parameters"),
};

/// What a password is to a stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is another one, or there is no stored hash.
    Mismatch,
    /// It is the right one.
    Match,
    /// It is the right one, and its hash has other parameters than ours: hash it anew.
    MatchOutdated,
}

/// Why a password was not hashed or verified.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// Too many are waiting; later is better.
    #[error("too many passwords are waiting to be hashed")]
    Overloaded,
    /// The operating system gives no random bytes for a salt.
    #[error("no random bytes for a salt")]
    Random(#[from] getrandom::Error),
    /// The library refused what it should not; a fault of ours.
    #[error("argon2 failed: {0}")]
    Argon2(#[from] argon2::Error),
    /// A hash could not be written as a PHC string; a fault of ours.
    #[error("a password hash cannot be written as a PHC string: {0}")]
    Encoding(String),
    /// The thread that worked on it panicked; a fault of ours.
    #[error("a password hashing thread failed")]
    Failed,
}

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// A handle on the hashing threads. They end when its last clone is dropped.
#[derive(Clone, Debug)]
pub struct Hasher {
    queue: SyncSender<Job>,
    counts: Arc<Counts>,
}

/// How much there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Passwords in the queue.
    pub waiting: usize,
    /// Passwords that are being hashed.
    pub running: usize,
    /// Passwords that were refused, ever, because the queue was full.
    pub shed: u64,
}

#[derive(Debug, Default)]
struct Counts {
    waiting: AtomicUsize,
    running: AtomicUsize,
    shed: AtomicU64,
}

impl Hasher {
    /// Starts `threads` threads with a queue of `queue` jobs in front of them.
    ///
    /// # Errors
    /// When the operating system starts no more threads.
    pub fn start(threads: NonZeroUsize, queue: usize) -> io::Result<Self> {
        // The threads are left to themselves: each ends with its last job, and waiting for them
        // would hold up whoever drops the hasher.
        spawn(threads, queue).map(|(hasher, _threads)| hasher)
    }

    /// Hashes a password, with a salt of its own, to a PHC string.
    ///
    /// # Errors
    /// [`HashError::Overloaded`] when the queue is full; the others are faults of ours.
    pub async fn hash(&self, password: String) -> Result<String, HashError> {
        let password = Zeroizing::new(password);
        self.run(move |memory| memory.hash(&password)).await?
    }

    /// Holds a password against a stored hash. `None` stands for an account that does not exist
    /// or may not sign in: the same work, and a mismatch.
    ///
    /// A stored hash that can't be read is a mismatch too, and logged as an error.
    ///
    /// # Errors
    /// [`HashError::Overloaded`] when the queue is full; the others are faults of ours.
    pub async fn verify(
        &self,
        password: String,
        phc: Option<String>,
    ) -> Result<Verdict, HashError> {
        let password = Zeroizing::new(password);
        self.run(move |memory| memory.verify(&password, phc.as_deref())).await?
    }

    /// How much there is to do at this moment.
    pub fn load(&self) -> Load {
        let Counts { waiting, running, shed } = &*self.counts;
        Load {
            waiting: waiting.load(Ordering::Relaxed),
            running: running.load(Ordering::Relaxed),
            shed: shed.load(Ordering::Relaxed),
        }
    }

    /// Has `work` done by the next free thread. If nobody waits for it any more when its turn
    /// comes, it is skipped.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let (answer, result) = oneshot::channel();
        let span = Span::current();
        let job: Job = Box::new(move |memory| {
            if !answer.is_closed() {
                // Nobody may be left to take the answer: no matter.
                let _ = answer.send(span.in_scope(|| work(memory)));
            }
        });
        // Before it is sent: a thread may have it the next moment.
        self.counts.waiting.fetch_add(1, Ordering::Relaxed);
        self.queue.try_send(job).map_err(|error| {
            self.counts.waiting.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => {
                    self.counts.shed.fetch_add(1, Ordering::Relaxed);
                    HashError::Overloaded
                }
                TrySendError::Disconnected(_) => HashError::Failed,
            }
        })?;
        result.await.map_err(|_| HashError::Failed)
    }
}

fn spawn(threads: NonZeroUsize, queue: usize) -> io::Result<(Hasher, Vec<JoinHandle<()>>)> {
    let (sender, receiver) = sync_channel(queue);
    let receiver = Arc::new(Mutex::new(receiver));
    let counts = Arc::new(Counts::default());
    let threads = (0..threads.get())
        .map(|number| {
            let receiver = Arc::clone(&receiver);
            let counts = Arc::clone(&counts);
            thread::Builder::new()
                .name(format!("hasher-{number}"))
                .spawn(move || work_through(&receiver, &counts))
        })
        .collect::<io::Result<_>>()?;
    Ok((Hasher { queue: sender, counts }, threads))
}

/// A thread's life: job after job, until nobody can send one any more.
fn work_through(queue: &Mutex<Receiver<Job>>, counts: &Counts) {
    let mut memory = Memory::new();
    loop {
        // The lock is held while waiting, not while working.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        counts.running.fetch_add(1, Ordering::Relaxed);
        counts.waiting.fetch_sub(1, Ordering::Relaxed);
        // A panic costs its caller the answer, not the service a thread: the hook has logged it,
        // and the next hash overwrites the memory whatever state it is in.
        let _ = catch_unwind(AssertUnwindSafe(|| job(&mut memory)));
        counts.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A thread's memory for hashing: allocated once, overwritten by each hash.
struct Memory {
    blocks: Vec<Block>,
}

impl Memory {
    fn new() -> Self {
        Self { blocks: vec![Block::new(); PARAMETERS.block_count()] }
    }

    fn hash(&mut self, password: &str) -> Result<String, HashError> {
        let mut salt = [0; RECOMMENDED_SALT_LEN];
        getrandom::fill(&mut salt)?;
        let encoding = |error: &dyn std::fmt::Display| HashError::Encoding(error.to_string());
        let argon2 = Argon2::new(ALGORITHM, VERSION, PARAMETERS);
        let mut output = Zeroizing::new([0; OUTPUT_LENGTH]);
        self.fill(&argon2, password, &salt, output.as_mut_slice())?;
        let phc = PasswordHash {
            algorithm: ALGORITHM.ident(),
            version: Some(VERSION.into()),
            params: ParamsString::try_from(argon2.params()).map_err(|error| encoding(&error))?,
            salt: Some(Salt::new(&salt).map_err(|error| encoding(&error))?),
            hash: Some(Output::new(output.as_slice()).map_err(|error| encoding(&error))?),
        };
        Ok(phc.to_string())
    }

    fn verify(&mut self, password: &str, phc: Option<&str>) -> Result<Verdict, HashError> {
        let stored = phc.and_then(|phc| {
            let stored = Stored::parse(phc);
            if stored.is_none() {
                // The hash itself must not be logged.
                tracing::error!("a stored password hash cannot be read; its user cannot sign in");
            }
            stored
        });
        let Some(stored) = stored else {
            let argon2 = Argon2::new(ALGORITHM, VERSION, PARAMETERS);
            let mut output = [0; OUTPUT_LENGTH];
            self.fill(&argon2, password, &[0; RECOMMENDED_SALT_LEN], &mut output)?;
            black_box(output);
            return Ok(Verdict::Mismatch);
        };
        let mut output = Zeroizing::new([0; Output::MAX_LENGTH]);
        let output = output.get_mut(..stored.output.len()).ok_or(argon2::Error::OutputTooLong)?;
        self.fill(&stored.argon2, password, &stored.salt, output)?;
        // `Output` compares in constant time.
        let matches = Output::new(output).is_ok_and(|output| output == stored.output);
        Ok(match (matches, stored.current) {
            (false, _) => Verdict::Mismatch,
            (true, true) => Verdict::Match,
            (true, false) => Verdict::MatchOutdated,
        })
    }

    fn fill(
        &mut self,
        argon2: &Argon2<'_>,
        password: &str,
        salt: &[u8],
        output: &mut [u8],
    ) -> Result<(), argon2::Error> {
        let password = password.as_bytes();
        let count = argon2.params().block_count();
        match self.blocks.get_mut(..count) {
            Some(blocks) => argon2.hash_password_into_with_memory(password, salt, output, blocks),
            None => {
                let mut blocks = vec![Block::new(); count];
                argon2.hash_password_into_with_memory(password, salt, output, &mut blocks)
            }
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.blocks.zeroize();
    }
}

/// A stored hash that may be verified.
struct Stored {
    argon2: Argon2<'static>,
    salt: Salt,
    output: Output,
    current: bool,
}

impl Stored {
    /// Reads a PHC string of the argon2 family; `None` for anything else, for one without a salt
    /// or a hash, and for one that asks for too much.
    fn parse(phc: &str) -> Option<Self> {
        let hash = PasswordHash::new(phc).ok()?;
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
        // Version 0x10 wrote none.
        let version = hash.version.map_or(Ok(Version::V0x10), Version::try_from).ok()?;
        let params = Params::try_from(&hash).ok()?;
        let (salt, output) = (hash.salt?, hash.hash?);
        let affordable = params.m_cost() <= MEMORY_MAX
            && params.t_cost() <= PASSES_MAX
            && params.p_cost() <= LANES_MAX;
        let ours = PARAMETERS;
        let current = algorithm == ALGORITHM
            && version == VERSION
            && params.m_cost() == ours.m_cost()
            && params.t_cost() == ours.t_cost()
            && params.p_cost() == ours.p_cost()
            && output.len() == OUTPUT_LENGTH
            && salt.len() >= RECOMMENDED_SALT_LEN;
        affordable.then(|| Self {
            argon2: Argon2::new(algorithm, version, params),
            salt,
            output,
            current,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        sync::atomic::{AtomicUsize, Ordering},
        sync::mpsc,
        time::Duration,
    };

    use futures_util::{FutureExt, future::join_all};

    use super::*;

    const PASSWORD: &str = "correct staple of horses";

    fn hasher(threads: usize, queue: usize) -> Hasher {
        Hasher::start(NonZeroUsize::new(threads).unwrap(), queue).unwrap()
    }

    async fn verify(password: &str, phc: &str) -> Verdict {
        hasher(1, 1).verify(password.to_owned(), Some(phc.to_owned())).await.unwrap()
    }

    /// A job that a test starts and ends: the thread is busy from the return of this function
    /// until something is sent, or the sender dropped.
    async fn occupy(hasher: &Hasher) -> mpsc::Sender<()> {
        let (started, running) = oneshot::channel();
        let (release, released) = mpsc::channel();
        let hasher = hasher.clone();
        tokio::spawn(async move {
            hasher
                .run(move |_| {
                    started.send(()).unwrap();
                    let _ = released.recv();
                })
                .await
        });
        running.await.unwrap();
        release
    }

    #[tokio::test]
    async fn a_password_is_held_against_its_hash() {
        let hasher = hasher(1, 4);
        let phc = hasher.hash(PASSWORD.to_owned()).await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert_ne!(phc, hasher.hash(PASSWORD.to_owned()).await.unwrap(), "the salt is random");
        let verify = |password: &str, phc: Option<&str>| {
            hasher.verify(password.to_owned(), phc.map(str::to_owned))
        };
        assert_eq!(verify(PASSWORD, Some(&phc)).await.unwrap(), Verdict::Match);
        assert_eq!(
            verify("Correct staple of horses", Some(&phc)).await.unwrap(),
            Verdict::Mismatch
        );
        assert_eq!(verify("", Some(&phc)).await.unwrap(), Verdict::Mismatch);
        assert_eq!(verify(PASSWORD, None).await.unwrap(), Verdict::Mismatch);
    }

    #[tokio::test]
    async fn the_reference_implementations_hashes_are_honoured() {
        // From test.c of P-H-C/phc-winner-argon2; the second takes more memory than ours.
        for phc in [
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
            "$argon2i$v=19$m=65536,t=1,p=1$c29tZXNhbHQAAAAAAAAAAA$+r0d29hqEB0yasKr55ZgICsQGSkl0v0kgwhd+U3wyRo",
            "$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY",
        ] {
            assert_eq!(verify("password", phc).await, Verdict::MatchOutdated, "{phc}");
            assert_eq!(verify("sassword", phc).await, Verdict::Mismatch, "{phc}");
        }
    }

    #[tokio::test]
    async fn other_parameters_than_ours_are_outdated() {
        for (memory, passes, lanes) in [(MEMORY, 1, 1), (MEMORY - 1, 2, 1), (MEMORY, 2, 2)] {
            let params = Params::new(memory, passes, lanes, None).unwrap();
            let argon2 = Argon2::new(ALGORITHM, VERSION, params);
            let phc = argon2::PasswordHasher::hash_password_with_salt(
                &argon2,
                PASSWORD.as_bytes(),
                &[1; 16],
            )
            .unwrap()
            .to_string();
            assert_eq!(verify(PASSWORD, &phc).await, Verdict::MatchOutdated, "{phc}");
        }
    }

    #[tokio::test]
    async fn garbage_is_a_mismatch_and_asks_for_nothing() {
        let hash = "c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        for phc in [
            String::new(),
            "$".to_owned(),
            "password".to_owned(),
            "$2b$12$abcdefghijklmnopqrstuv".to_owned(),
            "$argon2id$v=19$m=65536,t=2,p=1".to_owned(),
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ".to_owned(),
            format!("$argon2id$v=19$m=4194304,t=2,p=1${hash}"),
            format!("$argon2id$v=19$m=4294967295,t=2,p=1${hash}"),
            format!("$argon2id$v=19$m=99999999999,t=2,p=1${hash}"),
            format!("$argon2id$v=19$m=65536,t=4294967295,p=1${hash}"),
            format!("$argon2id$v=19$m=65536,t=2,p=16777215${hash}"),
            format!("$argon2id$v=19$m=65536,t=2,p=0${hash}"),
            format!("$argon2id$v=19$m=1,t=2,p=1${hash}"),
            format!("$argon2id$v=20$m=65536,t=2,p=1${hash}"),
            format!("$argon2x$v=19$m=65536,t=2,p=1${hash}"),
            format!("$argon2id$v=19$m=65536,t=2,p=1$c2FsdA${hash}"),
        ] {
            assert!(Stored::parse(&phc).is_none(), "{phc}");
            assert_eq!(verify("password", &phc).await, Verdict::Mismatch, "{phc}");
        }
    }

    #[tokio::test]
    async fn sixty_four_at_once_on_two_threads_take_the_memory_of_two() {
        let hasher = hasher(2, 64);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let jobs = (0..64).map(|_| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            hasher.run(move |memory| {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let verdict = memory.verify(PASSWORD, None).unwrap();
                running.fetch_sub(1, Ordering::SeqCst);
                (verdict, memory.blocks.as_ptr().addr(), memory.blocks.len())
            })
        });
        let mut memories = HashSet::new();
        for answer in join_all(jobs).await {
            let (verdict, address, blocks) = answer.unwrap();
            assert_eq!(verdict, Verdict::Mismatch);
            assert_eq!(blocks, 19 * 1024);
            memories.insert(address);
        }
        assert!(most.load(Ordering::SeqCst) <= 2, "{most:?} hashes at a time");
        assert!(memories.len() <= 2, "{} blocks of memory", memories.len());
    }

    #[tokio::test]
    async fn a_full_queue_answers_at_once() {
        let hasher = hasher(1, 2);
        let release = occupy(&hasher).await;
        let mut first = Box::pin(hasher.hash(PASSWORD.to_owned()));
        let mut second = Box::pin(hasher.verify(PASSWORD.to_owned(), None));
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        let third = hasher.hash(PASSWORD.to_owned()).now_or_never();
        assert!(matches!(third, Some(Err(HashError::Overloaded))));
        release.send(()).unwrap();
        first.await.unwrap();
        second.await.unwrap();
        hasher.hash(PASSWORD.to_owned()).await.unwrap();
    }

    #[tokio::test]
    async fn who_goes_away_is_skipped() {
        let hasher = hasher(1, 4);
        let release = occupy(&hasher).await;
        let done = Arc::new(AtomicUsize::new(0));
        let count = |by: usize| {
            let done = Arc::clone(&done);
            Box::pin(hasher.run(move |_| done.fetch_add(by, Ordering::SeqCst)))
        };
        let (mut gone, mut stays) = (count(1), count(10));
        assert!((&mut gone).now_or_never().is_none());
        assert!((&mut stays).now_or_never().is_none());
        drop(gone);
        release.send(()).unwrap();
        stays.await.unwrap();
        assert_eq!(done.load(Ordering::SeqCst), 10);
    }

    #[tokio::test]
    async fn a_panic_costs_an_answer_and_no_thread() {
        let hasher = hasher(1, 4);
        for _ in 0..3 {
            let answer = hasher.run(|_| -> () { panic!("on purpose") }).await;
            assert!(matches!(answer, Err(HashError::Failed)));
        }
        hasher.hash(PASSWORD.to_owned()).await.unwrap();
    }

    #[tokio::test]
    async fn the_threads_end_with_the_last_handle() {
        let (hasher, threads) = spawn(NonZeroUsize::new(3).unwrap(), 4).unwrap();
        let clone = hasher.clone();
        drop(hasher);
        clone.hash(PASSWORD.to_owned()).await.unwrap();
        assert!(threads.iter().all(|thread| !thread.is_finished()));
        drop(clone);
        let ended =
            tokio::task::spawn_blocking(|| threads.into_iter().try_for_each(JoinHandle::join));
        tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap().unwrap().unwrap();
    }
}
