//! Builds the client: the wasm module by cargo, the site around it by `bundler`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::Result;

use crate::layout::Layout;
use crate::packages::Consent;
use crate::process;
use crate::report::say;
use crate::wasm::{self, Compiler};

/// Asks the page for a newer build each second and loads it. For development only.
const RELOAD_SCRIPT: &str = "xtask/src/site/reload.js";

/// The most bytes that a first visit may download, compressed with brotli.
const BUDGET: u32 = 150 * 1024;

/// How the client is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build.
    Dev,
    /// Quick to load.
    Release,
}

impl Profile {
    /// Cargo's name for it, and that of its directory.
    fn cargo(self) -> (&'static str, &'static str) {
        match self {
            Self::Dev => ("dev", "debug"),
            Self::Release => ("wasm-release", "wasm-release"),
        }
    }
}

/// What to build.
#[derive(Debug, Clone)]
pub(crate) struct Build {
    /// How.
    pub(crate) profile: Profile,
    /// The site's directory.
    pub(crate) site: PathBuf,
    /// Whether open pages load a newer build by themselves.
    pub(crate) reload: bool,
    /// Whether files get compressed forms beside them, for a server that sends such.
    pub(crate) compress: bool,
}

impl Build {
    /// Builds what has changed. An open page keeps working until the new site is complete.
    ///
    /// # Errors
    /// There is no compiler for it, or the client does not compile (cargo has said why).
    pub(crate) fn run(&self, layout: &Layout) -> Result<()> {
        let module = self.compile(layout)?;
        let bundler = layout.program("bundler");
        if !bundler.is_file() {
            say("Building what makes it files for a browser (about half a minute, once)");
        }
        process::run(process::cargo().args(["build", "--quiet", "--package", "bundler"]))?;
        let inputs = self.inputs(layout, &bundler, &module)?;
        let note = self.site.with_extension("inputs");
        let is_current = fs::read_to_string(&note).is_ok_and(|noted| noted == inputs)
            && self.site.join("index.html").is_file();
        if is_current {
            return Ok(());
        }
        // A half-made site must not look finished to the next run.
        let _ = fs::remove_file(&note);
        let mut bundle = std::process::Command::new(bundler);
        bundle.arg("--wasm").arg(&module).arg("--client").arg(layout.client());
        bundle.arg("--out").arg(&self.site);
        match self.profile {
            Profile::Dev => {}
            Profile::Release => {
                bundle.arg("--release");
            }
        }
        if self.compress {
            bundle.args(["--compress", "--budget", &BUDGET.to_string()]);
        }
        if self.reload {
            bundle.arg("--reload-script").arg(layout.root.join(RELOAD_SCRIPT));
            bundle.args(["--build-id", &crate::site::new_id()]);
        }
        process::run(&mut bundle)?;
        fs::write(note, inputs)?;
        Ok(())
    }

    /// Compiles the module and says where it lies.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(crate) fn compile(&self, layout: &Layout) -> Result<PathBuf> {
        let compiler = Compiler::ensure(layout, Consent::Silent)?;
        let target = layout.wasm_target();
        wasm::keep_apart(&target, &compiler)?;
        let (profile, directory) = self.profile.cargo();
        let mut cargo = process::cargo();
        cargo.args(["build", "--package", "client", "--bin", "client", "--target", wasm::TARGET]);
        cargo.args(["--profile", profile, "--target-dir"]).arg(&target);
        compiler.hand_over(&mut cargo);
        process::run(&mut cargo)?;
        Ok(target.join(wasm::TARGET).join(directory).join("client.wasm"))
    }

    /// Everything that the site is made of, by path, size and time: while this text stays the
    /// same, so does the site.
    fn inputs(&self, layout: &Layout, bundler: &Path, module: &Path) -> Result<String> {
        let mut files = vec![
            bundler.to_path_buf(),
            module.to_path_buf(),
            layout.root.join(RELOAD_SCRIPT),
            layout.client().join("index.html"),
            layout.client().join("styles.css"),
        ];
        crate::watch::files(&layout.client().join("assets"), &mut files);
        files.sort();
        let Self { profile, reload, compress, .. } = self;
        let mut inputs = format!("{profile:?} reload={reload} compress={compress}\n");
        for file in files {
            let Ok(metadata) = file.metadata() else { continue };
            let changed = metadata.modified()?.duration_since(UNIX_EPOCH)?.as_nanos();
            inputs.push_str(&format!("{} {} {changed}\n", file.display(), metadata.len()));
        }
        Ok(inputs)
    }
}
