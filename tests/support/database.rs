//! A private, migrated database per test.
//!
//! `TEST_DATABASE_URL` names a server and a superuser. The first test that needs it
//! migrates a template, once per set of migrations; every test copies it, which takes
//! some fifteen milliseconds, and drops its copy at the end.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio_postgres::{Client, NoTls};

/// Held on the `postgres` database while the template is made: nextest runs a process per test.
const TEMPLATE_LOCK: i64 = 0x7573_6572_735f_7470;
/// What the names of private copies begin with.
const PREFIX: &str = "users_test_";
/// A copy as old as this was left by a run that was killed.
const LEFT_BEHIND: Duration = Duration::from_secs(60 * 60);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A database of one test; dropped with this value.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// A copy of the migrated template.
    pub async fn migrated() -> Self {
        let server = server();
        let admin = connect(&server).await;
        let template = template(&admin, &server).await;
        Self::create(&admin, server, &format!("TEMPLATE {template}")).await
    }

    /// A database with nothing in it.
    pub async fn empty() -> Self {
        let server = server();
        let admin = connect(&server).await;
        Self::create(&admin, server, "TEMPLATE template0").await
    }

    async fn create(admin: &Client, server: String, source: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{now}_{}_{number}", process::id());
        // Copying files beats writing them through the log (the default since
        // PostgreSQL 15) for a database as small as this.
        let strategy = if version(admin).await >= 150_000 { "STRATEGY file_copy" } else { "" };
        admin
            .batch_execute(&format!("CREATE DATABASE {name} {source} {strategy}"))
            .await
            .expect("a copy of the template database");
        Self { server, name }
    }

    /// The address of this database.
    pub fn url(&self) -> String {
        address(&self.server, &self.name)
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection of the test's own.
    pub async fn client(&self) -> Client {
        connect(&self.url()).await
    }

    /// Runs statements that prepare or break something.
    pub async fn execute(&self, sql: &str) {
        self.client().await.batch_execute(sql).await.expect(sql);
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // A thread with a runtime of its own: the test's may be ending or panicking.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                connect(&server).await.batch_execute(&drop).await
            })
        });
        if !matches!(dropped.join(), Ok(Ok(()))) {
            eprintln!("the database {} is left behind", self.name);
        }
    }
}

/// The address of the server's `postgres` database.
fn server() -> String {
    std::env::var("TEST_DATABASE_URL").unwrap_or_else(|_| {
        panic!(
            "TEST_DATABASE_URL names no PostgreSQL server: run `cargo xtask test`, which starts \
             one, or set it to the address of a superuser's database"
        )
    })
}

/// `server` with another database.
pub fn address(server: &str, database: &str) -> String {
    let (rest, query) = server.split_once('?').unwrap_or((server, ""));
    let (host, _) = rest.rsplit_once('/').expect("a database in TEST_DATABASE_URL");
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{host}/{database}{mark}{query}")
}

/// A connection to `url`, driven in the background.
pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .unwrap_or_else(|error| panic!("the test's PostgreSQL does not answer: {error}"));
    tokio::spawn(connection);
    client
}

async fn version(client: &Client) -> i32 {
    let row = client.query_one("SELECT current_setting('server_version_num')::int4", &[]).await;
    row.unwrap().get(0)
}

/// The name of the migrated template; makes it if no other test has.
async fn template(admin: &Client, server: &str) -> String {
    let name = format!("users_template_{:016x}", fingerprint());
    let ready = "SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate";
    if admin.query_opt(ready, &[&name]).await.unwrap().is_some() {
        return name;
    }
    admin.execute("SELECT pg_advisory_lock($1)", &[&TEMPLATE_LOCK]).await.unwrap();
    if admin.query_opt(ready, &[&name]).await.unwrap().is_none() {
        drop_left_behind(admin).await;
        let make = [
            format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            format!("CREATE DATABASE {name} TEMPLATE template0"),
        ];
        for statement in make {
            admin.batch_execute(&statement).await.unwrap();
        }
        crate::app::migrate(&address(server, &name)).await;
        // The migrations' connection may still be closing, and a template takes none.
        let seal = format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false IS_TEMPLATE true");
        admin.batch_execute(&seal).await.unwrap();
        let close = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
        admin.execute(close, &[&name]).await.unwrap();
    }
    admin.execute("SELECT pg_advisory_unlock($1)", &[&TEMPLATE_LOCK]).await.unwrap();
    name
}

/// Drops the copies that killed runs left.
async fn drop_left_behind(admin: &Client) {
    let rows = admin.query("SELECT datname::text FROM pg_database", &[]).await.unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    for name in rows.iter().map(|row| row.get::<_, String>(0)) {
        let created = name.strip_prefix(PREFIX).and_then(|rest| rest.split('_').next());
        let Some(created) = created.and_then(|seconds| seconds.parse().ok()) else { continue };
        if now.saturating_sub(Duration::from_secs(created)) > LEFT_BEHIND {
            // Another run may be just as eager.
            let _ = admin.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    }
}

/// The directory of the migrations, whose contents decide which template fits.
pub fn migrations_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/users/migrations")
}

fn fingerprint() -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut directories: Vec<_> = entries(&migrations_directory());
    directories.sort();
    for directory in directories {
        directory.file_name().hash(&mut hasher);
        let mut files = entries(&directory);
        files.sort();
        for file in files {
            std::fs::read(file).unwrap().hash(&mut hasher);
        }
    }
    hasher.finish()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("the migrations of services/users");
    entries.map(|entry| entry.unwrap().path()).filter(|path| !is_hidden(path)).collect()
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// The schema of a database, a line a thing, as PostgreSQL itself tells it.
///
/// Not `pg_dump`'s output: that program refuses servers that are newer than itself.
pub async fn schema(client: &Client) -> Vec<String> {
    const THINGS: [&str; 7] = [
        "SELECT format('column %s.%s %s %s default %s identity %s', table_name, column_name, \
         data_type, is_nullable, column_default, identity_generation) \
         FROM information_schema.columns WHERE table_schema = 'public'",
        "SELECT format('constraint %s on %s: %s', conname, conrelid::regclass, \
         pg_get_constraintdef(oid)) FROM pg_constraint \
         WHERE connamespace = 'public'::regnamespace",
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
        "SELECT format('sequence %s %s', sequence_name, data_type) \
         FROM information_schema.sequences WHERE sequence_schema = 'public'",
        "SELECT format('comment %s %s: %s', objoid::regclass, objsubid, description) \
         FROM pg_description WHERE classoid = 'pg_class'::regclass AND objoid IN \
         (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)",
    ];
    let mut lines = Vec::new();
    for query in THINGS {
        let rows = client.query(query, &[]).await.expect(query);
        lines.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    // Diesel's own book-keeping is no part of a migration.
    lines.retain(|line| !line.contains("__diesel_schema_migrations"));
    lines.sort();
    lines
}

/// Every row of every table as text: what a thief of the database would read.
pub async fn contents(client: &Client) -> String {
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
    let mut text = String::new();
    for table in client.query(tables, &[]).await.unwrap() {
        let table: String = table.get(0);
        let rows = client.query(&format!("SELECT t::text FROM {table} t"), &[]).await.unwrap();
        text.extend(rows.iter().map(|row| format!("{table} {}\n", row.get::<_, String>(0))));
    }
    text
}

/// The migrations, oldest first: name, `up.sql` and `down.sql`.
pub fn migrations() -> Vec<(String, String, String)> {
    let mut directories = entries(&migrations_directory());
    directories.sort();
    let read = |directory: &Path, file: &str| {
        std::fs::read_to_string(directory.join(file)).unwrap_or_else(|error| {
            panic!("{}: {error}", directory.join(file).display());
        })
    };
    let migration = |directory: &PathBuf| {
        let name = directory.file_name().unwrap().to_string_lossy().into_owned();
        (name, read(directory, "up.sql"), read(directory, "down.sql"))
    };
    directories.iter().map(migration).collect()
}
