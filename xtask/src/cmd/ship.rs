//! `cargo xtask build`, `deploy`, `status` and so on: what the pipeline does.
//!
//! It links the AWS SDK and takes minutes to compile, so it is a program of its own. It takes this
//! one's place, and gets the arguments as they are.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::layout::Layout;
use crate::process;
use crate::report::say;

/// Arguments for the pipeline, help included.
#[derive(Debug, Args)]
pub(crate) struct Ship {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    arguments: Vec<OsString>,
}

impl Ship {
    /// With arguments that were looked at before.
    pub(crate) fn new(arguments: Vec<OsString>) -> Self {
        Self { arguments }
    }

    /// Becomes the pipeline. Returns only if that is impossible.
    pub(crate) fn run(&self, layout: &Layout, name: &str) -> Result<Infallible> {
        let mut cargo = process::cargo();
        cargo.args(["run", "--package", "pipeline"]);
        if layout.program("pipeline").exists() {
            cargo.arg("--quiet");
        } else {
            say("Compiling the pipeline, which takes a few minutes the first time …");
        }
        let error = cargo.arg("--").arg(name).args(&self.arguments).exec();
        Err(error).context("cargo could not be started")
    }
}
