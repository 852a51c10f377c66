//! The connections to PostgreSQL are cut, or nothing passes on them any more.
//!
//! [`Link`] stands between the service and the database and does it.

use std::{
    future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use socket2::{SockFilter, SockRef};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{broadcast, watch},
    task::JoinSet,
};

use users::db::pool::UNANSWERED_LIMIT;

use crate::{
    load::Load,
    service::{postgres, serve},
    tally::Fault,
};

/// How a link treats what passes.
#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    /// How long each piece is kept back.
    delay: Duration,
    /// Nothing passes. Whoever sends hears that it was received, as from a frozen machine's kernel.
    stalled: bool,
}

/// How all connections of a moment end.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// Closed: a FIN, as by a server that ends.
    Closed,
    /// Aborted: a RST, as by a machine that knows nothing of them, or a firewall.
    Reset,
    /// Neither: from here on every packet to them is lost, and none comes from them, as with a host
    /// that has lost its power or a network that has lost its way. Nobody acknowledges anything.
    Vanished,
}

/// A TCP proxy on a port of its own.
pub(crate) struct Link {
    port: u16,
    weather: watch::Sender<Weather>,
    cuts: broadcast::Sender<Cut>,
    trips: Arc<AtomicUsize>,
}

/// A direction of a connection, and how often somebody there has waited for the other side.
struct Trips {
    to_server: bool,
    /// Whether what passed last went to the server.
    last: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
}

impl Trips {
    /// Something passes. What goes to the server after an answer begins a round trip; what follows it
    /// belongs to the same.
    fn note(&self) {
        let last = self.last.swap(self.to_server, Ordering::Relaxed);
        if self.to_server && !last {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Link {
    /// A link to a local port.
    pub(crate) async fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (weather, seen) = watch::channel(Weather::default());
        let cuts = broadcast::Sender::new(64);
        let cutting = cuts.clone();
        let trips = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&trips);
        tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let (cuts, trips) = (cutting.subscribe(), Arc::clone(&counting));
                open.spawn(connect(near, target, seen.clone(), cuts, trips));
            }
        });
        Self { port, weather, cuts, trips }
    }

    /// How often so far something was sent to the server and its answer waited for.
    pub(crate) fn round_trips(&self) -> usize {
        self.trips.load(Ordering::Relaxed)
    }

    /// The address of the database behind it.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres:postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// From here on every piece is kept back for so long, in either direction.
    pub(crate) fn delay(&self, delay: Duration) {
        self.weather.send_modify(|weather| weather.delay = delay);
    }

    fn stall(&self, stalled: bool) {
        self.weather.send_modify(|weather| weather.stalled = stalled);
    }

    /// Ends all connections, whatever is under way on them. New ones are taken. Gives their number.
    fn cut(&self, how: Cut) -> usize {
        self.cuts.send(how).unwrap_or(0)
    }
}

async fn connect(
    mut near: TcpStream,
    target: u16,
    weather: watch::Receiver<Weather>,
    mut cuts: broadcast::Receiver<Cut>,
    count: Arc<AtomicUsize>,
) {
    let Ok(mut far) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    let cut = {
        let ((near_in, near_out), (far_in, far_out)) = (near.split(), far.split());
        let last = Arc::new(AtomicBool::new(false));
        let trips = |to_server| {
            let (last, count) = (Arc::clone(&last), Arc::clone(&count));
            Trips { to_server, last, count }
        };
        tokio::select! {
            () = pass(near_in, far_out, weather.clone(), trips(true)) => return,
            () = pass(far_in, near_out, weather, trips(false)) => return,
            cut = cuts.recv() => cut.unwrap(),
        }
    };
    match cut {
        Cut::Closed => near.shutdown().await.unwrap_or_default(),
        Cut::Reset => SockRef::from(&near).set_linger(Some(Duration::ZERO)).unwrap(),
        Cut::Vanished => {
            // The server's machine is gone, and with it the server's side.
            drop(far);
            // BPF's "return 0": of each packet the kernel keeps nothing.
            let nothing = SockFilter::new(0x06, 0, 0, 0);
            SockRef::from(&near).attach_filter(&[nothing]).unwrap();
            // Never closed, until the test ends.
            future::pending::<()>().await;
        }
    }
}

async fn pass(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut weather: watch::Receiver<Weather>,
    trips: Trips,
) {
    let mut piece = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        trips.note();
        let delay = weather.borrow().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if weather.wait_for(|weather| !weather.stalled).await.is_err() {
            return;
        }
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}

/// How many right answers come before, and at least as many afterwards.
const RIGHT: usize = 1_000;

/// How long is looked for what comes late after a fault.
const AFTER: Duration = Duration::from_secs(3);

/// How soon all must be right again.
const RECOVERY: Duration = Duration::from_secs(5);

/// By when the service has given up what is lost: a request waits for 15 s at most, and one that then
/// takes its connection for as long as what it sends may stay unacknowledged.
const GIVEN_UP: Duration = Duration::from_secs(15).saturating_add(UNANSWERED_LIMIT);

async fn are_cut(about: &str, how: Cut) {
    let postgres = postgres().await;
    let link = Link::to(postgres.port()).await;
    let serving = serve(&link.url(), &[]);
    let load = Load::start(&serving.client(), 16).await;
    load.more(RIGHT).await;
    let (broke, mut cut) = (Instant::now(), 0);
    for _ in 0..30 {
        // In between all works, or the next cut would find nothing to cut.
        load.more(50).await;
        cut += link.cut(how);
    }
    let fault = Fault::since(broke);
    load.more(RIGHT).await;
    tokio::time::sleep(AFTER).await;
    let tally = load.finish_and_compare().await;
    let recovery = tally.report(about, &[fault]);
    assert!(cut >= 60 && tally.unavailable > 0, "{cut} cut: {tally}");
    assert!(recovery < RECOVERY, "{tally}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_closed() {
    are_cut("all connections closed, thirty times", Cut::Closed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_reset() {
    are_cut("all connections reset, thirty times", Cut::Reset).await;
}

/// What is sent is acknowledged and nobody answers, for longer than a request may take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_stall() {
    let postgres = postgres().await;
    let link = Link::to(postgres.port()).await;
    let serving = serve(&link.url(), &[]);
    let load = Load::start(&serving.client(), 16).await;
    load.more(RIGHT).await;
    let broke = Instant::now();
    link.stall(true);
    tokio::time::sleep(Duration::from_secs(20)).await;
    // As after a failover: the old connections are gone for good, and new ones are taken.
    link.cut(Cut::Reset);
    link.stall(false);
    let fault = Fault::since(broke);
    load.more(RIGHT).await;
    tokio::time::sleep(AFTER).await;
    let tally = load.finish_and_compare().await;
    let recovery = tally.report("all connections stalled for 20 s", &[fault]);
    assert!(tally.unavailable > 0 && recovery < RECOVERY, "{tally}");
}

/// A failover without a word: the old server's machine is gone, and nothing says so; the new one
/// takes connections from the first moment on. So it is over when it begins, and the time until all is
/// right is what the service needs to give up what it cannot know to be lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_vanish() {
    let postgres = postgres().await;
    let link = Link::to(postgres.port()).await;
    let serving = serve(&link.url(), &[]);
    let load = Load::start(&serving.client(), 16).await;
    load.more(RIGHT).await;
    let broke = Instant::now();
    let vanished = link.cut(Cut::Vanished);
    tokio::time::sleep(GIVEN_UP + AFTER).await;
    load.more(RIGHT).await;
    let tally = load.finish_and_compare().await;
    let fault = Fault { broke, mended: broke };
    let recovery = tally.report("all connections vanish without a word", &[fault]);
    assert!(vanished >= 4 && tally.unavailable > 0, "{vanished} vanished: {tally}");
    // The kernel counts in steps of its own.
    assert!(recovery < GIVEN_UP + RECOVERY, "{tally}");
}
