//! What a person hears while a command works: one row for each thing under way, and lines below it.
//!
//! The text is made where things happen; how it is shown is decided here. On a terminal a row
//! changes in place; elsewhere, as in a build server's log, each change is a line. All of it goes
//! to stderr: stdout belongs to the report.

use std::cell::RefCell;
use std::io::{IsTerminal as _, Write as _};

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
        if !changed && !done {
            return;
        }
        let mut out = String::new();
        if self.live {
            if drawn > 0 {
                out.push_str(&format!("\x1b[{drawn}A"));
            }
            if done {
                // It moves above those that still change, and stays.
                out.push_str(&format!("\r\x1b[K{}\n", row(stage, who, text)));
                rows.retain(|row| row.key != key);
            }
            let width = crate::images::progress::terminal_width();
            for one in rows.iter() {
                let line = row(&one.key.0, &one.key.1, &one.text);
                let line = crate::images::progress::cut(&line, width);
                out.push_str(&format!("\r\x1b[K{line}\n"));
            }
        } else {
            if changed {
                out.push_str(&format!("{}\n", row(stage, who, text)));
            }
            if done {
                rows.retain(|row| row.key != key);
            }
        }
        write(&out);
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
        let rows = self.rows.borrow();
        let mut out = String::new();
        if self.live && !rows.is_empty() {
            out.push_str(&format!("\x1b[{}A\r\x1b[J", rows.len()));
        }
        // What a container writes may not move the cursor or recolour the terminal.
        out.extend(text.chars().filter(|c| !c.is_control()));
        out.push('\n');
        if self.live {
            let width = crate::images::progress::terminal_width();
            for one in rows.iter() {
                let line = row(&one.key.0, &one.key.1, &one.text);
                out.push_str(&crate::images::progress::cut(&line, width));
                out.push('\n');
            }
        }
        write(&out);
    }
}

fn write(text: &str) {
    // Nobody is left to tell that stderr is closed.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
