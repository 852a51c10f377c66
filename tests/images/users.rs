//! The image of the API.

use std::{
    io::Write,
    net::TcpStream,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;
use tests::{Client, PASSWORD};

use crate::{
    docker::{Container, HARDENED, Image, docker, open_directory, root, text, try_docker},
    load::{Load, Outcome},
};

const MEGABYTE: u64 = 1_000_000;

fn image() -> Image {
    Image::named_by("USERS_IMAGE")
}

/// A PostgreSQL that is thrown away.
struct Database(Container);

impl Database {
    fn start() -> Self {
        let container = Container::start(&[
            "--tmpfs=/var/lib/postgresql/data",
            "--env=POSTGRES_PASSWORD=postgres",
            "--env=POSTGRES_INITDB_ARGS=--no-sync",
            "postgres:17",
            "-c",
            "fsync=off",
        ]);
        let start = Instant::now();
        // By TCP: while the image sets itself up, a server without it listens on the socket.
        let ready = ["exec", container.id(), "pg_isready", "--host=127.0.0.1"];
        while !try_docker(&ready).status.success() {
            assert!(start.elapsed() < Duration::from_secs(60), "{}", container.logs());
            std::thread::sleep(Duration::from_millis(200));
        }
        Self(container)
    }

    fn setting(&self) -> String {
        let address = self.0.address(5432);
        format!("--env=DATABASE_URL=postgres://postgres:postgres@{address}/postgres")
    }
}

/// The arguments of `docker run`: hardened, for this database, with more settings.
fn arguments<'a>(
    image: &'a Image,
    database: &'a str,
    settings: &[&'a str],
    command: &[&'a str],
) -> Vec<&'a str> {
    [&HARDENED[..], &["--env=APP_ENV=development", database], settings, &[image.name()], command]
        .concat()
}

#[test]
fn it_has_at_most_15_mb() {
    let size = image().size();
    assert!(size <= 15 * MEGABYTE, "{size} bytes");
}

#[test]
fn it_holds_its_programs_and_the_certificates_and_nothing_else() {
    let certificates = std::fs::read_dir(root().join("ecs/certs")).unwrap();
    let certificates = certificates.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let certificates = certificates.map(|name| format!("certs/{name}"));
    let expected =
        ["certs/", "init", "users"].map(str::to_owned).into_iter().chain(certificates).collect();
    assert_eq!(image().files(), expected);
}

#[test]
fn with_too_little_memory_it_does_not_start_and_says_so() {
    let image = image();
    // Before the kernel would kill it without a word.
    let limit = ["--memory=48m", "--memory-swap=48m"];
    let unreachable = "--env=DATABASE_URL=postgres://nobody@127.0.0.1:1/none";
    let (code, log) = Container::run(&arguments(&image, unreachable, &limit, &[]));
    assert_eq!(code, 1, "{log}");
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains("a memory limit of 50 MB is too small"), "{log}");
}

#[test]
fn killed_for_its_memory_it_says_so_in_the_last_line() {
    image().says_that_memory_has_ended();
}

/// Many more connections than have room, each with a head as long as the framework reads.
#[tokio::test(flavor = "multi_thread")]
async fn no_number_of_connections_has_it_killed_for_its_memory() {
    let image = image();
    let settings = ["--memory=96m", "--memory-swap=96m"];
    let unreachable = "--env=DATABASE_URL=postgres://nobody@127.0.0.1:1/none";
    let service = Container::start(&arguments(&image, unreachable, &settings, &[]));
    let address = service.listening(5000);
    let head = format!("GET /ping HTTP/1.1\r\nHost: x\r\nX-Long: {}", "x".repeat(120_000));
    let attack = {
        let (address, head) = (address.clone(), head.into_bytes());
        std::thread::spawn(move || {
            let open = (0..1_500).map(|_| {
                let mut stream = TcpStream::connect(&address).unwrap();
                stream.set_nonblocking(true).unwrap();
                // As much as the operating system takes: the service reads no more of those that wait.
                let _ = stream.write(&head);
                stream
            });
            open.collect::<Vec<_>>()
        })
    };
    let open = attack.join().unwrap();
    // It gives up on each after 10 s, and takes the next.
    std::thread::sleep(Duration::from_secs(12));
    assert!(!service.is_out_of_memory(), "{}", service.logs());
    drop(open);
    let api = Client::new(format!("http://{address}"));
    api.get("/ping").await.ok(200);

    // Those who ask and keep their connection make room for those who wait.
    let polite = (0..400).map(|_| {
        let api = Client::new(format!("http://{address}"));
        tokio::spawn(async move {
            for _ in 0..3 {
                api.get("/ping").await.ok(200);
            }
            api
        })
    });
    let polite: Vec<_> = polite.collect();
    let start = Instant::now();
    let mut kept = Vec::new();
    for client in polite {
        kept.push(client.await.unwrap());
    }
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert!(!service.is_out_of_memory());
}

#[test]
fn it_is_configured_to_run_as_nobody_and_to_be_stopped_and_asked() {
    let image = image().inspect();
    let config = &image["Config"];
    assert_eq!(config["User"], "10001:10001");
    assert_eq!(config["StopSignal"], "SIGTERM");
    assert_eq!(config["Healthcheck"]["Test"], json!(["CMD", "/users", "healthcheck"]));
    assert_eq!(config["Entrypoint"], json!(["/init", "/users"]));
    assert_eq!(config["Cmd"], json!(["serve"]));
    let settings = config["Env"].as_array().unwrap().iter().map(|one| one.as_str().unwrap());
    let settings: Vec<_> = settings.filter(|one| !one.starts_with("PATH=")).collect();
    // What is weak is refused unless somebody says that it is not production.
    assert_eq!(settings, ["HOST=0.0.0.0", "APP_ENV=production"]);
    let labels = &config["Labels"];
    assert_eq!(labels["org.opencontainers.image.title"], "users");
    let version = &labels["org.opencontainers.image.version"];
    assert_eq!(&labels["org.opencontainers.image.revision"], version);
    assert!(version.as_str().is_some_and(|version| !version.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn hardened_it_runs_every_command_and_serves() {
    let (image, database) = (image(), Database::start());
    let url = database.setting();
    let run = |command: &[&str]| Container::run(&arguments(&image, &url, &[], command));
    for command in [&["migrate"][..], &["seed_db"], &["recreate_db"], &["seed_db"], &["openapi"]] {
        let (code, log) = run(command);
        assert_eq!(code, 0, "{command:?}: {log}");
    }
    create_admin(&image, &url);

    let service = Container::start(&arguments(&image, &url, &["--env=THROTTLE=off"], &[]));
    let api = Client::new(format!("http://{}", service.listening(5000)));
    let ping = api.get("/ping").await;
    ping.ok(200);
    let labels = &image.inspect()["Config"]["Labels"];
    assert_eq!(
        labels["org.opencontainers.image.version"],
        ping.expect_header("x-app-version"),
        "the version that it tells"
    );

    let root = json!({"email": "root@example.com", "password": PASSWORD});
    let tokens = api.post("/auth/login").json(root.clone()).await.ok(200);
    let token = tokens["access_token"].as_str().unwrap();
    assert_eq!(api.get("/auth/status").bearer(token).await.ok(200)["is_admin"], true);

    // What takes the most memory, many times at once.
    let logins: Vec<_> =
        (0..64).map(|_| tokio::spawn(api.post("/auth/login").json(root.clone()).send())).collect();
    for login in logins {
        login.await.unwrap().unwrap().ok(200);
    }
    service.healthy();
    assert!(!service.is_out_of_memory());
}

/// The password comes from standard input, where no list of processes shows it.
fn create_admin(image: &Image, url: &str) {
    let command = ["create_admin", "--username=root", "--email=root@example.com"];
    let mut child = Command::new("docker")
        .args(["run", "--rm", "--interactive"])
        .args(arguments(image, url, &[], &command))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_under_load_it_finishes_what_it_has_accepted() {
    let (image, database) = (image(), Database::start());
    let url = database.setting();
    for command in ["migrate", "seed_db"] {
        let (code, log) = Container::run(&arguments(&image, &url, &[], &[command]));
        assert_eq!(code, 0, "{command}: {log}");
    }
    // A line for each request, those for `/ping` too.
    let settings = [
        "--env=THROTTLE=off",
        "--env=LOG_FORMAT=json",
        "--env=RUST_LOG=info,users::http::middleware=debug",
    ];
    let service = Container::start(&arguments(&image, &url, &settings, &[]));
    let base = format!("http://{}", service.listening(5000));
    let api = Client::new(base.clone());
    api.get("/users").await.ok(200);

    let load = Load::start(&base, &["/ping".to_owned(), "/users".to_owned()]).await;
    // More than it can hash before it is stopped.
    let login = json!({"email": "michael@mherman.org", "password": PASSWORD});
    let logins: Vec<_> =
        (0..96).map(|_| tokio::spawn(api.post("/auth/login").json(login.clone()).send())).collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(logins.iter().any(|login| !login.is_finished()), "nothing is in flight");
    let Outcome { answered, took } = load.stop(&service).await;
    let mut signed_in = 0;
    for login in logins {
        match login.await.unwrap() {
            // On a busy machine one may come only when the service has stopped.
            Err(error) if error.is_connect() => {}
            answer => {
                answer.expect("a request that was accepted has failed").ok(200);
                signed_in += 1;
            }
        }
    }
    assert!(signed_in >= 48, "only {signed_in} sign-ins came in time");

    let log = service.logs();
    assert_eq!(service.wait(), 0, "{log}");
    assert!(took < Duration::from_secs(25), "{took:?}, and requests have 25 s");
    let accepted = log.lines().filter(|line| line.contains(r#""message":"request""#)).count();
    // And the page of users before the load.
    assert_eq!(accepted, answered + signed_in + 1, "an answer was lost");
    assert!(log.lines().last().is_some_and(|line| line.contains("stopped")), "{log}");
}

#[test]
fn a_bad_setting_ends_it_with_the_reason_in_the_last_line() {
    let image = image();
    let last_line = |settings: &[&str]| {
        let (code, log) = Container::run(&[&HARDENED[..], settings, &[image.name()]].concat());
        assert_ne!(code, 0, "{log}");
        log.lines().last().unwrap_or_default().to_owned()
    };
    let database = "--env=DATABASE_URL=postgres://nobody@127.0.0.1:1/none";
    let development = "--env=APP_ENV=development";
    for (settings, reason) in [
        // Production is what nobody has to ask for.
        (&[database][..], "SECRET_KEY"),
        (&[database, development, "--env=PORT=http"], "PORT"),
        (&[development], "DATABASE_URL"),
    ] {
        let line = last_line(settings);
        assert!(line.contains(reason), "{settings:?}: {line}");
    }
}

#[test]
fn it_verifies_a_database_by_the_certificates_under_certs() {
    let (image, database) = (image(), Database::start());
    let url = database.setting();
    let directory = open_directory();
    let file = directory.path().join("authority.pem");
    let authority = rcgen::generate_simple_self_signed(["db".to_owned()]).unwrap();
    std::fs::write(&file, authority.cert.pem()).unwrap();
    let mount = format!("--volume={}:/certs/authority.pem:ro", file.display());
    let ca = [mount.as_str(), "--env=DATABASE_CA=/certs/authority.pem"];
    let (code, log) = Container::run(&arguments(&image, &url, &ca, &["migrate"]));
    // The file is good, and this server has no TLS.
    assert_ne!(code, 0, "{log}");
    assert!(log.contains("TLS") && !log.contains("authority.pem"), "{log}");
    let missing = "--env=DATABASE_CA=/certs/none.pem";
    let (code, log) = Container::run(&arguments(&image, &url, &[missing], &["migrate"]));
    assert_ne!(code, 0, "{log}");
    assert!(log.contains("/certs/none.pem"), "{log}");
}

#[test]
fn no_layer_of_it_was_made_with_a_secret() {
    let history = docker(&["history", "--no-trunc", "--format={{.CreatedBy}}", image().name()]);
    for word in ["SECRET", "PASSWORD", "DATABASE_URL", "postgres://"] {
        assert!(!history.contains(word), "{word}: {history}");
    }
}
