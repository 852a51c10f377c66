//! Writes the site. Assets carry a hash of their content in their names, so that a browser may
//! keep them forever; the page that names them is replaced last, so that no visitor gets a page
//! whose assets are missing.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use brotli::enc::BrotliEncoderParams;
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};

/// Where the assets lie, on disk and in URLs.
const ASSETS: &str = "assets";

/// A site that is being written.
#[derive(Debug)]
pub(crate) struct Site {
    root: PathBuf,
    compress: bool,
    written: BTreeSet<PathBuf>,
    /// What a visitor downloads: each file in its smallest form.
    sizes: Vec<(String, u64)>,
}

impl Site {
    /// Starts to write into a directory. What lies there stays until [`Site::finish`]. With
    /// `compress`, each file gets compressed forms beside it, for servers that send such.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn new(root: &Path, compress: bool) -> Result<Self> {
        fs::create_dir_all(root.join(ASSETS))
            .with_context(|| format!("{} cannot be made", root.display()))?;
        Ok(Self { root: root.to_path_buf(), compress, written: BTreeSet::new(), sizes: Vec::new() })
    }

    /// Writes an asset under a name that holds its content's hash, and gives its URL's path.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn asset(&mut self, stem: &str, extension: &str, content: &[u8]) -> Result<String> {
        let path = format!("{ASSETS}/{stem}-{}.{extension}", hash(&[content]));
        self.file(&path, content)?;
        Ok(format!("/{path}"))
    }

    /// Writes a file under a name of its own.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn file(&mut self, path: &str, content: &[u8]) -> Result<()> {
        self.put(path, content)?;
        let mut smallest = content.len();
        if self.compress {
            for (extension, compressed) in [("br", brotli(content)?), ("gz", gzip(content)?)] {
                // Pictures and tiny files gain nothing.
                if compressed.len() < content.len() {
                    smallest = smallest.min(compressed.len());
                    self.put(&format!("{path}.{extension}"), &compressed)?;
                }
            }
        }
        self.sizes.push((path.to_owned(), u64::try_from(smallest)?));
        Ok(())
    }

    /// Prints what a visitor downloads, and gives the sum in bytes.
    pub(crate) fn report(&self) -> u64 {
        for (path, size) in &self.sizes {
            println!("  {size:>7} bytes  {path}");
        }
        let total = self.sizes.iter().map(|(_, size)| size).sum();
        println!("  {total:>7} bytes in all, compressed with brotli");
        total
    }

    fn put(&mut self, path: &str, content: &[u8]) -> Result<()> {
        let file = self.root.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        // Beside it, then in its place: a reader sees the old file or the new one.
        let mut new = file.clone().into_os_string();
        new.push(".new");
        fs::write(&new, content)
            .with_context(|| format!("{} cannot be written", file.display()))?;
        fs::rename(new, &file)?;
        self.written.insert(file);
        Ok(())
    }

    /// Removes what earlier builds left.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(crate) fn finish(self) -> Result<()> {
        remove_others(&self.root, &self.written)
    }
}

fn remove_others(directory: &Path, keep: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            remove_others(&path, keep)?;
            // Fails, rightly, for a directory that is not empty.
            let _ = fs::remove_dir(&path);
        } else if !keep.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// As small as brotli can: it is done once, and sent many times.
fn brotli(content: &[u8]) -> Result<Vec<u8>> {
    let mut compressed = Vec::new();
    brotli::BrotliCompress(&mut &*content, &mut compressed, &BrotliEncoderParams::default())?;
    Ok(compressed)
}

/// For clients that do not know brotli. It carries no time, so that the same content gives the
/// same file.
fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    Ok(encoder.finish()?)
}

/// 64 bits of SHA-256: enough to tell builds of one file apart.
#[must_use]
pub(crate) fn hash(parts: &[&[u8]]) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update(part);
    }
    sha.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn names_follow_content_and_old_files_go() {
        let root = std::env::temp_dir().join(format!("bundler-site-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let mut site = Site::new(&root, false).unwrap();
        let first = site.asset("client", "js", b"one").unwrap();
        site.file("index.html", b"first").unwrap();
        site.finish().unwrap();

        let mut site = Site::new(&root, false).unwrap();
        let second = site.asset("client", "js", b"two").unwrap();
        let on_disk = |url: &str| root.join(url.trim_start_matches('/'));
        assert_ne!(first, second);
        assert!(on_disk(&first).exists(), "an open page may still ask for it");
        site.file("index.html", b"second").unwrap();
        site.finish().unwrap();
        assert!(!on_disk(&first).exists());
        assert_eq!(fs::read(on_disk(&second)).unwrap(), b"two");
        assert_eq!(fs::read(root.join("index.html")).unwrap(), b"second");
        fs::remove_dir_all(root).unwrap();
    }
    #[test]
    fn compressed_forms_lie_beside_files_that_gain_from_them() {
        let root = std::env::temp_dir().join(format!("bundler-compressed-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let text = "the same words again and again, ".repeat(100);
        let mut site = Site::new(&root, true).unwrap();
        site.file("page.html", text.as_bytes()).unwrap();
        site.file("tiny.txt", b"!").unwrap();
        site.finish().unwrap();

        let gz = fs::read(root.join("page.html.gz")).unwrap();
        let mut read = String::new();
        flate2::read::GzDecoder::new(&*gz).read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
        let br = fs::read(root.join("page.html.br")).unwrap();
        let mut read = Vec::new();
        brotli::BrotliDecompress(&mut &*br, &mut read).unwrap();
        assert_eq!(read, text.as_bytes());
        assert!(!root.join("tiny.txt.gz").exists() && !root.join("tiny.txt.br").exists());
        fs::remove_dir_all(root).unwrap();
    }
}
