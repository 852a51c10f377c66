//! What a browser downloads before the client runs.

use std::{fs, path::Path};

use crate::report::Report;

const CASE: &str = "client";

pub(super) fn measure(report: &mut Report) {
    let site = std::env::var_os("CLIENT_DIR").expect("run `cargo xtask bench`");
    for (what, ending) in [
        ("WebAssembly, brotli", ".wasm.br"),
        ("WebAssembly, gzip", ".wasm.gz"),
        ("WebAssembly, as it is", ".wasm"),
        ("script, brotli", ".js.br"),
        ("styles, brotli", ".css.br"),
    ] {
        report.tell(CASE, what, size_of(Path::new(&site), ending) as f64 / 1024.0, "KiB");
    }
}

/// The bytes of all files below with this ending.
fn size_of(directory: &Path, ending: &str) -> u64 {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let sizes = entries.map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            size_of(&path, ending)
        } else if path.to_string_lossy().ends_with(ending) {
            entry.metadata().unwrap().len()
        } else {
            0
        }
    });
    sizes.sum()
}
