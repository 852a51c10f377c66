//! A compiler for WebAssembly from Debian's packages, for machines that may download no toolchain.
//!
//! Debian ships `rustc-web` (the compiler that its browsers are built with) and that compiler's
//! source, but no standard library for this target. So: unpack the packages into a directory of
//! our own, put LLVM's linker beside the compiler, and build the standard library as rustc's own
//! build does. The result is self-contained and replaced as a whole.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::TARGET;
use crate::layout::Layout;
use crate::packages::{self, Consent};
use crate::process;
use crate::report::say;

/// Where it is made, once for a target directory.
pub(super) fn directory(layout: &Layout) -> PathBuf {
    layout.tools().join("wasm-toolchain")
}

/// The compiler in a directory that [`make`] filled.
pub(super) fn rustc(directory: &Path) -> PathBuf {
    directory.join("bin/rustc")
}

/// Makes the toolchain in `directory`.
pub(super) fn make(directory: &Path, consent: Consent) -> Result<()> {
    let parent = directory.parent().context("the toolchain needs a parent directory")?;
    fs::create_dir_all(parent)?;
    let lock = File::create(parent.join("wasm-toolchain.lock"))?;
    if lock.try_lock().is_err() {
        say("Another process makes the compiler for WebAssembly; waiting for it");
        lock.lock()?;
    }
    // Whoever had the lock before may have done the work.
    if compiles_modules(&rustc(directory), parent).is_ok() {
        return Ok(());
    }
    say("Making a compiler for WebAssembly from Debian's packages (about 2 minutes, once)");
    let work = parent.join("wasm-toolchain.new");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir_all(&work)?;
    let sysroot = work.join("sysroot");
    let packages = Packages::choose(consent)?;
    packages.unpack(&work)?;
    let linker = format!("lld-{}", packages.llvm);
    packages::apt_get(&["install", "-y", "-qq", "--no-install-recommends", &linker], consent)?;
    assemble(&work.join("unpacked"), &sysroot, &packages.llvm)?;
    build_standard_library(&work, &sysroot)?;
    compiles_modules(&rustc(&sysroot), &work)?;
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    fs::rename(&sysroot, directory)?;
    fs::remove_dir_all(&work)?;
    Ok(())
}

/// The packages' names and their one version.
#[derive(Debug)]
struct Packages {
    version: String,
    library: String,
    llvm: String,
}

impl Packages {
    fn choose(consent: Consent) -> Result<Self> {
        packages::apt_get(&["update", "-qq"], consent)?;
        let policy = process::read(Command::new("apt-cache").args(["policy", "rustc-web"]))?;
        let version = candidate(&policy)
            .context("this system has no package rustc-web to make the compiler from")?;
        let depends = |package: &str| {
            process::read(Command::new("apt-cache").args(["show", &format!("{package}={version}")]))
        };
        let library = dependency(&depends("libstd-rust-web-dev")?, "libstd-rust-web-")
            .context("libstd-rust-web-dev names no library")?;
        let llvm = dependency(&depends(&library)?, "libllvm")
            .and_then(|name| name.strip_prefix("libllvm").map(str::to_owned))
            .with_context(|| format!("{library} names no LLVM"))?;
        Ok(Self { version, library, llvm })
    }

    fn unpack(&self, work: &Path) -> Result<()> {
        let (debs, unpacked) = (work.join("debs"), work.join("unpacked"));
        fs::create_dir_all(&debs)?;
        fs::create_dir_all(&unpacked)?;
        let mut download = Command::new("apt-get");
        // Root's downloads need not go through apt's own user, who may not get here.
        download.current_dir(&debs).args(["-o", "APT::Sandbox::User=root", "download", "-qq"]);
        for package in ["rustc-web", "libstd-rust-web-dev", &self.library, "rust-web-src"] {
            download.arg(format!("{package}={}", self.version));
        }
        process::run(&mut download)?;
        for deb in fs::read_dir(&debs)? {
            process::run(Command::new("dpkg-deb").arg("-x").arg(deb?.path()).arg(&unpacked))?;
        }
        Ok(())
    }
}

/// The version that apt would install.
fn candidate(policy: &str) -> Option<String> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (version != "(none)").then(|| version.to_owned())
}

/// The first package in `Depends:` whose name is the prefix and a version number.
fn dependency(show: &str, prefix: &str) -> Option<String> {
    let depends = show.lines().find_map(|line| line.strip_prefix("Depends: "))?;
    depends
        .split([',', '|'])
        .filter_map(|entry| entry.split_whitespace().next())
        .find(|name| {
            name.strip_prefix(prefix).is_some_and(|version| {
                version.starts_with(|first: char| first.is_ascii_digit())
                    && version.chars().all(|c| c.is_ascii_digit() || c == '.')
            })
        })
        .map(str::to_owned)
}

/// Puts the unpacked files into the shape of a toolchain, with the shared libraries that its
/// programs need beside them.
fn assemble(unpacked: &Path, sysroot: &Path, llvm: &str) -> Result<()> {
    let host = host()?;
    let libraries = sysroot.join("lib");
    let tools = libraries.join("rustlib").join(&host).join("bin");
    fs::create_dir_all(sysroot.join("bin"))?;
    fs::create_dir_all(&libraries)?;
    copy_tree(&unpacked.join("usr/lib/rustlib"), &libraries.join("rustlib"))?;
    fs::create_dir_all(&tools)?;
    fs::copy(unpacked.join("usr/bin/rustc"), sysroot.join("bin/rustc.real"))?;
    fs::copy(format!("/usr/lib/llvm-{llvm}/bin/lld"), tools.join("rust-lld.real"))
        .context("LLVM's linker is not where its package puts it")?;
    let mut driver = None;
    // Named for the machine, as in usr/lib/x86_64-linux-gnu.
    for directory in fs::read_dir(unpacked.join("usr/lib"))?.flatten() {
        let Ok(files) = fs::read_dir(directory.path()) else { continue };
        for file in files.flatten() {
            if file.file_name().to_string_lossy().starts_with("librustc_driver-") {
                let copy = libraries.join(file.file_name());
                fs::copy(file.path(), &copy)?;
                driver = Some(copy);
            }
        }
    }
    let driver = driver.context("the packages hold no librustc_driver")?;
    let needed = process::read(Command::new("ldd").arg(driver).arg(tools.join("rust-lld.real")))?;
    for library in shared_libraries(&needed) {
        let name = library.file_name().context("ldd named a directory")?;
        fs::copy(&library, libraries.join(name))?;
    }
    write_wrapper(&sysroot.join("bin/rustc"), "rustc.real", "../lib")?;
    write_wrapper(&tools.join("rust-lld"), "rust-lld.real", "../../..")
}

fn host() -> Result<String> {
    let version = process::read(Command::new(super::own_rustc()).arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    // cp keeps the links between the files; the standard library has none of its own for this.
    process::run(Command::new("cp").arg("-a").arg(from.join(".")).arg(to))?;
    let source = to.join("src");
    if source.symlink_metadata().is_ok() {
        // A link into the source's package, which is not part of the toolchain.
        fs::remove_file(&source).or_else(|_| fs::remove_dir_all(&source))?;
    }
    Ok(())
}

/// The libraries in ldd's answer, without those of the C library itself: these must be the
/// machine's own.
fn shared_libraries(ldd: &str) -> Vec<PathBuf> {
    const SYSTEM: [&str; 5] = ["libc.so", "libm.so", "libdl.so", "libpthread.so", "librt.so"];
    let mut found: Vec<PathBuf> = ldd
        .lines()
        .filter_map(|line| line.split_once(" => ")?.1.split(" (").next())
        .filter(|path| path.starts_with('/'))
        .map(PathBuf::from)
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            !SYSTEM.iter().any(|system| name.starts_with(system))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// A program that starts `real`, beside it, with the libraries that lie in `libraries`.
fn write_wrapper(wrapper: &Path, real: &str, libraries: &str) -> Result<()> {
    let script = format!(
        "#!/bin/sh\n\
         here=$(dirname \"$(readlink -f \"$0\")\")\n\
         LD_LIBRARY_PATH=\"$here/{libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\" \
         exec \"$here/{real}\" \"$@\"\n"
    );
    fs::write(wrapper, script)?;
    fs::set_permissions(wrapper, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Builds std for the target the way rustc's bootstrap does: from the locked sources, with the
/// metadata that lets crates name it.
fn build_standard_library(work: &Path, sysroot: &Path) -> Result<()> {
    let sources = fs::read_dir(work.join("unpacked/usr/src"))?
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with("rustc-"))
        .context("the package rust-web-src holds no source")?
        .path()
        .join("library");
    let built = work.join("target");
    let mut cargo = process::cargo();
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "CARGO_BUILD_TARGET"]
    {
        cargo.env_remove(variable);
    }
    cargo
        .current_dir(&sources)
        .env("RUSTC", rustc(sysroot))
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", &built)
        .env("CARGO_PROFILE_DIST_DEBUG", "0")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", "-Zforce-unstable-if-unmarked")
        .env("__CARGO_DEFAULT_LIB_METADATA", "wasmstd")
        .args(["build", "--quiet", "--locked", "--profile", "dist", "--target", TARGET])
        .args(["--features", "panic-unwind backtrace", "--manifest-path"])
        .arg(sources.join("sysroot/Cargo.toml"));
    process::run(&mut cargo).context("the standard library for WebAssembly does not build")?;
    let libraries = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&libraries)?;
    for file in fs::read_dir(built.join(TARGET).join("dist/deps"))?.flatten() {
        if file.path().extension().is_some_and(|extension| extension == "rlib") {
            fs::copy(file.path(), libraries.join(file.file_name()))?;
        }
    }
    Ok(())
}

/// Compiles and links a module that uses std. A toolchain that cannot is none.
fn compiles_modules(rustc: &Path, scratch: &Path) -> Result<()> {
    const SOURCE: &str = "#[unsafe(no_mangle)] pub extern \"C\" fn f(n: usize) -> usize \
                          { format!(\"{:?}\", vec![1u8; n]).len() }\n";
    if !rustc.is_file() {
        bail!("there is no {}", rustc.display());
    }
    let (source, module) = (scratch.join("smoke.rs"), scratch.join("smoke.wasm"));
    fs::write(&source, SOURCE)?;
    let mut compile = Command::new(rustc);
    compile.args(["--edition", "2021", "--crate-type", "cdylib", "-O", "-C", "panic=abort"]);
    let compiled =
        process::read(compile.args(["--target", TARGET, "-o"]).arg(&module).arg(&source));
    let is_module = fs::read(&module).is_ok_and(|content| content.starts_with(b"\0asm"));
    for file in [source, module] {
        // Where nothing was compiled there is nothing to remove.
        let _ = fs::remove_file(file);
    }
    compiled?;
    if !is_module {
        bail!("{} links no WebAssembly", rustc.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apt_is_understood() {
        let policy = "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n";
        assert_eq!(candidate(policy).as_deref(), Some("1.96.0+dfsg1-1~deb12u2"));
        assert_eq!(candidate("rustc-web:\n  Candidate: (none)\n"), None);
        assert_eq!(candidate(""), None);
        let show = "Package: libstd-rust-web-dev\nDepends: libc6 (>= 2.36), \
                    libstd-rust-web-dev-x (= 1), libstd-rust-web-1.96 (= 1.96.0), gcc\n";
        assert_eq!(dependency(show, "libstd-rust-web-").as_deref(), Some("libstd-rust-web-1.96"));
        assert_eq!(
            dependency("Depends: libllvm19 (>= 1:19)\n", "libllvm").as_deref(),
            Some("libllvm19")
        );
        assert_eq!(dependency("Depends: libc6\n", "libllvm"), None);
    }

    #[test]
    fn the_machines_own_c_library_stays() {
        let ldd = "\tlinux-vdso.so.1 (0x1)\n\
                   \tlibLLVM.so.19.1 => /lib/x86_64-linux-gnu/libLLVM.so.19.1 (0x2)\n\
                   \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x3)\n\
                   \tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x4)\n\
                   \tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x4)\n\
                   \t/lib64/ld-linux-x86-64.so.2 (0x5)\n";
        assert_eq!(
            shared_libraries(ldd),
            [
                PathBuf::from("/lib/x86_64-linux-gnu/libLLVM.so.19.1"),
                PathBuf::from("/lib/x86_64-linux-gnu/libz.so.1"),
            ]
        );
    }

    #[test]
    fn wrappers_find_their_libraries_beside_themselves() {
        let dir = std::env::temp_dir().join(format!("xtask-wrapper-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("tool.real"), "#!/bin/sh\necho \"$LD_LIBRARY_PATH|$1\"\n").unwrap();
        fs::set_permissions(dir.join("tool.real"), fs::Permissions::from_mode(0o755)).unwrap();
        write_wrapper(&dir.join("tool"), "tool.real", "lib").unwrap();
        let said = process::read(
            Command::new(dir.join("tool")).env_remove("LD_LIBRARY_PATH").arg("one two"),
        );
        let here = dir.canonicalize().unwrap();
        assert_eq!(said.unwrap().trim(), format!("{}/lib|one two", here.display()));
        fs::remove_dir_all(dir).unwrap();
    }
}
