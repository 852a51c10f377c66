//! The directory of the built client while `cargo xtask dev` serves it.
//!
//! Its pages carry the id of the build that they belong to and ask for `build-id.txt` each second.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};

const ID_FILE: &str = "build-id.txt";

/// An id that no earlier build had.
#[must_use]
pub(crate) fn new_id() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}", now.as_nanos())
}

/// Sees to it that there is a page: the client of an earlier run, or one that says that the client
/// is compiling and gives way to it.
///
/// # Errors
/// The directory cannot be written.
pub(crate) fn prepare(site: &Path) -> Result<()> {
    if site.join("index.html").is_file() && site.join(ID_FILE).is_file() {
        return Ok(());
    }
    fs::create_dir_all(site).with_context(|| format!("{} cannot be made", site.display()))?;
    let id = new_id();
    let page = include_str!("placeholder.html").replace("@build-id@", &id);
    fs::write(site.join("placeholder.css"), include_str!("placeholder.css"))?;
    fs::write(site.join("reload.js"), include_str!("reload.js"))?;
    fs::write(site.join("index.html"), page)?;
    fs::write(site.join(ID_FILE), id)?;
    Ok(())
}

/// Lets open pages load again although the client is the same, for the API behind it is not.
///
/// # Errors
/// The site's files cannot be read or written.
pub(crate) fn renew(site: &Path) -> Result<()> {
    let (index, id_file) = (site.join("index.html"), site.join(ID_FILE));
    let id = fs::read_to_string(&id_file)?;
    let page = fs::read_to_string(&index)?;
    let new = new_id();
    replace(&index, &page.replace(&marked(id.trim()), &marked(&new)))?;
    replace(&id_file, &new)
}

/// The id where a page carries it.
fn marked(id: &str) -> String {
    format!(r#"content="{id}""#)
}

/// Writes a file so that no reader sees half of it.
fn replace(file: &Path, content: &str) -> Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, content)?;
    Ok(fs::rename(new, file)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_placeholder_gives_way_and_never_comes_back() {
        let site = std::env::temp_dir().join(format!("xtask-site-{}", std::process::id()));
        let _ = fs::remove_dir_all(&site);
        prepare(&site).unwrap();
        let page = fs::read_to_string(site.join("index.html")).unwrap();
        let id = fs::read_to_string(site.join(ID_FILE)).unwrap();
        assert!(page.contains(&marked(&id)), "{page}");
        assert!(!page.contains('@'), "{page}");
        // The development server's content security policy allows files only.
        assert!(!page.contains("<style") && !page.contains("<script>"), "{page}");

        renew(&site).unwrap();
        let renewed = fs::read_to_string(site.join(ID_FILE)).unwrap();
        assert_ne!(id, renewed);
        assert!(fs::read_to_string(site.join("index.html")).unwrap().contains(&marked(&renewed)));

        fs::write(site.join("index.html"), "the client").unwrap();
        prepare(&site).unwrap();
        assert_eq!(fs::read_to_string(site.join("index.html")).unwrap(), "the client");
        fs::remove_dir_all(site).unwrap();
    }
}
