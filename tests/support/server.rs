//! A running `kinora serve`: started on a free port, stopped like an operator would stop it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long it may take to say where it listens.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long it may take to end after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// The process; dropping it kills it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    log: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts `binary serve` on a free loopback port with its data in `data` and further
    /// `arguments`. What it logs goes to `data`'s name with `.log` at the end.
    #[must_use]
    pub fn start(binary: &Path, data: &Path, arguments: &[&str]) -> Self {
        Self::start_at(binary, "127.0.0.1:0", data, arguments)
    }

    /// As [`Self::start`], listening at another address.
    #[must_use]
    pub fn start_at(binary: &Path, listen: &str, data: &Path, arguments: &[&str]) -> Self {
        let log = data.with_extension("log");
        let log_file = std::fs::File::options().create(true).append(true).open(&log);
        let child = Command::new(binary)
            .args(["serve", "--listen", listen, "--data-dir"])
            .arg(data)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file.unwrap_or_else(|e| panic!("{}: {e}", log.display())))
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {}: {e}", binary.display()));
        // Dropping it ends the process, whatever goes wrong from here on.
        let mut server = Self { child, log, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        server.address = server.listening();
        server
    }

    /// The address in the line that the server prints when it is ready.
    fn listening(&mut self) -> SocketAddr {
        let Some(stdout) = self.child.stdout.take() else {
            panic!("the server's output is not ours to read")
        };
        let (tell, told) = mpsc::channel();
        // It goes on reading, so that the server never blocks on what it prints.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        let deadline = now() + START_TIMEOUT;
        loop {
            let Ok(line) = told.recv_timeout(deadline.saturating_duration_since(now())) else {
                panic!("the server did not say where it listens:\n{}", self.logged());
            };
            let words = line.split_once("listening on ").and_then(|(_, url)| url.split_once("://"));
            if let Some(address) = words.and_then(|(_, address)| address.trim().parse().ok()) {
                return address;
            }
        }
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it logged so far.
    #[must_use]
    pub fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap_or_else(|e| panic!("cannot kill the server: {e}"));
        let _ = self.child.wait();
    }

    /// Sends SIGTERM and waits until it has ended; panics unless it ended with success.
    pub fn stop(mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(asked.is_ok_and(|status| status.success()), "cannot send SIGTERM to the server");
        let deadline = now() + STOP_TIMEOUT;
        while now() < deadline {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return,
                Ok(Some(status)) => panic!("the server ended with {status}:\n{}", self.logged()),
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        panic!("the server did not end within {STOP_TIMEOUT:?} of SIGTERM:\n{}", self.logged());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that ended already is what is wanted here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "deadlines of real processes run on real time")]
fn now() -> Instant {
    Instant::now()
}
