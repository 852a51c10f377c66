//! What a host downloads to run the services.

use std::process::Command;

use crate::report::Report;

const CASE: &str = "images";

pub(super) fn measure(report: &mut Report) {
    for (what, variable) in [("users", "USERS_IMAGE"), ("client", "CLIENT_IMAGE")] {
        let image = std::env::var(variable).expect("run `cargo xtask bench`");
        let inspect = ["image", "inspect", "--format", "{{.Size}}", &image];
        let output = Command::new("docker").args(inspect).output();
        let output = output.expect("Docker, which has the images");
        let size = String::from_utf8(output.stdout).unwrap();
        // Not this command's business: building them takes minutes.
        let Ok(size) = size.trim().parse::<f64>() else {
            eprintln!("no image {image}: `cargo xtask test --images` builds it");
            continue;
        };
        report.tell(CASE, what, size / 1e6, "MB");
    }
}
