//! Notices changed source files by looking at them. A few hundred files take about a
//! millisecond, and this works everywhere, also over network and container mounts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::layout::Layout;

/// What a change concerns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The API has to be built again.
    pub(crate) api: bool,
    /// The client has to be built again.
    pub(crate) client: bool,
}

impl Changes {
    /// Whether there is anything to do.
    #[must_use]
    pub(crate) fn any(self) -> bool {
        self.api || self.client
    }

    fn of(relative: &Path) -> Self {
        match relative.to_str().unwrap_or_default() {
            path if path.starts_with("services/users") => Self { api: true, client: false },
            path if path.starts_with("services/client") => Self { api: false, client: true },
            // The contract is part of both; so are the workspace's dependencies.
            _ => Self { api: true, client: true },
        }
    }
}

type Snapshot = BTreeMap<PathBuf, (SystemTime, u64)>;

/// Compares the sources with how they were.
#[derive(Debug)]
pub(crate) struct Watch {
    root: PathBuf,
    /// As last reported.
    known: Snapshot,
    /// As last seen.
    seen: Snapshot,
}

impl Watch {
    /// Starts from how things are now.
    #[must_use]
    pub(crate) fn new(layout: &Layout) -> Self {
        let known = snapshot(&layout.root);
        Self { root: layout.root.clone(), seen: known.clone(), known }
    }

    /// What has changed since the last report. A change is reported once two looks in a row see
    /// the same: an editor or `git switch` writes many files one after the other.
    pub(crate) fn look(&mut self) -> Changes {
        let now = snapshot(&self.root);
        let is_settled = now == self.seen;
        self.seen = now;
        if !is_settled || self.seen == self.known {
            return Changes::default();
        }
        let changes = difference(&self.root, &self.known, &self.seen);
        self.known = self.seen.clone();
        changes
    }
}

fn difference(root: &Path, before: &Snapshot, after: &Snapshot) -> Changes {
    let changed = |file: &&PathBuf| before.get(*file) != after.get(*file);
    before.keys().chain(after.keys()).filter(changed).fold(Changes::default(), |sum, file| {
        let one = Changes::of(file.strip_prefix(root).unwrap_or(file));
        Changes { api: sum.api || one.api, client: sum.client || one.client }
    })
}

fn snapshot(root: &Path) -> Snapshot {
    let mut found = vec![root.join("Cargo.toml"), root.join("Cargo.lock")];
    for service in ["contract", "users", "client"] {
        files(&root.join("services").join(service), &mut found);
    }
    found
        .into_iter()
        .filter_map(|file| {
            let metadata = file.metadata().ok()?;
            let changed = metadata.modified().ok()?;
            Some((file, (changed, metadata.len())))
        })
        .collect()
}

/// All files below a directory, without those that editors keep for themselves.
pub(crate) fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if is_private(&name) {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path(), found),
            Ok(_) => found.push(entry.path()),
            Err(_) => {}
        }
    }
}

/// Hidden files, backups (`a.rs~`, `#a.rs#`), vim's probe and swap files, build output.
fn is_private(name: &str) -> bool {
    name.starts_with(['.', '#'])
        || name.ends_with('~')
        || name.ends_with(".swp")
        || name == "4913"
        || name == "target"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_what_to_build() {
        let of = |path: &str| Changes::of(Path::new(path));
        assert_eq!(of("services/users/src/main.rs"), Changes { api: true, client: false });
        assert_eq!(of("services/client/styles.css"), Changes { api: false, client: true });
        assert_eq!(of("services/contract/src/lib.rs"), Changes { api: true, client: true });
        assert_eq!(of("Cargo.lock"), Changes { api: true, client: true });
    }

    #[test]
    fn editors_private_files_are_left_out() {
        for name in ["main.rs~", ".main.rs.swp", "#main.rs#", "4913", ".git"] {
            assert!(is_private(name), "{name}");
        }
        assert!(!is_private("main.rs"));
    }

    #[test]
    fn changes_are_reported_once_and_only_when_settled() {
        let root = std::env::temp_dir().join(format!("xtask-watch-{}", std::process::id()));
        let source = root.join("services/users/src");
        fs::create_dir_all(&source).unwrap();
        let known = snapshot(&root);
        let mut watch = Watch { root: root.clone(), seen: known.clone(), known };
        assert_eq!(watch.look(), Changes::default());

        fs::write(source.join("lib.rs"), "one").unwrap();
        assert_eq!(watch.look(), Changes::default(), "not settled yet");
        assert_eq!(watch.look(), Changes { api: true, client: false });
        assert_eq!(watch.look(), Changes::default(), "reported once");

        fs::remove_file(source.join("lib.rs")).unwrap();
        watch.look();
        assert_eq!(watch.look(), Changes { api: true, client: false }, "a removal is a change");
        fs::remove_dir_all(root).unwrap();
    }
}
