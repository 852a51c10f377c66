//! The connections to PostgreSQL are cut, or nothing passes on them any more.
//!
//! [`Link`] stands between the service and the database and does it.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

use crate::{
    load::Load,
    service::{postgres, serve},
};

/// How a link treats what passes.
#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    /// How long each piece is kept back.
    delay: Duration,
    /// Nothing passes. Whoever sends hears that it was received, as from a frozen machine's kernel.
    stalled: bool,
}

/// A TCP proxy on a port of its own.
pub(crate) struct Link {
    port: u16,
    weather: watch::Sender<Weather>,
    connections: Arc<Mutex<JoinSet<()>>>,
}

impl Link {
    /// A link to a local port.
    pub(crate) async fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (weather, seen) = watch::channel(Weather::default());
        let connections = Arc::new(Mutex::new(JoinSet::new()));
        let open = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                open.lock().unwrap().spawn(connect(near, target, seen.clone()));
            }
        });
        Self { port, weather, connections }
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

    /// Closes all connections, whatever is under way on them. New ones are taken.
    fn cut(&self) {
        self.connections.lock().unwrap().abort_all();
    }
}

async fn connect(near: TcpStream, target: u16, weather: watch::Receiver<Weather>) {
    let Ok(far) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    tokio::select! {
        () = pass(near_in, far_out, weather.clone()) => {}
        () = pass(far_in, near_out, weather) => {}
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
) {
    let mut piece = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_cut() {
    let postgres = postgres().await;
    let link = Link::to(postgres.port()).await;
    let serving = serve(&link.url(), &[]);
    let load = Load::start(&serving.client(), 16).await;
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        link.cut();
    }
    let mended = Instant::now();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let tally = load.finish_and_compare().await;
    let recovery = tally.report("all connections cut, thirty times", mended);
    assert!(tally.unavailable > 0 && recovery < Duration::from_secs(1), "{tally}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_go_dead() {
    let postgres = postgres().await;
    let link = Link::to(postgres.port()).await;
    let serving = serve(&link.url(), &[]);
    let load = Load::start(&serving.client(), 16).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    link.stall(true);
    tokio::time::sleep(Duration::from_secs(20)).await;
    // As after a failover: the old connections are gone for good, and new ones are taken.
    link.cut();
    link.stall(false);
    let mended = Instant::now();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let tally = load.finish_and_compare().await;
    let recovery = tally.report("all connections dead for 20 s", mended);
    assert!(tally.unavailable > 0 && recovery < Duration::from_secs(2), "{tally}");
}
