//! axe-core, which looks for faults of accessibility. It is not ours to carry along (MPL-2.0), so
//! it is taken from the Python package that brings it, once, into `target/tools`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::layout::Layout;
use crate::process;
use crate::report::say;

/// The package; its version decides what counts as a fault.
const PACKAGE: &str = "axe-playwright-python==0.1.8";
/// Where the script lies in it.
const SCRIPT: &str = "axe_playwright_python/axe.min.js";

/// The script, fetched if need be.
///
/// # Errors
/// There is no pip, or it does not reach the package.
pub(crate) fn ensure_script(layout: &Layout) -> Result<PathBuf> {
    if let Some(script) = std::env::var_os("AXE_SCRIPT").map(PathBuf::from) {
        ensure!(script.is_file(), "AXE_SCRIPT names {}, which is no file", script.display());
        return Ok(script);
    }
    let directory = layout.tools().join("axe");
    let script = directory.join(SCRIPT);
    if script.is_file() {
        return Ok(script);
    }
    say("Fetching axe-core, which checks accessibility (about a megabyte, once)");
    std::fs::create_dir_all(&directory)?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--target"]).arg(&directory).arg(PACKAGE);
    process::run(&mut pip)?;
    ensure!(script.is_file(), "{PACKAGE} has no {SCRIPT}");
    Ok(script)
}
