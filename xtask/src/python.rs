//! Programs from PyPI that tests need. Each lives in a Python environment of its own, in
//! `target/tools`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::layout::Layout;
use crate::process;
use crate::report::say;

/// A program, and what it needs of other packages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    program: &'static str,
    /// Its own package first.
    packages: &'static [&'static str],
    about: &'static str,
}

/// The emulator of AWS that the pipeline is tested against: it runs real containers.
pub(crate) const MINISTACK: Tool = Tool {
    program: "ministack",
    packages: &["ministack==1.5.33", "docker==7.2.0", "cryptography==50.0.2"],
    about: "an emulator of AWS (about 60 megabytes, once)",
};

/// What holds the running API against its OpenAPI document.
pub(crate) const SCHEMATHESIS: Tool = Tool {
    program: "schemathesis",
    packages: &["schemathesis==4.32.5"],
    about: "which tests APIs by their documents (about 90 megabytes, once)",
};

/// What the pipeline's benchmark is held against: the AWS CLI, as the course uses it.
pub(crate) const AWSCLI: Tool = Tool {
    program: "aws",
    packages: &["awscli==1.46.3"],
    about: "which a benchmark compares `deploy` with (about 80 megabytes, once)",
};

impl Tool {
    /// The program, installed if need be.
    ///
    /// # Errors
    /// There is no Python with `venv`, or pip does not reach the packages.
    pub(crate) fn ensure(self, layout: &Layout) -> Result<PathBuf> {
        let package = self.packages.first().context("a tool without a package")?;
        // The package in the name: another version is another environment.
        let directory = layout.tools().join(package.replace("==", "-"));
        let program = directory.join("bin").join(self.program);
        let complete = directory.join("complete");
        if complete.is_file() {
            return Ok(program);
        }
        say(format_args!("Installing {}, {}", self.program, self.about));
        process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory))?;
        let mut pip = Command::new(directory.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check"]);
        process::run(pip.args(self.packages))?;
        ensure!(program.is_file(), "{package} has no program {}", self.program);
        std::fs::write(complete, "")?;
        Ok(program)
    }
}
