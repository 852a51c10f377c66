//! `buildspec.yml`, as far as it can be checked without CodeBuild: its commands are ones that
//! there are, in an order that deploys only what was tested.

use crate::command_line;

const FILE: &str = include_str!("../../../buildspec.yml");
/// What `cargo xtask` does by itself.
const LOCAL: [&str; 4] = ["setup", "dev", "test", "ci"];

/// The commands of each phase, in order. The file uses only plain lists of one-line commands.
fn phases() -> Vec<(String, Vec<String>)> {
    let mut phases: Vec<(String, Vec<String>)> = Vec::new();
    let lines = FILE.lines().skip_while(|line| *line != "phases:").skip(1);
    for line in lines.take_while(|line| line.is_empty() || line.starts_with(' ')) {
        let indent = line.len() - line.trim_start().len();
        let text = line.trim();
        if text.is_empty() {
            continue;
        }
        match (indent, text.strip_suffix(':'), text.strip_prefix("- ")) {
            (2, Some(name), _) => phases.push((name.to_owned(), Vec::new())),
            (6, _, Some(command)) => phases.last_mut().unwrap().1.push(command.to_owned()),
            (4, _, _) => assert!(text == "commands:" || text == "on-failure: ABORT", "{line}"),
            (6, _, None) => assert!(text.starts_with('#'), "{line}"),
            _ => panic!("not understood: {line}"),
        }
    }
    phases
}

#[test]
fn it_deploys_last_and_only_what_was_tested() {
    let phases = phases();
    let names: Vec<_> = phases.iter().map(|(name, _)| name.as_str()).collect();
    // post_build runs after a failed build, too: nothing belongs there.
    assert_eq!(names, ["install", "pre_build", "build"]);
    let (_, build) = &phases[2];
    assert_eq!(build.last().unwrap(), "cargo xtask deploy --wait 900");
    let tests = build.iter().position(|command| command == "cargo xtask ci").unwrap();
    assert!(tests < build.len() - 1);
}

#[test]
fn every_command_of_ours_exists() {
    let all = phases().into_iter().flat_map(|(_, commands)| commands);
    let ours: Vec<String> = all.filter(|command| command.starts_with("cargo xtask")).collect();
    assert!(ours.len() >= 4, "{ours:?}");
    for command in ours {
        let words: Vec<&str> = command.split_whitespace().skip(1).collect();
        if LOCAL.contains(&words[1]) {
            continue;
        }
        let parsed = command_line().try_get_matches_from(&words);
        assert!(parsed.is_ok(), "{command}: {}", parsed.unwrap_err());
    }
}

#[test]
fn no_secret_is_handed_to_the_build() {
    let settings = FILE.lines().filter(|line| !line.starts_with('#'));
    for line in settings {
        for word in ["SECRET_KEY", "DATABASE_URL", "PASSWORD", "secrets-manager"] {
            assert!(!line.contains(word), "{line}");
        }
    }
}
