//! `cargo xtask ci`: what a change must pass. Quick checks first, then all tests.

use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;

use super::fuzz::Fuzz;
use super::test::{Test, conclude};
use crate::layout::Layout;
use crate::packages::Consent;
use crate::process;
use crate::report::{Outcome, Summary, say};
use crate::wasm::{self, Compiler};

/// Check formatting, lints, architecture and documentation, then run all tests
#[derive(Debug, Args)]
pub(crate) struct Ci {}

/// What a crate must never come to depend on, and why.
struct Rule {
    package: &'static str,
    /// Narrows the question to what the crate is built for.
    arguments: &'static [&'static str],
    /// Names of crates; one with a `-` at its end stands for all that begin so.
    forbidden: &'static [&'static str],
    why: &'static str,
}

const RULES: [Rule; 3] = [
    Rule {
        package: "contract",
        arguments: &["--all-features"],
        forbidden: &["actix-", "diesel", "diesel-", "tokio", "tokio-"],
        why: "it is shared with the client",
    },
    Rule {
        package: "client",
        arguments: &["--target", wasm::TARGET],
        forbidden: &["actix-", "diesel", "diesel-", "tokio", "tokio-", "users"],
        why: "it runs in the browser",
    },
    Rule {
        package: "xtask",
        arguments: &[],
        forbidden: &["aws-", "tokio", "wasm-bindgen-cli-support"],
        why: "everyone waits for it to compile",
    },
];

impl Ci {
    /// Runs the checks; the tests only if these pass.
    #[expect(clippy::unused_self, reason = "every command has the same shape")]
    pub(crate) fn run(&self, layout: &Layout) -> Result<()> {
        let mut summary = Summary::default();
        let result = checks(layout, &mut summary).and_then(|()| {
            if summary.is_success(false) {
                Test::everything().parts(layout, &mut summary)?;
                return fuzz(layout, &mut summary);
            }
            say("The tests do not run, because the checks before them failed");
            Ok(())
        });
        println!("\n{summary}");
        result?;
        conclude(&summary)
    }
}

fn checks(layout: &Layout, summary: &mut Summary) -> Result<()> {
    summary.part("lock files", lock_files)?;
    summary.part("formatting", || passes(process::cargo().args(["fmt", "--all", "--check"])))?;
    summary.part("architecture", architecture)?;
    optional(summary, "unused dependencies", "cargo-machete", &["machete"])?;
    if layout.root.join("deny.toml").is_file() {
        optional(summary, "licences and advisories", "cargo-deny", &["deny", "check"])?;
    }
    optional(summary, "Dockerfiles", "hadolint", &["Dockerfile.users", "Dockerfile.client"])?;
    optional(summary, "the stack's template", "cfn-lint", &["ecs/stack.yml"])?;
    let checkov = ["--file=ecs/stack.yml", "--framework=cloudformation", "--skip-download"];
    let checkov = [&checkov[..], &["--quiet", "--compact"]].concat();
    optional(summary, "the stack's security", "checkov", &checkov)?;
    summary.part("lints, server side", || {
        let mut clippy = process::cargo();
        clippy.args(["clippy", "--workspace", "--exclude", "client", "--all-targets"]);
        passes(clippy.args(["--", "--deny", "warnings"]))
    })?;
    summary.part("lints, client", || lint_client(layout))?;
    summary.part("the client's size", || {
        let site = crate::client::Build {
            profile: crate::client::Profile::Release,
            site: layout.test().join("release-site"),
            reload: false,
            compress: true,
        };
        // Made anew even where it is current: its making tells the size.
        let _ = std::fs::remove_dir_all(&site.site);
        site.run(layout).map(|()| Outcome::Passed)
    })?;
    summary.part("documentation", || {
        let mut doc = process::cargo();
        doc.args(["doc", "--no-deps", "--workspace", "--exclude", "client"]);
        passes(doc.env("RUSTDOCFLAGS", "--deny warnings"))
    })?;
    Ok(())
}

/// Those of both workspaces name all that is built: images and fuzz targets take nothing else.
fn lock_files() -> Result<Outcome> {
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        let mut metadata = process::cargo();
        metadata.args(["metadata", "--locked", "--format-version=1", "--manifest-path", manifest]);
        process::read(&mut metadata)?;
    }
    Ok(Outcome::Passed)
}

/// For some seconds a target: what was found once is not found again. Longer by hand.
fn fuzz(layout: &Layout, summary: &mut Summary) -> Result<()> {
    summary.part("fuzzing", || Fuzz::short().run(layout).map(|()| Outcome::Passed))?;
    Ok(())
}

fn passes(command: &mut Command) -> Result<Outcome> {
    process::run(command).map(|()| Outcome::Passed)
}

/// A check by a tool that not everyone has.
fn optional(summary: &mut Summary, name: &str, tool: &str, arguments: &[&str]) -> Result<()> {
    summary.part(name, || {
        if process::which(tool).is_none() {
            return Ok(Outcome::Skipped(format!("{tool} is not installed")));
        }
        passes(Command::new(tool).args(arguments))
    })?;
    Ok(())
}

/// Clippy for the client's own target where the toolchain has it. Elsewhere the compiler for
/// WebAssembly has no clippy: then it compiles the client without a warning, and clippy looks at
/// the same source for this machine.
fn lint_client(layout: &Layout) -> Result<Outcome> {
    let compiler = Compiler::ensure(layout, Consent::Silent)?;
    let target = layout.wasm_target();
    let mut clippy = process::cargo();
    clippy.args(["clippy", "--package", "client", "--all-targets"]);
    if compiler.rustc.is_some() {
        wasm::keep_apart(&target, &compiler)?;
        let mut compile = process::cargo();
        compile.args(["rustc", "--package", "client", "--bin", "client"]);
        compiler.hand_over(&mut compile);
        compile.args(["--target", wasm::TARGET, "--target-dir"]).arg(&target);
        process::run(compile.args(["--", "--deny", "warnings"]))?;
    } else {
        clippy.args(["--target", wasm::TARGET]);
    }
    passes(clippy.args(["--", "--deny", "warnings"]))
}

fn architecture() -> Result<Outcome> {
    for Rule { package, arguments, forbidden, why } in RULES {
        let mut tree = process::cargo();
        tree.args(["tree", "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
        let tree = process::read(tree.args(["--package", package]).args(arguments))?;
        if let Some(found) = forbidden_crate(&tree, forbidden) {
            bail!(
                "{package} must not depend on {found}: {why}. \
                 `cargo tree --package {package} --invert {found}` shows the way."
            );
        }
    }
    Ok(Outcome::Passed)
}

/// The first crate in the output of `cargo tree` that is forbidden.
fn forbidden_crate<'t>(tree: &'t str, forbidden: &[&str]) -> Option<&'t str> {
    tree.lines().filter_map(|line| line.split(' ').next()).find(|name| {
        forbidden
            .iter()
            .any(|rule| if rule.ends_with('-') { name.starts_with(rule) } else { name == rule })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_crates_are_found_by_name_and_by_family() {
        let tree = "client v0.1.0 (/x)\nserde v1.0.0\ntokio-macros v2.0.0\n";
        assert_eq!(forbidden_crate(tree, &["tokio-"]), Some("tokio-macros"));
        assert_eq!(forbidden_crate(tree, &["tokio"]), None);
        assert_eq!(forbidden_crate(tree, &["serde"]), Some("serde"));
    }

    #[test]
    fn the_rules_hold_for_what_they_forbid() {
        // A rule that cannot fail proves nothing: the API does have what the client must not.
        let mut tree = process::cargo();
        tree.args(["tree", "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
        let tree = process::read(tree.args(["--package", "users"])).unwrap();
        for rule in ["actix-", "diesel", "diesel-", "tokio", "tokio-"] {
            assert!(forbidden_crate(&tree, &[rule]).is_some(), "{rule}");
        }
    }
}
