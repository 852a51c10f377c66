//! What suites, benchmarks and screenshots need around them: a PostgreSQL, the programs, a built
//! client and a browser; and how they are told where it is.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::axe;
use crate::browser::Browser;
use crate::claim::Claim;
use crate::client;
use crate::images;
use crate::layout::Layout;
use crate::postgres::{self, Server};
use crate::python;

/// Why what needs a browser cannot run.
pub(crate) const NO_BROWSER: &str =
    "Chromium or chromedriver is missing; `cargo xtask setup` installs them";

/// What has been made ready. Ends with the value.
pub(crate) struct Stage<'a> {
    layout: &'a Layout,
    /// PostgreSQL, for databases of everybody's own.
    pub(crate) server: Server,
    /// The program `users`.
    users: PathBuf,
    /// What its benchmarks are held against.
    baseline: PathBuf,
    /// The built client.
    site: PathBuf,
    browser: Option<Browser>,
    /// The script that looks for faults of accessibility.
    axe: Option<PathBuf>,
    /// The emulator of AWS.
    emulator: Option<PathBuf>,
    /// What tests APIs by their documents.
    schemathesis: Option<PathBuf>,
    /// What people without this workspace ask AWS with.
    aws_cli: Option<PathBuf>,
}

impl<'a> Stage<'a> {
    /// With the programs as they are while developing.
    pub(crate) fn development(layout: &'a Layout, claim: &Claim) -> Result<Self> {
        Ok(Self::with(layout, postgres::start_test(layout, claim)?))
    }

    /// With what production runs.
    pub(crate) fn release(layout: &'a Layout, claim: &Claim) -> Result<Self> {
        let stage = Self::with(layout, postgres::start_bench(layout, claim)?);
        let (users, site) = (layout.release_program("users"), layout.test().join("release-site"));
        Ok(Self { users, site, ..stage })
    }

    fn with(layout: &'a Layout, server: Server) -> Self {
        Self {
            layout,
            server,
            users: layout.program("users"),
            baseline: layout.release_program("baseline"),
            site: layout.test().join("site"),
            browser: None,
            axe: None,
            emulator: None,
            schemathesis: None,
            aws_cli: None,
        }
    }

    /// Finds a browser; without one there is nothing to show the client in.
    pub(crate) fn find_browser(&mut self) -> Result<()> {
        self.browser = Some(Browser::find().context(NO_BROWSER)?);
        Ok(())
    }

    /// Fetches what checks accessibility.
    pub(crate) fn fetch_axe(&mut self) -> Result<()> {
        self.axe = Some(axe::ensure_script(self.layout)?);
        Ok(())
    }

    /// Installs the emulator of AWS.
    pub(crate) fn install_emulator(&mut self) -> Result<()> {
        self.emulator = Some(python::MINISTACK.ensure(self.layout)?);
        Ok(())
    }

    /// Installs what tests APIs by their documents.
    pub(crate) fn install_schemathesis(&mut self) -> Result<()> {
        self.schemathesis = Some(python::SCHEMATHESIS.ensure(self.layout)?);
        Ok(())
    }

    /// Installs the AWS CLI.
    pub(crate) fn install_aws_cli(&mut self) -> Result<()> {
        self.aws_cli = Some(python::AWSCLI.ensure(self.layout)?);
        Ok(())
    }

    /// Whether there is a browser whose pages cannot be checked for accessibility.
    pub(crate) fn lacks_axe(&self) -> bool {
        self.browser.is_some() && self.axe.is_none()
    }

    /// Builds the client as the browser is to get it.
    pub(crate) fn build_client(&self, profile: client::Profile) -> Result<()> {
        let build = client::Build {
            profile,
            site: self.site.clone(),
            reload: false,
            compress: profile == client::Profile::Release,
        };
        build.run(self.layout)
    }

    /// Tells a program where to find it all.
    pub(crate) fn hand_over(&self, command: &mut Command) {
        command.env("TEST_DATABASE_URL", &self.server.url);
        command.env("USERS_BIN", &self.users).env("BASELINE_BIN", &self.baseline);
        command.env("PIPELINE_BIN", self.layout.program("pipeline"));
        command.env("XTASK_BIN", self.layout.program("xtask"));
        command.env("CLIENT_DIR", &self.site);
        command.env("USERS_IMAGE", images::USERS).env("CLIENT_IMAGE", images::CLIENT);
        if let Some(browser) = &self.browser {
            command.env("CHROMIUM", &browser.chromium);
            command.env("CHROMEDRIVER", &browser.driver);
        }
        if let Some(emulator) = &self.emulator {
            command.env("MINISTACK_BIN", emulator);
        }
        if let Some(schemathesis) = &self.schemathesis {
            command.env("SCHEMATHESIS_BIN", schemathesis);
        }
        if let Some(aws_cli) = &self.aws_cli {
            command.env("AWSCLI_BIN", aws_cli);
        }
        if let Some(script) = &self.axe {
            command.env("AXE_SCRIPT", script);
        }
    }
}
