//! `cargo xtask screenshots`: every page and state of the client as pictures.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use super::test::packages;
use crate::claim::Claim;
use crate::client::Profile;
use crate::layout::Layout;
use crate::process;
use crate::report::say;
use crate::stage::Stage;

/// Take pictures of every page and state, at three widths, in both themes, into target/screenshots
#[derive(Debug, Args)]
pub(crate) struct Screenshots {}

impl Screenshots {
    /// Takes them, after the pictures of an earlier run are removed.
    #[expect(clippy::unused_self, reason = "every command has the same shape")]
    pub(crate) fn run(&self, layout: &Layout) -> Result<()> {
        let claim = Claim::take(&layout.test(), "test")?;
        // With the packages of the tests, so that nothing is compiled in a second form.
        let mut build = process::cargo();
        build.args(["build", "--bins", "--example", "screenshots"]).args(packages());
        process::run(&mut build)?;
        let mut stage = Stage::development(layout, &claim)?;
        stage.find_browser()?;
        stage.build_client(Profile::Dev)?;

        let directory = layout.cargo_target.join("screenshots");
        if directory.is_dir() {
            std::fs::remove_dir_all(&directory)?;
        }
        let mut take = Command::new(layout.program("examples/screenshots"));
        stage.hand_over(take.arg(&directory));
        process::run(&mut take)?;
        say(format_args!("The pictures lie in {}", layout.relative(&directory)));
        Ok(())
    }
}
