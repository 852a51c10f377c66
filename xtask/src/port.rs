//! Ports: one that is free, and who holds one that is not.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// A free port on the loopback interface, chosen by the system.
///
/// # Errors
/// There is none.
pub(crate) fn free() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr()?.port())
}

/// Fails with the holder's name if the port cannot be used.
///
/// # Errors
/// Another program listens there, or the system allows it to others only.
pub(crate) fn require(port: u16) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let holder = holder(port).unwrap_or_else(|| "a program that cannot be told".to_owned());
            bail!(
                "Port {port} is taken by {holder}. End it, or choose another port: \
                 `cargo xtask dev --port {}`.",
                port.wrapping_add(1).max(1024)
            );
        }
        Err(error) => Err(error).with_context(|| format!("port {port} cannot be used")),
    }
}

/// Who listens on a port, in words.
fn holder(port: u16) -> Option<String> {
    let listeners: Vec<Listener> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| table.lines().filter_map(|line| listener(line, port)).collect::<Vec<_>>())
        .collect();
    if let Some(found) = listeners.iter().find_map(|listener| process_of(&listener.inode)) {
        return Some(found);
    }
    let mut lsof = Command::new("lsof");
    lsof.args(["-nP", "-sTCP:LISTEN", "-Fpc", &format!("-iTCP:{port}")]);
    if let Some(found) = crate::process::read(&mut lsof).ok().and_then(|said| from_lsof(&said)) {
        return Some(found);
    }
    listeners.first().map(|listener| format!("a process of another user (uid {})", listener.uid))
}

/// A listening socket in `/proc/net/tcp` or `tcp6`.
#[derive(Debug, PartialEq, Eq)]
struct Listener {
    inode: String,
    uid: String,
}

fn listener(line: &str, port: u16) -> Option<Listener> {
    /// TCP_LISTEN in the kernel's include/net/tcp_states.h.
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
    let here = u16::from_str_radix(local_port, 16).ok()? == port && *fields.get(3)? == LISTEN;
    here.then_some(Listener {
        uid: (*fields.get(7)?).to_owned(),
        inode: (*fields.get(9)?).to_owned(),
    })
}

/// The process that has a socket open. Only root sees those of other users.
fn process_of(inode: &str) -> Option<String> {
    let socket = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        fs::read_dir(process.path().join("fd")).ok()?.flatten().find(|descriptor| {
            fs::read_link(descriptor.path()).is_ok_and(|target| target.as_os_str() == &*socket)
        })?;
        let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
        Some(described(pid, &String::from_utf8_lossy(&arguments)))
    })
}

fn described(pid: u32, arguments: &str) -> String {
    /// Enough to recognise it.
    const SHOWN: usize = 80;
    let line = arguments.split('\0').collect::<Vec<_>>().join(" ");
    let line = line.trim();
    let shown: String = line.chars().take(SHOWN).collect();
    let more = if shown.len() < line.len() { "…" } else { "" };
    format!("process {pid} (`{shown}{more}`)")
}

/// `lsof -Fpc` prints a line `pPID` and a line `cCOMMAND` for each process.
fn from_lsof(said: &str) -> Option<String> {
    let pid = said.lines().find_map(|line| line.strip_prefix('p'))?;
    let command = said.lines().find_map(|line| line.strip_prefix('c')).unwrap_or("unknown");
    Some(format!("process {pid} (`{command}`)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 \
                        00000000  1000        0 187654 1 0000000000000000 100 0 0 10 0";

    #[test]
    fn listeners_are_found_by_port_and_state() {
        let expected = Listener { inode: "187654".to_owned(), uid: "1000".to_owned() };
        assert_eq!(listener(LINE, 8080), Some(expected));
        assert_eq!(listener(LINE, 8081), None);
        assert_eq!(listener(&LINE.replace(" 0A ", " 01 "), 8080), None);
        assert_eq!(listener("  sl  local_address rem_address   st", 8080), None);
    }

    #[test]
    fn ipv6_listeners_are_found_too() {
        let line = LINE.replace("0100007F:1F90", "00000000000000000000000001000000:1F90");
        assert!(listener(&line, 8080).is_some());
    }

    #[test]
    fn lsof_is_understood() {
        assert_eq!(from_lsof("p4711\ncnode\nf23\n").as_deref(), Some("process 4711 (`node`)"));
        assert_eq!(from_lsof(""), None);
    }

    #[test]
    fn long_command_lines_are_cut() {
        assert_eq!(
            described(1, "python3\0-m\0http.server\0"),
            "process 1 (`python3 -m http.server`)"
        );
        assert!(described(1, &"x".repeat(200)).ends_with("…`)"));
    }

    #[test]
    fn a_taken_port_names_its_holder() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = require(port).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    }
}
