//! The images that a rehearsal leaves in Docker's engine.

use std::collections::BTreeSet;
use std::process::Command;

use crate::process;

/// Removes the images whose repositories begin with `name` and a hyphen, here or in a registry.
pub(super) fn clear(name: &str) {
    let mut list = Command::new("docker");
    list.args(["image", "ls", "--digests"]);
    list.args(["--format", "{{.Repository}} {{.Tag}} {{.Digest}}"]);
    for repository in [format!("{name}-*"), format!("*/{name}-*")] {
        list.args(["--filter", &format!("reference={repository}")]);
    }
    let listed = process::read(&mut list).unwrap_or_default();
    let references: BTreeSet<String> = listed.lines().flat_map(references).collect();
    if !references.is_empty() {
        let mut remove = Command::new("docker");
        let _ = process::succeeds(remove.args(["image", "rm", "--force"]).args(references));
    }
}

/// By name and never by id: the same image can have names that are somebody else's.
fn references(line: &str) -> Vec<String> {
    let mut words = line.split(' ');
    let repository = words.next().unwrap_or_default();
    let by = |word: Option<&str>, sign: char| {
        let word = word.filter(|word| *word != "<none>")?;
        Some(format!("{repository}{sign}{word}"))
    };
    let (tag, digest) = (by(words.next(), ':'), by(words.next(), '@'));
    tag.into_iter().chain(digest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_counts_and_no_id() {
        assert_eq!(references("a-users prod <none>"), ["a-users:prod"]);
        assert_eq!(references("h:1/a-users <none> sha256:1f"), ["h:1/a-users@sha256:1f"]);
        assert_eq!(references("a prod sha256:1f"), ["a:prod", "a@sha256:1f"]);
        assert!(references("a <none> <none>").is_empty());
    }
}
