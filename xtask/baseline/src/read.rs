//! Users, looked up by the service's own code, one way or another.
//!
//! - `shared`: one pool of connections for all workers. Each connection is driven by the worker that
//!   made it, and used by any.
//! - `pools`: a pool for each worker, whose connections nobody else uses.
//! - `pipelined`: the service's way, one connection a worker, which all its requests share.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use actix_web::{
    App, HttpResponse, HttpServer, ResponseError,
    web::{self, Data, Path},
};
use serde::Serialize;
use users::{
    config::{DatabaseConfig, Secret},
    db::{
        self, Database, Databases,
        pool::{self, Pool},
        reader::Failure,
        users::User,
    },
};

/// As many users as a page of the service has, and one more.
const PAGE: i64 = 51;

/// A worker's way to the database.
enum Way {
    Pool(Pool),
    Pipelined(Arc<Database>),
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Failed(#[from] db::Error);

impl Failure for Failed {
    fn ends_connection(&self) -> bool {
        matches!(&self.0, db::Error::Unavailable(cause) if pool::ends_connection(cause.as_ref()))
    }
}

/// A 500, which the load counts as a failure.
impl ResponseError for Failed {}

#[derive(Serialize)]
struct Shown {
    id: i64,
    username: String,
    email: Option<String>,
    created_date: String,
    is_admin: Option<bool>,
}

impl From<User> for Shown {
    fn from(User { id, username, created_date, .. }: User) -> Self {
        Self { id, username, email: None, created_date: created_date.to_rfc3339(), is_admin: None }
    }
}

async fn one(way: Data<Way>, id: Path<i64>) -> Result<HttpResponse, Failed> {
    let id = id.into_inner();
    let user = match &**way {
        Way::Pool(pool) => {
            let connection = pool.get().await.map_err(db::Error::from)?;
            db::users::find(&connection, id).await?
        }
        Way::Pipelined(database) => {
            database
                .read(async |connection| Ok::<_, Failed>(db::users::find(connection, id).await?))
                .await?
        }
    };
    Ok(user.map_or_else(
        || HttpResponse::NotFound().finish(),
        |user| HttpResponse::Ok().json(Shown::from(user)),
    ))
}

async fn page(way: Data<Way>) -> Result<HttpResponse, Failed> {
    let users = match &**way {
        Way::Pool(pool) => {
            let connection = pool.get().await.map_err(db::Error::from)?;
            db::users::page(&connection, 0, PAGE).await?
        }
        Way::Pipelined(database) => {
            database
                .read(async |connection| {
                    Ok::<_, Failed>(db::users::page(connection, 0, PAGE).await?)
                })
                .await?
        }
    };
    let users: Vec<Shown> = users.into_iter().take(50).map(Shown::from).collect();
    Ok(HttpResponse::Ok().json(users))
}

/// Serves until it is killed, over at most so many connections.
pub(crate) async fn serve(way: &str, connections: usize, url: &str) -> io::Result<()> {
    let workers = thread::available_parallelism()?.get();
    let config =
        DatabaseConfig { url: Secret::new(url), ca: None, pool_size: connections, workers };
    let shared = pool::build(&config, connections).map_err(io::Error::other)?;
    let databases = Databases::new(&config).map_err(io::Error::other)?;
    let own = (0..workers).map(|_| pool::build(&config, connections / workers));
    let own = own.collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
    let way = match way {
        "shared" | "pools" | "pipelined" => way.to_owned(),
        other => return Err(io::Error::other(format!("{other} is no way to the database"))),
    };
    let next = Arc::new(AtomicUsize::new(0));
    let server = HttpServer::new(move || {
        let worker = next.fetch_add(1, Ordering::Relaxed);
        let way = match &*way {
            "shared" => Way::Pool(shared.clone()),
            "pools" => Way::Pool(own.get(worker).unwrap_or(&shared).clone()),
            _ => Way::Pipelined(databases.of_worker(worker)),
        };
        App::new()
            .app_data(Data::new(way))
            .route("/users/{id}", web::get().to(one))
            .route("/users", web::get().to(page))
    })
    .workers(workers)
    .bind(("127.0.0.1", 0))?;
    for address in server.addrs() {
        println!("listening on http://{address}");
    }
    server.run().await
}
