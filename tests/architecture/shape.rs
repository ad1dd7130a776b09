//! What every file looks like: it introduces itself, stays small, and explains its exceptions.

use crate::source::Source;

/// A file longer than this, tests not counted, is listed.
const AIM_LINES: usize = 300;
/// A file longer than this, tests not counted, fails.
const LIMIT_LINES: usize = 500;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = ["util", "utils", "helper", "helpers", "manager", "common", "misc", "stuff"];

/// A line for the list of files to split one day.
pub(crate) fn large(source: &Source) -> Option<String> {
    let lines = source.production_lines;
    (lines > AIM_LINES)
        .then(|| format!("{}: {lines} production lines, more than the {AIM_LINES} we aim at", source.file))
}

/// Everything about the look of `source` that breaks a rule.
pub(crate) fn complaints(source: &Source) -> Vec<String> {
    let file = &source.file;
    let mut complaints = Vec::new();
    // A test included by `#[path]` continues the file it tests, and may leave the introduction to it.
    let introduced = source.first_line.strip_prefix("//!").is_some_and(|rest| !rest.trim().is_empty());
    if !introduced {
        complaints.push(format!("{file}: does not open with `//!` saying what it is"));
    }
    if source.production_lines > LIMIT_LINES {
        let lines = source.production_lines;
        complaints.push(format!("{file}: {lines} production lines, more than {LIMIT_LINES}"));
    }
    if file.split(['/', '.']).any(|part| EMPTY_NAMES.contains(&part)) {
        complaints.push(format!("{file}: its name does not say what is inside"));
    }
    for line in source.attributes.get("allow").into_iter().flatten() {
        complaints
            .push(format!("{file}:{line}: write `#[expect(…, reason = \"…\")]` instead of `#[allow(…)]`"));
    }
    for (number, line) in source.text.lines().enumerate() {
        // Put together here so that this file does not complain about itself.
        if [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")]
            .iter()
            .any(|mark| line.contains(mark))
        {
            complaints.push(format!("{file}:{}: finish it or file an issue: {}", number + 1, line.trim()));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(file: &str, text: &str) -> usize {
        complaints(&Source::parse(file, text).unwrap()).len()
    }

    #[test]
    fn finds_what_breaks_the_shape() {
        assert_eq!(count("src/media/a.rs", "//! What it is.\nfn f() {}\n"), 0);
        assert_eq!(count("src/media/a.rs", "fn f() {}\n"), 1);
        assert_eq!(count("src/media/a.rs", "//!\nfn f() {}\n"), 1);
        assert_eq!(count("src/media/utils.rs", "//! Things.\n"), 1);
        assert_eq!(count("src/media/a.rs", "//! A.\n#[allow(dead_code)]\nfn f() {}\n"), 1);
        assert_eq!(count("src/media/a.rs", &format!("//! A.\n// {}: later\n", concat!("TO", "DO"))), 1);
    }

    #[test]
    fn counts_lines_without_tests() {
        let production = format!("//! A.\n{}", "fn f() {}\n".repeat(499));
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "fn f() {}\n".repeat(500));
        assert_eq!(count("src/media/a.rs", &format!("{production}{tests}")), 0);
        assert!(large(&Source::parse("src/media/a.rs", &production).unwrap()).is_some());
        assert_eq!(count("src/media/a.rs", &format!("{production}fn g() {{}}\n{tests}")), 1);
    }
}
