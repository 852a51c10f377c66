//! `cargo xtask test`: all tests, against one PostgreSQL and a real browser.
//!
//! Everything is compiled once, with one set of packages, and then run part by part. A part that
//! cannot run here is left out loudly; everything else still counts.

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::rehearse::kept::Kept;
use crate::claim::Claim;
use crate::client::Profile;
use crate::images::{self, Composed};
use crate::layout::Layout;
use crate::packages::haproxy;
use crate::postgres::container;
use crate::process;
use crate::report::{Outcome, Summary, is_ci, say};
use crate::stage::{NO_BROWSER, Stage};

/// Run all tests, against a PostgreSQL and a browser of their own
#[derive(Debug, Default, Args)]
pub(crate) struct Test {
    /// Only tests whose names contain this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Only this suite, a directory of `tests/`
    #[arg(long, value_name = "NAME")]
    suite: Option<String>,
    /// Also build the images that production runs, and test them (10 minutes more the first time)
    #[arg(long)]
    images: bool,
    /// Also rehearse a release with these images, and send the browser to it (10 minutes more)
    #[arg(long, requires = "images")]
    rehearsal: bool,
}

/// The packages with tests. Always all of them together: cargo unites their dependencies'
/// features, and another selection would compile most dependencies once more.
const PACKAGES: [&str; 7] = ["contract", "users", "init", "tests", "xtask", "bundler", "pipeline"];
/// Those of them that have documentation with examples.
const LIBRARIES: [&str; 2] = ["contract", "users"];

/// The module of the browser suite that needs axe-core.
const ACCESSIBILITY: &str = "accessibility";

/// The tests of the browser suite that containers cannot serve: one gives the API settings of its
/// own, one has nobody answer, where here the front answers for an API that is away, and one signs
/// with a key that it has to know.
const NOT_FOR_CONTAINERS: [&str; 3] =
    ["too_many_tries", "a_server_that_is_away", "a_token_that_the_api_calls_expired"];

/// The test that needs HAProxy: new releases under load, behind it.
const ROLLING: &str = "ten_replacements";
/// Why it cannot run.
const NO_HAPROXY: &str = "HAProxy is missing; `cargo xtask setup` installs it";

/// A part of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Beside the code.
    Unit,
    /// The API over HTTP and the program as a process.
    BlackBox,
    /// The running API against its own document.
    Conformance,
    /// What starts containers by itself, or builds images.
    Containers,
    /// The pipeline against an emulator of AWS.
    Emulator,
    /// The client in Chromium.
    Browser,
    /// The images that production runs; only where asked for, since building them takes minutes.
    Images,
    /// The browser suite once more, with the containers of `docker compose up` behind the pages.
    Compose,
    /// And once more, with a rehearsal of production: the rules of the emulated load balancer.
    Rehearsed,
}

impl Part {
    const ALL: [Self; 9] = [
        Self::Unit,
        Self::BlackBox,
        Self::Conformance,
        Self::Containers,
        Self::Emulator,
        Self::Browser,
        Self::Images,
        Self::Compose,
        Self::Rehearsed,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Unit => "unit and property tests",
            Self::BlackBox => "black-box tests",
            Self::Conformance => "conformance tests",
            Self::Containers => "container tests",
            Self::Emulator => "tests on an AWS emulator",
            Self::Browser => "browser tests",
            Self::Images => "image tests",
            Self::Compose => "browser tests, images",
            Self::Rehearsed => "browser tests, rehearsal",
        }
    }

    /// As a nextest filter. Together they cover everything, so that a new suite is in some part
    /// whatever its name.
    fn nextest(self) -> &'static str {
        match self {
            Self::Unit => "not kind(test)",
            Self::BlackBox => {
                "kind(test) and not (binary(browser) or binary(conformance) or binary(containers) \
                 or binary(images) or binary(pipeline) or binary(emulator))"
            }
            Self::Conformance => "kind(test) and binary(conformance)",
            Self::Containers => "kind(test) and (binary(containers) or binary(pipeline))",
            Self::Emulator => "kind(test) and binary(emulator)",
            Self::Browser | Self::Compose | Self::Rehearsed => "kind(test) and binary(browser)",
            Self::Images => "kind(test) and binary(images)",
        }
    }

    /// Which of the suites in `tests/` it runs.
    fn suites(self, all: &[String]) -> impl Iterator<Item = &str> {
        const SPECIAL: [&str; 6] =
            ["browser", "conformance", "containers", "emulator", "images", "pipeline"];
        all.iter().map(String::as_str).filter(move |name| match self {
            Self::Unit => false,
            Self::BlackBox => !SPECIAL.contains(name),
            Self::Conformance => *name == "conformance",
            Self::Containers => ["containers", "pipeline"].contains(name),
            Self::Emulator => *name == "emulator",
            Self::Browser | Self::Compose | Self::Rehearsed => *name == "browser",
            Self::Images => *name == "images",
        })
    }

    /// As arguments for `cargo test`, whose choices know no "all but".
    fn cargo_test(self, suites: &[String]) -> Vec<String> {
        match self {
            Self::Unit => vec!["--lib".to_owned(), "--bins".to_owned()],
            _ => self.suites(suites).map(|name| format!("--test={name}")).collect(),
        }
    }
}

impl Test {
    /// Everything that there is to run.
    pub(super) fn everything() -> Self {
        Self { images: true, ..Self::default() }
    }

    /// Runs the parts and prints the summary.
    pub(crate) fn run(&self, layout: &Layout) -> Result<()> {
        let mut summary = Summary::default();
        let result = self.parts(layout, &mut summary);
        println!("\n{summary}");
        result?;
        conclude(&summary)
    }

    /// Runs the parts. A failed part does not stop the next.
    pub(super) fn parts(&self, layout: &Layout, summary: &mut Summary) -> Result<()> {
        let suites = suites(layout);
        if let Some(suite) = &self.suite
            && !suites.contains(suite)
        {
            bail!("there is no suite {suite} in tests/; there are {}", suites.join(", "));
        }
        let claim = Claim::take(&layout.test(), "test")?;
        let built = summary.part("building", || {
            let mut build = process::cargo();
            build.args(["build", "--bins", "--tests"]).args(packages());
            process::run(&mut build)?;
            Ok(Outcome::Passed)
        })?;
        if built != Outcome::Passed {
            return Ok(());
        }
        let stage = Stage::development(layout, &claim)?;
        let mut tests = Tests {
            layout,
            claim: &claim,
            stage,
            suites,
            suite: self.suite.as_deref(),
            filter: self.filter.as_deref(),
            images: None,
            composed: None,
            rehearsed: None,
        };
        for part in Part::ALL {
            let left_out = match part {
                Part::Images | Part::Compose if !self.images => {
                    Some("`cargo xtask test --images` builds and tests them")
                }
                Part::Rehearsed if !self.rehearsal => {
                    Some("`cargo xtask test --images --rehearsal` rehearses first")
                }
                _ => None,
            };
            if let Some(how) = left_out {
                let skipped = Outcome::Skipped(how.to_owned());
                summary.add(part.name(), skipped, std::time::Duration::ZERO);
                continue;
            }
            tests.part(part, summary)?;
            // What failed without a database says nothing about the code.
            tests.stage.server.check()?;
        }
        tests.client(summary)?;
        tests.documentation(summary)
    }
}

/// Fails if the run did.
pub(super) fn conclude(summary: &Summary) -> Result<()> {
    if summary.is_success(is_ci()) {
        return Ok(());
    }
    if is_ci() {
        bail!("not everything passed; in continuous integration what did not run counts as failed");
    }
    bail!("not everything passed");
}

/// All packages with tests, as arguments for cargo.
pub(super) fn packages() -> impl Iterator<Item = String> {
    PACKAGES.iter().map(|package| format!("--package={package}"))
}

struct Tests<'a> {
    layout: &'a Layout,
    claim: &'a Claim,
    stage: Stage<'a>,
    /// All that there are.
    suites: Vec<String>,
    /// The only one to run.
    suite: Option<&'a str>,
    filter: Option<&'a str>,
    /// What hinders the images, once they have been tried.
    images: Option<Option<String>>,
    composed: Option<Composed>,
    rehearsed: Option<Kept>,
}

impl Tests<'_> {
    fn part(&mut self, part: Part, summary: &mut Summary) -> Result<()> {
        if self.has_none(part)? {
            summary.add(part.name(), Outcome::Nothing, std::time::Duration::ZERO);
            return Ok(());
        }
        let hindrance = match part {
            Part::Unit => None,
            Part::BlackBox => self.prepare_black_box(summary),
            Part::Conformance => self.prepare_conformance(),
            Part::Containers => containers_hindrance(),
            Part::Emulator => self.prepare_emulator(),
            Part::Browser => self.prepare_browser(summary)?,
            Part::Images => self.prepare_images(summary)?,
            Part::Compose => self.compose(summary)?,
            Part::Rehearsed => self.rehearse(summary)?,
        };
        if let Some(why) = hindrance {
            say(format_args!("{} DO NOT RUN: {why}", part.name()));
            summary.add(part.name(), Outcome::NotRun(why), std::time::Duration::ZERO);
            return Ok(());
        }
        summary.part(part.name(), || self.execute(part))?;
        self.composed = None;
        self.rehearsed = None;
        Ok(())
    }

    /// Whether suite and filter leave nothing of a part: then what it needs need not be made.
    fn has_none(&self, part: Part) -> Result<bool> {
        let is_its = |suite: &str| part.suites(&self.suites).any(|name| name == suite);
        if self.suite.is_some_and(|suite| !is_its(suite)) {
            return Ok(true);
        }
        if self.filter.is_none() || !has_nextest() {
            return Ok(false);
        }
        let mut list = process::cargo();
        list.args(["nextest", "list", "--message-format=oneline", "-E", &self.nextest(part)]);
        list.args(packages()).args(self.filter);
        Ok(process::read(&mut list)?.trim().is_empty())
    }

    /// Nothing hinders the whole; without HAProxy one test is left out.
    #[expect(clippy::unused_self, reason = "every part is prepared in the same way")]
    fn prepare_black_box(&self, summary: &mut Summary) -> Option<String> {
        if haproxy().is_none() {
            say(format_args!("the rolling replacements DO NOT RUN: {NO_HAPROXY}"));
            let why = Outcome::NotRun(NO_HAPROXY.to_owned());
            summary.add("rolling replacements", why, std::time::Duration::ZERO);
        }
        None
    }

    /// Installs schemathesis, or says why that is impossible.
    fn prepare_conformance(&mut self) -> Option<String> {
        let installed = self.stage.install_schemathesis();
        installed.err().map(|error| format!("schemathesis cannot be installed: {error:#}"))
    }

    /// Installs the emulator, or says why that is impossible.
    fn prepare_emulator(&mut self) -> Option<String> {
        containers_hindrance().or_else(|| {
            let installed = self.stage.install_emulator();
            // Which knows JSON Schema, by which answers are judged.
            let installed = installed.and_then(|()| self.stage.install_schemathesis());
            installed.err().map(|error| format!("what they need cannot be installed: {error:#}"))
        })
    }

    /// Makes ready what the browser suite needs, or says why that is impossible.
    fn prepare_browser(&mut self, summary: &mut Summary) -> Result<Option<String>> {
        if self.stage.find_browser().is_err() {
            return Ok(Some(NO_BROWSER.to_owned()));
        }
        if let Err(error) = self.stage.fetch_axe() {
            say(format_args!("the accessibility checks DO NOT RUN: {error:#}"));
            let why = "axe-core is not here and cannot be fetched with pip".to_owned();
            summary.add(ACCESSIBILITY, Outcome::NotRun(why), std::time::Duration::ZERO);
        }
        let built = summary.part("building the client", || {
            self.stage.build_client(Profile::Dev).map(|()| Outcome::Passed)
        })?;
        Ok((built != Outcome::Passed).then(|| "the client does not build".to_owned()))
    }

    /// Builds the images, once, or says why that is impossible.
    fn prepare_images(&mut self, summary: &mut Summary) -> Result<Option<String>> {
        if let Some(hindrance) = &self.images {
            return Ok(hindrance.clone());
        }
        let mut hindrance = containers_hindrance();
        // One of the tests sends a person's browser to `docker compose up`.
        if self.stage.find_browser().is_err() {
            hindrance = Some(NO_BROWSER.to_owned());
        }
        if hindrance.is_none() {
            let built = summary.part("building the images", || {
                images::build(self.layout).map(|()| Outcome::Passed)
            })?;
            hindrance = (built != Outcome::Passed).then(|| "the images do not build".to_owned());
        }
        self.images = Some(hindrance.clone());
        Ok(hindrance)
    }

    /// Starts the containers, or says why that is impossible.
    fn compose(&mut self, summary: &mut Summary) -> Result<Option<String>> {
        if let Some(why) = self.prepare_images(summary)? {
            return Ok(Some(why));
        }
        let started = summary.part("docker compose up", || {
            self.composed = Some(Composed::up(self.layout)?);
            Ok(Outcome::Passed)
        })?;
        Ok((started != Outcome::Passed).then(|| "docker compose up failed".to_owned()))
    }

    /// Rehearses a rollout, and keeps the application; or says why that is impossible.
    fn rehearse(&mut self, summary: &mut Summary) -> Result<Option<String>> {
        if let Some(why) = self.prepare_images(summary)? {
            return Ok(Some(why));
        }
        let rehearsed = summary.part("rehearsal", || {
            self.rehearsed = Some(Kept::start(self.layout, self.claim)?);
            Ok(Outcome::Passed)
        })?;
        Ok((rehearsed != Outcome::Passed).then(|| "the rehearsal failed".to_owned()))
    }

    /// Whether all tests have one application between them.
    fn is_shared(&self) -> bool {
        self.composed.is_some() || self.rehearsed.is_some()
    }

    /// A part, or one suite of it, as a nextest filter.
    fn nextest(&self, part: Part) -> String {
        let only = self.suite.map(|suite| format!(" and binary({suite})")).unwrap_or_default();
        format!("{}{only}", part.nextest())
    }

    fn execute(&self, part: Part) -> Result<Outcome> {
        let mut command = process::cargo();
        if has_nextest() {
            command.args(["nextest", "run", "--no-fail-fast", "-E"]);
            let left_out: Vec<_> =
                self.left_out().iter().map(|name| format!(" and not test({name})")).collect();
            command.arg(format!("{}{}", self.nextest(part), left_out.concat()));
            command.args(packages()).args(self.filter);
            if self.is_shared() {
                command.arg("--test-threads=1");
            }
        } else {
            command.args(["test", "--no-fail-fast"]).args(packages());
            match self.suite {
                Some(suite) => command.arg(format!("--test={suite}")),
                None => command.args(part.cargo_test(&self.suites)),
            };
            command.arg("--").args(self.filter);
            for name in self.left_out() {
                command.args(["--skip", name]);
            }
            if self.is_shared() {
                command.arg("--test-threads=1");
            }
        }
        self.stage.hand_over(&mut command);
        if let Some(composed) = &self.composed {
            composed.hand_over(&mut command);
        }
        if let Some(rehearsed) = &self.rehearsed {
            rehearsed.hand_over(&mut command);
        }
        // What lies there from an earlier part says nothing about this one.
        let _ = std::fs::remove_file(self.layout.junit());
        /// nextest's NO_TESTS_RUN, see <https://docs.rs/nextest-metadata>.
        const NO_TESTS_RUN: i32 = 4;
        let status = process::status(&mut command)?;
        keep_report(self.layout, part)?;
        Ok(match status.code() {
            Some(0) => Outcome::Passed,
            Some(NO_TESTS_RUN) if self.filter.is_some() => Outcome::Nothing,
            _ => Outcome::Failed,
        })
    }

    /// The tests that cannot run: those that need axe-core or HAProxy where it is not here, and
    /// those that containers cannot serve.
    fn left_out(&self) -> Vec<&'static str> {
        let accessibility = self.stage.lacks_axe().then_some(ACCESSIBILITY);
        let not_served = self.is_shared().then_some(NOT_FOR_CONTAINERS);
        let rolling = haproxy().is_none().then_some(ROLLING);
        let named = not_served.into_iter().flatten();
        accessibility.into_iter().chain(rolling).chain(named).collect()
    }

    /// What of the client needs no browser. Apart from the others: it has a framework of its own
    /// to compile, which here is for this machine.
    fn client(&self, summary: &mut Summary) -> Result<()> {
        if self.suite.is_some() {
            return Ok(());
        }
        summary.part("unit tests of the client", || {
            let mut command = process::cargo();
            command.args(["test", "--quiet", "--package=client", "--"]).args(self.filter);
            process::run(&mut command)?;
            Ok(Outcome::Passed)
        })?;
        Ok(())
    }

    fn documentation(&self, summary: &mut Summary) -> Result<()> {
        if self.filter.is_some() || self.suite.is_some() {
            return Ok(());
        }
        summary.part("examples in the documentation", || {
            let mut command = process::cargo();
            command.args(["test", "--doc", "--quiet"]);
            command.args(LIBRARIES.map(|library| format!("--package={library}")));
            process::run(&mut command)?;
            Ok(Outcome::Passed)
        })?;
        Ok(())
    }
}

/// Puts a part's JUnit file where the next part does not overwrite it. Without nextest there is none.
fn keep_report(layout: &Layout, part: Part) -> Result<()> {
    let from = layout.junit();
    if !from.is_file() {
        return Ok(());
    }
    std::fs::create_dir_all(layout.reports())?;
    let to = layout.reports().join(format!("{}.xml", part.name().replace(' ', "-")));
    std::fs::rename(&from, &to).with_context(|| format!("{} cannot be written", to.display()))
}

/// Why tests that start containers cannot run here.
fn containers_hindrance() -> Option<String> {
    if !container::engine_answers() {
        return Some("no Docker engine answers".to_owned());
    }
    if !container::image_is_here() {
        return Some("the image of PostgreSQL is not here and cannot be pulled".to_owned());
    }
    None
}

/// Whether nextest is installed. It runs tests side by side across suites; `cargo test` will do.
fn has_nextest() -> bool {
    static ANSWER: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *ANSWER.get_or_init(|| process::succeeds(process::cargo().args(["nextest", "--version"])))
}

/// The suites in `tests/`: each directory with a `main.rs`.
fn suites(layout: &Layout) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(layout.root.join("tests")) else { return Vec::new() };
    let mut suites: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().join("main.rs").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    suites.sort();
    suites
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suites() -> Vec<String> {
        [
            "api",
            "attacks",
            "browser",
            "conformance",
            "containers",
            "emulator",
            "faults",
            "images",
            "pipeline",
            "program",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    #[test]
    fn cargo_test_covers_every_suite_once() {
        // One runs a second and a third time, and is meant to.
        let again = [Part::Compose, Part::Rehearsed];
        let parts = Part::ALL.iter().filter(|part| !again.contains(part));
        let all: Vec<String> = parts.flat_map(|part| part.cargo_test(&suites())).collect();
        for suite in suites() {
            let flag = format!("--test={suite}");
            assert_eq!(all.iter().filter(|argument| **argument == flag).count(), 1, "{flag}");
        }
    }

    #[test]
    fn a_new_suite_runs_without_being_named() {
        let mut suites = suites();
        suites.push("another".to_owned());
        let arguments = Part::BlackBox.cargo_test(&suites);
        assert!(arguments.contains(&"--test=another".to_owned()), "{arguments:?}");
    }

    #[test]
    fn suites_lie_where_they_are_looked_for() {
        // `cargo test` is told the suites' names; those of another package would be left out.
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for package in [
            "services/contract",
            "services/users",
            "docker/init",
            "xtask",
            "xtask/bundler",
            "xtask/pipeline",
        ] {
            assert!(!root.join(package).join("tests").exists(), "{package}: suites go to tests/");
        }
    }
}
