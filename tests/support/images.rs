//! Images in the Docker engine of this machine.

use std::process::Command;

/// Removes what is called `NAME-…` there, or so in a registry.
///
/// By name and never by id: the same image can have a name in another test.
pub fn remove_images(name: &str) {
    for pattern in [format!("{name}-*"), format!("*/{name}-*")] {
        let mut list = Command::new("docker");
        list.args(["image", "ls", "--digests"]);
        list.args(["--format", "{{.Repository}} {{.Tag}} {{.Digest}}"]);
        let Ok(list) = list.arg(format!("--filter=reference={pattern}")).output() else { return };
        let listed = String::from_utf8_lossy(&list.stdout).into_owned();
        let references: Vec<String> = listed.lines().flat_map(references).collect();
        if !references.is_empty() {
            // What is gone already is no fault.
            let _ =
                Command::new("docker").args(["image", "rm", "--force"]).args(references).output();
        }
    }
}

fn references(line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let [repository, tag, digest] = words[..] else { return Vec::new() };
    let by = |sign: char, word: &str| format!("{repository}{sign}{word}");
    let named = [by(':', tag), by('@', digest)].into_iter();
    named.filter(|reference| !reference.ends_with("<none>")).collect()
}
