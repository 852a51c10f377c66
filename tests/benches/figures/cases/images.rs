//! What a host downloads to run the services, and how it divides.

use std::{collections::BTreeMap, process::Command};

use crate::report::Report;

const CASE: &str = "images";

pub(super) fn measure(report: &mut Report) {
    let head = run("git", &["rev-parse", "HEAD"]);
    for (what, variable) in [("users", "USERS_IMAGE"), ("client", "CLIENT_IMAGE")] {
        let image = std::env::var(variable).expect("run `cargo xtask bench`");
        let label = "{{index .Config.Labels \"org.opencontainers.image.revision\"}}";
        let revision = run("docker", &["image", "inspect", "--format", label, &image]);
        // Not this command's business: building them takes minutes.
        if revision != head {
            eprintln!("{image} is not of this commit: `cargo xtask test --images` builds it");
            continue;
        }
        let size = run("docker", &["image", "inspect", "--format", "{{.Size}}", &image]);
        report.tell(CASE, what, size.parse::<f64>().unwrap() / 1e6, "MB");
        for (part, size) in parts(&image) {
            report.tell(CASE, format!("{what}: {part}"), size / 1e6, "MB");
        }
    }
}

/// The bytes of an image's files, by what they are.
fn parts(image: &str) -> BTreeMap<&'static str, f64> {
    let container = run("docker", &["create", image]);
    let list = format!("docker export {container} | tar --list --verbose");
    let listed = run("sh", &["-c", &list]);
    run("docker", &["rm", &container]);
    let mut parts = BTreeMap::new();
    for line in listed.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (size, name) = (words[2].parse::<f64>().unwrap(), words[5]);
        let part = match name.rsplit('.').next() {
            _ if ["users", "static-web-server"].contains(&name) => "program",
            Some("br") => "brotli",
            Some("gz") => "gzip",
            Some("wasm") => "WebAssembly",
            _ if name.starts_with("certs/") => "certificates",
            _ => "others",
        };
        *parts.entry(part).or_insert(0.0) += size;
    }
    parts.retain(|_, size| *size > 0.0);
    parts
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect(program);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
