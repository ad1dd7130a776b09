//! The server under test: started on a free port, watched through /proc, stopped like an
//! operator would.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to say where it listens.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long it may take to end after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// /proc counts CPU time in these (`getconf CLK_TCK`; 100 on every Linux that Rust's std runs on).
const TICKS_PER_SECOND: f64 = 100.0;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

/// What /proc says of the server at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    /// CPU time so far, user and system.
    pub cpu_seconds: f64,
    /// Resident memory.
    pub rss_bytes: u64,
    /// Bytes that it made the kernel write to a device, so far.
    pub written_bytes: u64,
    /// Threads.
    pub threads: u64,
}

impl Server {
    /// Starts `binary serve` on a free loopback port; what it logs goes to `log`.
    pub(crate) fn start(binary: &Path, data: &Path, log: &Path) -> Self {
        let log_file = std::fs::File::create(log).unwrap_or_else(|e| panic!("{}: {e}", log.display()));
        let child = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()
            .unwrap_or_else(|e| {
                panic!("cannot start {}: {e}; build it with: cargo build --release", binary.display())
            });
        // Dropping it ends the process, whatever goes wrong from here on.
        let mut server = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let Some(stdout) = server.child.stdout.take() else { panic!("no stdout") };
        let (tell, told) = std::sync::mpsc::channel();
        // It goes on reading, so that the server never blocks on what it prints.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = told.recv_timeout(left) else {
                panic!("the server did not say where it listens; see {}", log.display());
            };
            let address = line.strip_prefix("listening on http://").and_then(|text| text.trim().parse().ok());
            if let Some(address) = address {
                server.address = address;
                return server;
            }
        }
    }

    /// Reads /proc.
    pub(crate) fn read(&self) -> Reading {
        let file = |name: &str| {
            let path = format!("/proc/{}/{name}", self.child.id());
            std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}; did the server end?"))
        };
        Reading {
            cpu_seconds: cpu_seconds(&file("stat")),
            rss_bytes: number_after(&file("status"), "VmRSS:") * 1024,
            written_bytes: number_after(&file("io"), "\nwrite_bytes:"),
            threads: number_after(&file("status"), "Threads:"),
        }
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(asked.is_ok_and(|status| status.success()), "cannot send SIGTERM to the server");
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return,
                Ok(Some(status)) => panic!("the server ended with {status}"),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        panic!("the server did not end within {STOP_TIMEOUT:?} of SIGTERM");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Only reached while it still runs if something failed; nothing more can be done about it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Fields 14 and 15 of /proc/PID/stat; field 2, the name, may hold anything but ends at the last
/// parenthesis.
fn cpu_seconds(stat: &str) -> f64 {
    let after_name = stat.rsplit_once(')').map_or(stat, |(_, rest)| rest);
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

fn number_after(text: &str, label: &str) -> u64 {
    let rest = text.split_once(label).map_or("", |(_, rest)| rest);
    rest.split_whitespace()
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or_else(|| panic!("no {label} in {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_proc_prints() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 10 0 0 0 250 50 0 0 20 0 1 0 5 6 7";
        assert!((cpu_seconds(stat) - 3.0).abs() < 1e-9);
        assert_eq!(number_after("VmHWM:\t 9 kB\nVmRSS:\t  1234 kB\n", "VmRSS:"), 1234);
        assert_eq!(
            number_after("wchar: 1\nwrite_bytes: 42\ncancelled_write_bytes: 7\n", "\nwrite_bytes:"),
            42
        );
    }
}
