//! What a person sees while images are built and pushed: on a terminal one line an image that
//! changes in place, elsewhere every line of docker's with the service's name before it.
//!
//! All of it goes to stderr: stdout belongs to the report.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::config::ServiceName;
use crate::report::human;

/// How often a terminal is drawn.
const FRAME: Duration = Duration::from_millis(100);
/// The width where the terminal does not tell.
const WIDTH: usize = 80;

#[derive(Debug)]
struct Screen {
    live: bool,
    rows: Vec<Row>,
    drawn: usize,
}

#[derive(Debug)]
struct Row {
    service: ServiceName,
    started: Instant,
    /// How long it took, once it is done.
    took: Option<Duration>,
    text: String,
}

/// The lines of all images. Dropping it leaves their last state.
#[derive(Debug)]
pub(crate) struct Progress {
    screen: Arc<Mutex<Screen>>,
    painter: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins, for stderr as it is.
    pub(crate) fn start() -> Self {
        let live = std::io::stderr().is_terminal();
        let screen = Arc::new(Mutex::new(Screen { live, rows: Vec::new(), drawn: 0 }));
        let painter = live.then(|| {
            let screen = Arc::clone(&screen);
            tokio::spawn(async move {
                let mut frames = tokio::time::interval(FRAME);
                loop {
                    frames.tick().await;
                    lock(&screen).draw();
                }
            })
        });
        Self { screen, painter }
    }

    /// A line for an image.
    pub(crate) fn row(&self, service: ServiceName) -> Handle {
        let mut screen = lock(&self.screen);
        let text = String::new();
        screen.rows.push(Row { service, started: Instant::now(), took: None, text });
        Handle { screen: Arc::clone(&self.screen), service }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(painter) = self.painter.take() {
            painter.abort();
            lock(&self.screen).draw();
        }
    }
}

/// One image's line.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    screen: Arc<Mutex<Screen>>,
    service: ServiceName,
}

impl Handle {
    /// A line of docker's, and what it means for the impatient.
    pub(crate) fn line(&self, line: &str, meaning: Option<String>) {
        let mut screen = lock(&self.screen);
        if !screen.live {
            if !line.is_empty() {
                say(format_args!("{:6} | {line}", self.service));
            }
        } else if let (Some(row), Some(meaning)) = (screen.row(self.service), meaning) {
            row.text = meaning;
        }
    }

    /// What happens now.
    pub(crate) fn step(&self, text: &str) {
        let mut screen = lock(&self.screen);
        if !screen.live {
            say(format_args!("{:6} | {text}", self.service));
        }
        if let Some(row) = screen.row(self.service) {
            text.clone_into(&mut row.text);
        }
    }

    /// How it ended. Gives the time that it took.
    pub(crate) fn done(&self, text: &str) -> Duration {
        let mut screen = lock(&self.screen);
        let live = screen.live;
        let Some(row) = screen.row(self.service) else { return Duration::ZERO };
        let took = row.started.elapsed();
        row.took = Some(took);
        text.clone_into(&mut row.text);
        if !live {
            say(format_args!("{:6} | {text} after {}", self.service, human(took)));
        }
        took
    }
}

impl Screen {
    fn row(&mut self, service: ServiceName) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| row.service == service)
    }

    fn draw(&mut self) {
        if !self.live || self.rows.is_empty() {
            return;
        }
        let width = terminal_width();
        let mut text = String::new();
        if self.drawn > 0 {
            text.push_str(&format!("\x1b[{}A", self.drawn));
        }
        for row in &self.rows {
            let took = human(row.took.unwrap_or_else(|| row.started.elapsed()));
            let line = format!("{:6}  {took:>9}  {}", row.service, row.text);
            text.push_str(&format!("\r\x1b[K{}\n", cut(&line, width)));
        }
        self.drawn = self.rows.len();
        say_raw(&text);
    }
}

fn lock(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A line on stderr.
pub(crate) fn say(line: impl Display) {
    say_raw(&format!("{line}\n"));
}

fn say_raw(text: &str) {
    // Nobody is left to tell that stderr is closed.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

pub(crate) fn terminal_width() -> usize {
    rustix::termios::tcgetwinsize(std::io::stderr())
        .ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|width| *width > 0)
        .unwrap_or(WIDTH)
}

/// At most so many characters, so that a line stays a line; none that moves the cursor.
pub(crate) fn cut(line: &str, width: usize) -> String {
    let mut characters = line.chars().filter(|c| !c.is_control());
    let start: String = characters.by_ref().take(width.saturating_sub(1)).collect();
    if characters.next().is_some() { format!("{start}…") } else { start }
}

/// Reads BuildKit's plain progress: `#12 [builder 4/9] RUN cargo build`, `#12 0.8 Compiling x`.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    names: BTreeMap<u32, String>,
}

impl Steps {
    /// What a line says about where the build is; `None` if nothing.
    pub(crate) fn read(&mut self, line: &str) -> Option<String> {
        let (number, rest) = line.strip_prefix('#')?.split_once(' ')?;
        let number = number.parse().ok()?;
        if rest.starts_with('[') {
            self.names.insert(number, rest.to_owned());
            return Some(rest.to_owned());
        }
        let name = self.names.get(&number)?;
        let (time, output) = rest.split_once(' ')?;
        let is_output = time.parse::<f64>().is_ok() && !output.trim().is_empty();
        is_output.then(|| format!("{} · {}", stage(name), output.trim()))
    }
}

/// `[builder 4/9]` of `[builder 4/9] RUN …`.
fn stage(name: &str) -> &str {
    name.split_inclusive(']').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_named_and_their_output_belongs_to_them() {
        let mut steps = Steps::default();
        assert_eq!(steps.read("#0 building with \"default\" instance"), None);
        let run = "[builder 4/9] RUN cargo build";
        assert_eq!(steps.read(&format!("#12 {run}")).as_deref(), Some(run));
        assert_eq!(
            steps.read("#12 0.834    Compiling serde v1.0").as_deref(),
            Some("[builder 4/9] · Compiling serde v1.0")
        );
        assert_eq!(steps.read("#12 DONE 3.2s"), None);
        assert_eq!(steps.read("#12 CACHED"), None);
        assert_eq!(steps.read("#13 1.0 whose?"), None);
        assert_eq!(steps.read(""), None);
        assert_eq!(steps.read("ERROR: failed to solve"), None);
    }

    #[test]
    fn a_line_stays_a_line() {
        assert_eq!(cut("short", 10), "short");
        assert_eq!(cut("0123456789", 10), "012345678…");
        assert_eq!(cut("a\u{1b}[31mb\r", 10), "a[31mb");
    }
}
