//! The emulator of AWS that the pipeline is tested against: ministack, which runs real containers.
//! It lives in a Python environment of its own, in `target/tools`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::layout::Layout;
use crate::process;
use crate::report::say;

/// The emulator, and what it needs of other packages.
const PACKAGES: [&str; 3] = ["ministack==1.5.33", "docker==7.2.0", "cryptography==50.0.2"];

/// The program, installed if need be.
///
/// # Errors
/// There is no Python with `venv`, or pip does not reach the packages.
pub(crate) fn ensure(layout: &Layout) -> Result<PathBuf> {
    // The packages in the name: another version is another environment.
    let directory = layout.tools().join(PACKAGES[0].replace("==", "-"));
    let program = directory.join("bin/ministack");
    let complete = directory.join("complete");
    if complete.is_file() {
        return Ok(program);
    }
    say("Installing ministack, an emulator of AWS (about 60 megabytes, once)");
    process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory))?;
    let mut pip = Command::new(directory.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"]);
    process::run(pip.args(PACKAGES))?;
    ensure!(program.is_file(), "{} has no program ministack", PACKAGES[0]);
    std::fs::write(complete, "")?;
    Ok(program)
}
