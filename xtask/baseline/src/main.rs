//! What the service is measured beside: the framework alone, the hash function alone, and other ways
//! to the database.
//!
//! ```text
//! baseline serve                         # answers /ping as the service does, and does nothing else
//! baseline read WAY CONNECTIONS URL      # looks users up: shared, pools or pipelined
//! baseline hash SECONDS                  # prints how many passwords a second all cores hash
//! ```

mod read;

use std::{
    env, io, thread,
    time::{Duration, Instant},
};

use actix_web::{App, HttpResponse, HttpServer, web};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use serde::Serialize;
use users::auth::password::{LANES, MEMORY, PASSES};

/// The service's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Serialize)]
struct Pong {
    message: &'static str,
    status: &'static str,
}

#[actix_web::main]
async fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        ["serve"] => serve().await,
        ["read", way, connections, url] => {
            let connections = connections.parse().map_err(io::Error::other)?;
            read::serve(way, connections, url).await
        }
        ["hash", seconds] => {
            let seconds = seconds.parse().map_err(io::Error::other)?;
            println!("{:.3}", hashes_per_second(Duration::from_secs(seconds))?);
            Ok(())
        }
        _ => Err(io::Error::other(
            "usage: baseline serve | baseline read WAY CONNECTIONS URL | baseline hash SECONDS",
        )),
    }
}

async fn serve() -> io::Result<()> {
    let server = HttpServer::new(|| {
        App::new().route(
            "/ping",
            web::get().to(|| async {
                HttpResponse::Ok().json(Pong { message: "pong!", status: "success" })
            }),
        )
    })
    .bind(("127.0.0.1", 0))?;
    for address in server.addrs() {
        println!("listening on http://{address}");
    }
    server.run().await
}

/// With the service's parameters, a thread a core, and memory that is used again.
fn hashes_per_second(duration: Duration) -> io::Result<f64> {
    let params = Params::new(MEMORY, PASSES, LANES, None).map_err(io::Error::other)?;
    let start = Instant::now();
    let threads: Vec<_> = (0..thread::available_parallelism()?.get())
        .map(|_| {
            let params = params.clone();
            thread::spawn(move || hash_until(start + duration, &params))
        })
        .collect();
    let mut hashes = 0;
    for thread in threads {
        let of_thread = thread.join().map_err(|_| io::Error::other("a thread panicked"))?;
        hashes += of_thread.map_err(io::Error::other)?;
    }
    Ok(f64::from(hashes) / start.elapsed().as_secs_f64())
}

fn hash_until(end: Instant, params: &Params) -> Result<u32, argon2::Error> {
    let mut memory = vec![Block::new(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let mut output = [0; 32];
    let mut hashes = 0;
    while Instant::now() < end {
        let (password, salt) = (b"greaterthaneight", b"sixteen bytes---");
        argon2.hash_password_into_with_memory(password, salt, &mut output, &mut memory)?;
        hashes += 1;
    }
    Ok(hashes)
}
