//! What a person hears while a command works: one row for each thing under way, and lines below it.
//!
//! The text is made where things happen; how it is shown is decided here. On a terminal a row
//! changes in place; elsewhere, as in a build server's log, each change is a line. All of it goes
//! to stderr: stdout belongs to the report.

use std::cell::RefCell;
use std::io::{IsTerminal as _, Write as _};

use crate::images::progress::{cut, terminal_width};

/// Who listens.
pub(crate) trait Tell {
    /// A row as it is now: its stage, whom it is about, and how it stands.
    fn row(&self, stage: &str, who: &str, text: &str);
    /// The row's last word.
    fn done(&self, stage: &str, who: &str, text: &str);
    /// A line that stays, under the rows so far.
    fn line(&self, text: &str);
}

/// `stage     who        text`.
#[must_use]
pub(crate) fn row(stage: &str, who: &str, text: &str) -> String {
    format!("{stage:8}  {who:9}  {text}")
}

/// How far the lines under a row are indented.
pub(crate) const INDENT: &str = "          ";

/// The terminal, or whatever stderr is.
#[derive(Debug)]
pub(crate) struct Screen {
    live: bool,
    rows: RefCell<Vec<Row>>,
}

#[derive(Debug)]
struct Row {
    key: (String, String),
    text: String,
}

impl Screen {
    /// For stderr as it is.
    pub(crate) fn new() -> Self {
        let live = std::io::stderr().is_terminal();
        Self { live, rows: RefCell::default() }
    }

    fn set(&self, stage: &str, who: &str, text: &str, done: bool) {
        write(&self.change((stage, who), text, done, terminal_width()));
    }

    /// What changes on the screen when a row does.
    fn change(&self, (stage, who): (&str, &str), text: &str, done: bool, width: usize) -> String {
        let key = (stage.to_owned(), who.to_owned());
        let mut rows = self.rows.borrow_mut();
        let drawn = rows.len();
        let changed = match rows.iter_mut().find(|row| row.key == key) {
            Some(row) if row.text == text => false,
            Some(row) => {
                text.clone_into(&mut row.text);
                true
            }
            None => {
                rows.push(Row { key: key.clone(), text: text.to_owned() });
                true
            }
        };
        let mut out = String::new();
        if !changed && !done {
            return out;
        }
        if self.live {
            if drawn > 0 {
                out.push_str(&format!("\x1b[{drawn}A"));
            }
            if done {
                // It moves above those that still change, and stays.
                out.push_str(&format!("\r\x1b[K{}\n", row(stage, who, text)));
                rows.retain(|row| row.key != key);
            }
            for one in rows.iter() {
                out.push_str(&format!("\r\x1b[K{}\n", one.line(width)));
            }
        } else {
            if changed {
                out.push_str(&format!("{}\n", row(stage, who, text)));
            }
            if done {
                rows.retain(|row| row.key != key);
            }
        }
        out
    }

    /// What changes on the screen when a line comes, above the rows.
    fn above(&self, text: &str, width: usize) -> String {
        let rows = self.rows.borrow();
        let mut out = String::new();
        if self.live && !rows.is_empty() {
            out.push_str(&format!("\x1b[{}A\r\x1b[J", rows.len()));
        }
        // What a container writes may not move the cursor or recolour the terminal.
        out.extend(text.chars().filter(|c| !c.is_control()));
        out.push('\n');
        if self.live {
            out.extend(rows.iter().map(|one| one.line(width) + "\n"));
        }
        out
    }
}

impl Row {
    fn line(&self, width: usize) -> String {
        cut(&row(&self.key.0, &self.key.1, &self.text), width)
    }
}

impl Tell for Screen {
    fn row(&self, stage: &str, who: &str, text: &str) {
        self.set(stage, who, text, false);
    }

    fn done(&self, stage: &str, who: &str, text: &str) {
        self.set(stage, who, text, true);
    }

    fn line(&self, text: &str) {
        write(&self.above(text, terminal_width()));
    }
}

fn write(text: &str) {
    // Nobody is left to tell that stderr is closed.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As much of a terminal as [`Screen`] needs.
    #[derive(Default)]
    struct Terminal {
        lines: Vec<String>,
        at: usize,
    }

    impl Terminal {
        fn show(&mut self, text: &str) {
            let mut rest = text;
            while let Some(c) = rest.chars().next() {
                if let Some(code) = rest.strip_prefix("\x1b[") {
                    let end = code.find(|c: char| c.is_ascii_alphabetic()).unwrap();
                    match code.as_bytes()[end] {
                        b'A' => self.at -= code[..end].parse::<usize>().unwrap(),
                        b'K' => self.lines[self.at].clear(),
                        b'J' => self.lines.truncate(self.at),
                        other => panic!("{other}"),
                    }
                    rest = &code[end + 1..];
                } else {
                    self.lines.resize(self.lines.len().max(self.at + 1), String::new());
                    match c {
                        '\n' => self.at += 1,
                        '\r' => {}
                        c => self.lines[self.at].push(c),
                    }
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
    }

    /// A rollout of two services, as the screen shows it at its middle and at its end.
    fn played(live: bool) -> (String, String) {
        let screen = Screen { live, rows: RefCell::default() };
        let mut terminal = Terminal::default();
        let (users, client) = (("roll", "users"), ("roll", "client"));
        terminal.show(&screen.change(users, "0 of 2 new running", false, 60));
        terminal.show(&screen.change(client, "waiting for ECS to show the deployment", false, 60));
        terminal.show(&screen.change(users, "1 of 2 new running; 2 old still running", false, 60));
        terminal.show(&screen.change(users, "1 of 2 new running; 2 old still running", false, 60));
        terminal.show(&screen.above("            | \x1b[31mlistening\x1b[0m", 60));
        let long = "2 of 2 new running; ECS waits for the health checks of all";
        terminal.show(&screen.change(client, long, false, 60));
        let middle = terminal.lines.join("\n");
        terminal.show(&screen.change(users, "2 of 2 new running after 26 s", true, 60));
        terminal.show(&screen.change(client, "2 of 2 new running after 31 s", true, 60));
        (middle, terminal.lines.join("\n"))
    }

    #[test]
    fn on_a_terminal_rows_change_in_place() {
        let (middle, end) = played(true);
        insta::assert_snapshot!(middle, @r"
                    | [31mlistening[0m
        roll      users      1 of 2 new running; 2 old still runnin…
        roll      client     2 of 2 new running; ECS waits for the …
        ");
        insta::assert_snapshot!(end, @r"
                    | [31mlistening[0m
        roll      users      2 of 2 new running after 26 s
        roll      client     2 of 2 new running after 31 s
        ");
    }

    #[test]
    fn elsewhere_each_change_is_a_line() {
        let (_, end) = played(false);
        insta::assert_snapshot!(end, @r"
        roll      users      0 of 2 new running
        roll      client     waiting for ECS to show the deployment
        roll      users      1 of 2 new running; 2 old still running
                    | [31mlistening[0m
        roll      client     2 of 2 new running; ECS waits for the health checks of all
        roll      users      2 of 2 new running after 26 s
        roll      client     2 of 2 new running after 31 s
        ");
    }
}
