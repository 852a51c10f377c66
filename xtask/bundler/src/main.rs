//! Turns the client's wasm module into the files that a browser loads: what `wasm-bindgen --target
//! web` makes, under names that follow their content, and the page that starts it.
//!
//! It is apart from `xtask`, which executes it, because wasm-bindgen takes long to compile.

mod page;
mod site;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use walrus::{Module, ModuleConfig};
use wasm_bindgen_cli_support::Bindgen;

use crate::page::{Names, Reload};
use crate::site::Site;

/// Turns the client's wasm module into the files that a browser loads.
#[derive(Debug, Parser)]
struct Options {
    /// The module, as cargo built it.
    #[arg(long, value_name = "FILE")]
    wasm: PathBuf,
    /// The client's directory: index.html, styles.css, assets/.
    #[arg(long, value_name = "DIR")]
    client: PathBuf,
    /// The site's directory. What does not belong to the site is removed from it.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Leave out the names of functions and of the tools.
    #[arg(long)]
    release: bool,
    /// Put brotli and gzip forms beside the files, for servers that send them as they lie.
    #[arg(long)]
    compress: bool,
    /// Fail if what the page loads is larger than this when compressed with brotli.
    #[arg(long, value_name = "BYTES", requires = "compress")]
    budget: Option<u64>,
    /// A script that loads the page again after a build, for development.
    #[arg(long, value_name = "FILE", requires = "build_id")]
    reload_script: Option<PathBuf>,
    /// This build's id, which such a script compares.
    #[arg(long, value_name = "ID", requires = "reload_script")]
    build_id: Option<String>,
}

/// The name of the module's files.
const STEM: &str = "client";

fn main() -> Result<()> {
    let options = Options::parse();
    let scratch = options.out.with_extension("bindgen");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    let result = bundle(&options, &scratch);
    // The first error is the one that counts.
    let _ = fs::remove_dir_all(&scratch);
    result
}

fn bundle(options: &Options, scratch: &Path) -> Result<()> {
    Bindgen::new()
        .web(true)?
        .input_module(STEM, module(options)?)
        .out_name(STEM)
        .typescript(false)
        .omit_default_module_path(true)
        .generate(scratch)
        .with_context(|| format!("wasm-bindgen refuses {}", options.wasm.display()))?;

    let mut site = Site::new(&options.out, options.compress)?;
    let mut script = with_snippets(&mut site, scratch)?;
    let mut wasm = fs::read(scratch.join(format!("{STEM}_bg.wasm")))?;
    if options.release {
        (script, wasm) = shorten(&script, &wasm)?;
    }
    let script = site.asset(STEM, "js", script.as_bytes())?;
    let wasm = site.asset(STEM, "wasm", &wasm)?;
    let boot = site.asset("boot", "js", page::boot(&script, &wasm).as_bytes())?;
    let styles = match fs::read_to_string(options.client.join("styles.css")) {
        Ok(styles) if options.release => {
            Some(site.asset("styles", "css", bare(&styles).as_bytes())?)
        }
        Ok(styles) => Some(site.asset("styles", "css", styles.as_bytes())?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).context("styles.css cannot be read"),
    };
    // Files that pages name by themselves, such as the icon.
    for (path, content) in tree(&options.client.join("assets"))? {
        site.file(&format!("assets/{path}"), &content)?;
    }
    let reload = options.reload_script.as_deref().zip(options.build_id.as_deref());
    if let Some((script, _)) = reload {
        let script =
            fs::read(script).with_context(|| format!("{} cannot be read", script.display()))?;
        site.file("reload.js", &script)?;
    }
    let reload = reload.map(|(_, build_id)| Reload { script: "/reload.js", build_id });
    let source = options.client.join("index.html");
    let source = fs::read_to_string(&source)
        .with_context(|| format!("{} cannot be read", source.display()))?;
    let names = Names { boot, script, wasm, styles };
    site.file("index.html", page::complete(&source, &names, reload.as_ref())?.as_bytes())?;
    if options.compress {
        let total = site.report();
        if let Some(budget) = options.budget
            && total > budget
        {
            bail!(
                "the page loads {total} bytes, {} more than its budget of {budget}. \
                 Leave something out, or argue for another budget",
                total - budget
            );
        }
    }
    if let Some(Reload { build_id, .. }) = reload {
        // Last: open pages load everything above when they see it.
        site.file("build-id.txt", build_id.as_bytes())?;
    }
    site.finish()
}

/// Classes that a dependency of Leptos, wasm-streams, exports for scripts. No script of ours asks
/// for them, but what is exported stays in the module, with everything that it calls.
const UNUSED_CLASSES: [&str; 3] =
    ["intounderlyingsource", "intounderlyingbytesource", "intounderlyingsink"];

/// The module that cargo built, without what the page has no use for.
fn module(options: &Options) -> Result<Module> {
    let path = &options.wasm;
    let wasm = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut module = ModuleConfig::new()
        // As wasm-bindgen reads it: the linker's output is valid.
        .strict_validate(false)
        .generate_dwarf(false)
        .generate_name_section(!options.release)
        .generate_producers_section(!options.release)
        .parse(&wasm)
        .with_context(|| format!("{} is no wasm module", path.display()))?;
    let is_unused = |name: &str| UNUSED_CLASSES.iter().any(|class| name.contains(class));
    let unused: Vec<_> = module
        .exports
        .iter()
        .filter(|export| is_unused(&export.name))
        .map(walrus::Export::id)
        .collect();
    for export in unused {
        module.exports.delete(export);
    }
    Ok(module)
}

/// Gives what the module imports from its script short names, and the script no indentation. The
/// names that wasm-bindgen chooses end in a hash, which nothing compresses, in both files.
fn shorten(script: &str, wasm: &[u8]) -> Result<(String, Vec<u8>)> {
    let mut module = ModuleConfig::new()
        .strict_validate(false)
        .generate_name_section(false)
        .generate_producers_section(false)
        .parse(wasm)?;
    let mut script: String =
        script.lines().map(|line| format!("{}\n", line.trim_start())).collect();
    for (number, import) in module.imports.iter_mut().enumerate() {
        let (long, short) = (format!("\n{}: ", import.name), format!("i{number}"));
        ensure!(script.matches(&long).count() == 1, "the script does not define {}", import.name);
        script = script.replace(&long, &format!("\n{short}: "));
        import.name = short;
    }
    Ok((script, module.emit_wasm()))
}

/// The styles without comments, indentation and empty lines.
fn bare(styles: &str) -> String {
    let mut parts = styles.split("/*");
    let first = parts.next().unwrap_or_default();
    let rest = parts.map(|part| part.split_once("*/").map_or("", |(_, after)| after));
    let styles: String = std::iter::once(first).chain(rest).collect();
    styles
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| format!("{line}\n"))
        .collect()
}

/// The module that wasm-bindgen made. Scripts that crates bring along lie beside it; their
/// directory gets their hash, and the module's imports follow.
fn with_snippets(site: &mut Site, scratch: &Path) -> Result<String> {
    let script = fs::read_to_string(scratch.join(format!("{STEM}.js")))?;
    let snippets = tree(&scratch.join("snippets"))?;
    if snippets.is_empty() {
        return Ok(script);
    }
    let contents: Vec<&[u8]> = snippets.iter().map(|(_, content)| content.as_slice()).collect();
    let directory = format!("snippets-{}", site::hash(&contents));
    for (path, content) in &snippets {
        site.file(&format!("assets/{directory}/{path}"), content)?;
    }
    Ok(script
        .replace("'./snippets/", &format!("'./{directory}/"))
        .replace("\"./snippets/", &format!("\"./{directory}/")))
}

/// All files below a directory, with their paths from there, in order. None if it does not exist.
fn tree(directory: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    fn collect(root: &Path, directory: &Path, found: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                collect(root, &path, found)?;
            } else {
                let name = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
                found.push((name, fs::read(&path)?));
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    if directory.is_dir() {
        collect(directory, directory, &mut found)?;
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::bare;

    #[test]
    fn styles_lose_what_only_their_authors_read() {
        let styles = "/* One. */\n\na {\n  color: red; /* Two,\n  lines. */\n}\n";
        assert_eq!(bare(styles), "a {\ncolor: red;\n}\n");
        assert_eq!(bare("a {}"), "a {}\n");
    }
}
