//! Child processes that end when the test ends, however it ends.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

/// A server that lives as long as this value, and no longer than this process.
///
/// A shell stands between: it waits on a pipe that only this process holds, and
/// ends the server when the pipe closes. So a test that is killed leaves nothing.
#[derive(Debug)]
pub struct Guarded {
    shell: Child,
}

/// Ends what it started with the signal in `$0` as soon as standard input closes, and
/// ends itself when the server ends first.
const SCRIPT: &str = r#"
exec 3<&0
"$@" </dev/null &
server=$!
{ cat <&3 >/dev/null; kill -s "$0" "$server" 2>/dev/null; } &
exec 3<&-
wait "$server"
"#;

impl Guarded {
    /// Starts `program` through `prepare`, which adds arguments, environment and user;
    /// `signal` is what ends it.
    pub fn start(signal: &str, program: &Path, prepare: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, signal]).arg(program);
        prepare(&mut command);
        let shell = command.stdin(Stdio::piped()).spawn().expect("a POSIX shell");
        Self { shell }
    }

    /// Whether the server has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.shell.try_wait().unwrap().is_some()
    }

    /// Ends the server and waits until it has.
    pub fn stop(&mut self) {
        drop(self.shell.stdin.take());
        self.shell.wait().unwrap();
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // A server that is already gone is what we want.
        let _ = self.shell.wait();
    }
}

/// A TCP port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
