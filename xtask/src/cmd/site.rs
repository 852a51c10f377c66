//! `cargo xtask site`: the client as static files, for the image and for any other web server.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::client::{Build, Profile};
use crate::layout::Layout;
use crate::report::say;

/// Build the client as static files, quick to load, with brotli and gzip forms beside them
#[derive(Debug, Args)]
pub(crate) struct Site {
    /// The files' directory; what does not belong to the site is removed from it
    #[arg(long, value_name = "DIR", default_value = "target/site")]
    out: PathBuf,
    /// Compile the client and make no files of it, to have its dependencies ready
    #[arg(long, conflicts_with = "out")]
    compile_only: bool,
}

impl Site {
    /// API_SERVICE_URL, if set, is where the client will look for the API.
    pub(crate) fn run(&self, layout: &Layout) -> Result<()> {
        let build = Build {
            profile: Profile::Release,
            site: self.out.clone(),
            reload: false,
            compress: true,
        };
        if self.compile_only {
            return build.compile(layout).map(drop);
        }
        build.run(layout)?;
        say(format_args!("The site lies in {}", self.out.display()));
        Ok(())
    }
}
