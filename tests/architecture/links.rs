//! Links between the project's own documents lead somewhere.

use std::path::{Component, Path, PathBuf};

/// Every relative link of the Markdown document `file` whose target does not exist.
pub(crate) fn complaints(file: &str, text: &str, exists: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    let mut complaints = Vec::new();
    let mut code = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            code = !code;
        }
        if code {
            continue;
        }
        for target in targets(line) {
            let path = target.split('#').next().unwrap_or_default();
            let elsewhere = path.contains("://") || path.starts_with("mailto:") || path.starts_with("data:");
            if path.is_empty() || elsewhere {
                continue;
            }
            match normal(&folder.join(path)) {
                Some(path) if exists(&path) => {}
                _ => complaints.push(format!("{file}:{}: {target} leads nowhere", number + 1)),
            }
        }
    }
    complaints
}

/// The targets of inline links `[text](target)` and definitions `[name]: target` in a line.
fn targets(line: &str) -> Vec<&str> {
    let prose: Vec<&str> = line.split('`').step_by(2).collect();
    let mut found = Vec::new();
    for piece in prose {
        let mut rest = piece;
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            let end = rest.find([')', ' ']).unwrap_or(rest.len());
            found.push(&rest[..end]);
        }
    }
    if line.starts_with('[')
        && let Some((_, target)) = line.split_once("]: ")
    {
        found.push(target.split_whitespace().next().unwrap_or_default());
    }
    found
}

/// `path` without `.` and `..`; `None` if it leaves the repository.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => normal.push(part),
            Component::CurDir => {}
            Component::ParentDir if normal.pop() => {}
            _ => return None,
        }
    }
    Some(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        complaints("src/store/FORMAT.md", text, &|path| path == Path::new("src/store/lib.rs")).len()
    }

    #[test]
    fn finds_links_that_lead_nowhere() {
        assert_eq!(count("see [it](lib.rs#L1), [that](../store/lib.rs) and [far](https://example.org/)"), 0);
        assert_eq!(count("see [it](gone.rs) and [that](../../../etc)"), 2);
        assert_eq!(count("[name]: gone.md"), 1);
        assert_eq!(count("in `[code](gone.rs)`\n```\n[code](gone.rs)\n```"), 0);
    }
}
