//! PostgreSQL over TLS: the right authority connects, everything else is refused.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tests::{
    guard::free_port,
    postgres::{Certificate, Postgres},
    program::{Serving, run},
};

/// A certificate authority of the test's own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn issue(&self, host: &str) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Certificate { certificate, key: key.serialize_pem() }
    }

    /// The bundle as a file, as DATABASE_CA wants it.
    fn file(&self) -> File {
        File::new(&self.pem)
    }
}

/// A file that is gone with this value.
struct File(PathBuf);

impl File {
    fn new(text: &str) -> Self {
        let name = format!("users-test-ca-{}-{}.pem", std::process::id(), free_port());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        Path::to_str(&self.0).unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn the_right_authority_connects_and_the_connection_is_encrypted() {
    let authority = Authority::new();
    let postgres = Postgres::start_with_tls(&authority.issue("localhost")).await;
    let url = postgres.url_at("localhost", "postgres");
    let bundle = authority.file();
    for url in [url.clone(), format!("{url}?sslmode=require"), format!("{url}?sslmode=verify-full")]
    {
        let settings = [("DATABASE_URL", url.as_str()), ("DATABASE_CA", bundle.path())];
        run(&["migrate"], &settings).succeeded();
        let serving = Serving::start(&settings);
        serving.client().get("/users").await.ok(200);
        let (client, connection) =
            tokio_postgres::connect(&postgres.url(), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                         WHERE application_name = 'users'";
        let row = client.query_one(encrypted, &[]).await.unwrap();
        assert_eq!(row.get::<_, Option<bool>>(0), Some(true));
    }
}

#[tokio::test]
async fn another_authority_or_another_host_is_refused() {
    let authority = Authority::new();
    let postgres = Postgres::start_with_tls(&authority.issue("localhost")).await;
    let other = Authority::new();
    let url = postgres.url_at("localhost", "postgres");
    // The certificate names `localhost`, and not this address.
    let by_address = postgres.url_at("127.0.0.1", "postgres");
    for (url, bundle) in [(&url, other.file()), (&by_address, authority.file())] {
        let settings = [("DATABASE_URL", url.as_str()), ("DATABASE_CA", bundle.path())];
        let refused = run(&["migrate"], &settings).failed();
        assert!(refused.to_lowercase().contains("certificate"), "{refused}");
        let serving = Serving::start(&settings);
        serving.client().get("/users").await.problem(503, "database_unavailable");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused() {
    let postgres = Postgres::start().await;
    let bundle = Authority::new().file();
    let url = postgres.url_at("localhost", "postgres");
    for url in [url.clone(), format!("{url}?sslmode=prefer"), format!("{url}?sslmode=disable")] {
        let settings = [("DATABASE_URL", url.as_str()), ("DATABASE_CA", bundle.path())];
        let refused = run(&["migrate"], &settings).failed();
        assert!(refused.contains("TLS") || refused.contains("sslmode"), "{refused}");
    }
    let settings = [("DATABASE_URL", url.as_str())];
    run(&["migrate"], &settings).succeeded();
}

#[test]
fn a_bundle_that_is_none_is_told_by_its_name() {
    let garbage = File::new("not a certificate");
    let empty = File::new("");
    for path in [garbage.path(), empty.path(), "/nowhere/bundle.pem"] {
        let settings = [("DATABASE_URL", "postgres://u@localhost:1/x"), ("DATABASE_CA", path)];
        let refused = run(&["migrate"], &settings).failed();
        assert!(refused.contains("DATABASE_CA"), "{refused}");
        assert!(refused.contains(path), "{refused}");
    }
}

/// The stack writes the URL, the task definition the environment, and the image has `ecs/certs` as
/// `/certs`: the three of them together must be what production starts with.
#[tokio::test]
async fn the_certificates_of_rds_and_the_stacks_url_are_what_production_starts_with() {
    let ecs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ecs");
    let read = |file: &str| std::fs::read_to_string(ecs.join(file)).unwrap();
    let authority = Authority::new();
    let postgres = Postgres::start_with_tls(&authority.issue("localhost")).await;
    let (client, connection) =
        tokio_postgres::connect(&postgres.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("CREATE ROLE webapp SUPERUSER LOGIN PASSWORD 'secret'").await.unwrap();

    let template = read("stack.yml");
    let url = template.lines().find_map(|line| line.trim().strip_prefix("- postgres://")).unwrap();
    let password = "{{resolve:secretsmanager:${DatabasePassword}:SecretString:password}}";
    let place = format!("localhost:{}/postgres", postgres.port());
    let url = format!("postgres://{url}")
        .replace(password, "secret")
        .replace("${Host}:${Port}/${DatabaseName}", &place);
    assert!(!url.contains('$') && url.ends_with("?sslmode=require"), "{url}");

    let definition: serde_json::Value =
        serde_json::from_str(&read("ecs_users_taskdefinition.json")).unwrap();
    let environment = definition["containerDefinitions"][0]["environment"].as_array().unwrap();
    let variable = |name: &str| {
        environment.iter().find(|one| one["name"] == name).map(|one| one["value"].as_str().unwrap())
    };
    let bundle = variable("DATABASE_CA").and_then(|path| path.strip_prefix("/certs/")).unwrap();
    let bundle = ecs.join("certs").join(bundle);
    let start = |bundle: &Path| {
        let mut settings: Vec<_> = environment
            .iter()
            .map(|one| (one["name"].as_str().unwrap(), one["value"].as_str().unwrap()))
            .filter(|(name, _)| *name != "DATABASE_CA")
            .collect();
        let key = "0123456789abcdef0123456789abcdef";
        settings.extend([("DATABASE_URL", url.as_str()), ("SECRET_KEY", key)]);
        settings.push(("DATABASE_CA", bundle.to_str().unwrap()));
        run(&["migrate"], &settings)
    };
    // It comes as far as the handshake, and this database is none of Amazon's.
    let refused = start(&bundle).failed();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    assert!(!refused.contains("a certificate cannot be used"), "{refused}");
    let trusted = std::fs::read_to_string(&bundle).unwrap();
    let ours = File::new(&(trusted + authority.pem.as_str()));
    start(&ours.0).succeeded();
}
