//! One file a command: its options beside what it does.

pub(crate) mod bench;
pub(crate) mod ci;
pub(crate) mod completions;
pub(crate) mod data;
pub(crate) mod dev;
pub(crate) mod fuzz;
pub(crate) mod rehearse;
pub(crate) mod screenshots;
pub(crate) mod setup;
pub(crate) mod ship;
pub(crate) mod site;
pub(crate) mod test;
