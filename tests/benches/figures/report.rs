//! What was measured, as a table and as JSON.

use std::fmt;

use serde_json::{Value, json};

use crate::Effort;

/// What a figure must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// At least so much.
    AtLeast(f64),
    /// At most so much.
    AtMost(f64),
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::AtMost(most) => write!(f, "≤ {most}"),
        }
    }
}

#[derive(Debug)]
struct Figure {
    case: &'static str,
    what: String,
    value: f64,
    unit: &'static str,
    goal: Option<Goal>,
}

/// What was measured, and on what.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The commit of the checkout, with `-dirty` behind it where files differ from it.
    pub(crate) commit: String,
    /// The server's version.
    pub(crate) postgres: String,
    pub(crate) cores: usize,
    pub(crate) processor: String,
}

/// All figures of a run.
#[derive(Debug)]
pub(crate) struct Report {
    effort: Effort,
    setting: Setting,
    figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn new(effort: Effort, setting: Setting) -> Self {
        Self { effort, setting, figures: Vec::new() }
    }

    /// Adds a figure that is told for what it is.
    pub(crate) fn tell(
        &mut self,
        case: &'static str,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
    ) {
        self.figures.push(Figure { case, what: what.into(), value, unit, goal: None });
    }

    /// Adds a figure that must be so.
    pub(crate) fn hold(
        &mut self,
        case: &'static str,
        what: impl Into<String>,
        (value, unit): (f64, &'static str),
        goal: Goal,
    ) {
        self.figures.push(Figure { case, what: what.into(), value, unit, goal: Some(goal) });
    }

    /// Whether a figure is not what it must be.
    pub(crate) fn falls_short(&self) -> bool {
        self.figures.iter().any(|figure| figure.goal.is_some_and(|goal| !goal.is_met(figure.value)))
    }

    /// Writes the JSON to where `BENCH_REPORT` says, if it does.
    pub(crate) fn save(&self) {
        let Some(path) = std::env::var_os("BENCH_REPORT") else { return };
        let figures: Vec<Value> = self.figures.iter().map(Figure::json).collect();
        let report = json!({
            "commit": self.setting.commit,
            "postgresql": self.setting.postgres,
            "rounds": self.effort.rounds,
            "seconds": self.effort.seconds,
            "cores": self.setting.cores,
            "processor": self.setting.processor,
            "figures": figures,
        });
        std::fs::write(path, format!("{report:#}\n")).unwrap();
    }
}

impl Figure {
    fn json(&self) -> Value {
        json!({
            "case": self.case,
            "what": self.what,
            "value": self.value,
            "unit": self.unit,
            "goal": self.goal.map(|goal| goal.to_string()),
            "met": self.goal.map(|goal| goal.is_met(self.value)),
        })
    }

    fn number(&self) -> String {
        match self.value.abs() {
            value if value >= 100.0 => format!("{:.0}", self.value),
            value if value >= 10.0 => format!("{:.1}", self.value),
            _ => format!("{:.2}", self.value),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Effort { rounds, seconds, .. } = self.effort;
        let Setting { commit, postgres, cores, processor } = &self.setting;
        writeln!(f, "\ncommit {commit}, PostgreSQL {postgres}, {cores} cores ({processor})")?;
        writeln!(
            f,
            "medians of {rounds} alternating rounds of {seconds} s, of 4 s or more with passwords\n"
        )?;
        let width = |text: &str| text.chars().count();
        let widest = self.figures.iter().map(|figure| width(&figure.what)).max().unwrap_or(0);
        let mut case = "";
        for figure in &self.figures {
            let shown = if figure.case == case { "" } else { figure.case };
            case = figure.case;
            let pad = " ".repeat(widest - width(&figure.what));
            write!(f, "{shown:<9} {}{pad} {:>9} {:<6}", figure.what, figure.number(), figure.unit)?;
            match figure.goal {
                Some(goal) if goal.is_met(figure.value) => writeln!(f, " {goal}  ok")?,
                Some(goal) => writeln!(f, " {goal}  FALLS SHORT")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}
