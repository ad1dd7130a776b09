//! What /proc says of the server under test.

use kinora_test_support::Server;

/// /proc counts CPU time in these (`getconf CLK_TCK`; 100 on every Linux that Rust's std runs on).
const TICKS_PER_SECOND: f64 = 100.0;

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

impl Reading {
    /// Reads /proc; panics if the server has ended.
    pub(crate) fn of(server: &Server) -> Self {
        let file = |name: &str| {
            let path = format!("/proc/{}/{name}", server.id());
            std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}; did the server end?"))
        };
        Self {
            cpu_seconds: cpu_seconds(&file("stat")),
            rss_bytes: number_after(&file("status"), "VmRSS:") * 1024,
            written_bytes: number_after(&file("io"), "\nwrite_bytes:"),
            threads: number_after(&file("status"), "Threads:"),
        }
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
