//! Inside one room, modules depend on each other in one direction only.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Source, is_test_file, module_path};

/// Folders whose direct modules must not form a cycle.
pub(crate) const ROOMS: [&str; 7] =
    ["src/base/", "src/media/", "src/store/", "src/ingest/", "src/playback/", "src/api/", "src/cli/"];

/// Who names whom, each with the first place where it does.
type Graph = BTreeMap<String, BTreeMap<String, String>>;

/// Every cycle among the modules directly inside `room`.
pub(crate) fn complaints(room: &str, sources: &[Source]) -> Vec<String> {
    let graph = graph(room, sources);
    let mut seen = BTreeSet::new();
    let mut complaints = Vec::new();
    for start in graph.keys() {
        if let Some(cycle) = cycle_from(&graph, start) {
            let mut members = cycle.clone();
            members.sort();
            if seen.insert(members) {
                complaints.push(describe(room, &graph, &cycle));
            }
        }
    }
    complaints
}

fn graph(room: &str, sources: &[Source]) -> Graph {
    let inside: Vec<&Source> =
        sources.iter().filter(|s| s.file.starts_with(room) && !is_test_file(&s.file)).collect();
    let depth = module_path(&format!("{room}mod.rs")).len();
    let module_of = |source: &Source| module_path(&source.file).get(depth).cloned();
    let modules: BTreeSet<String> = inside.iter().filter_map(|s| module_of(s)).collect();
    let reexported = reexported(room, depth, &inside, &modules);
    let mut graph = Graph::new();
    for source in &inside {
        let Some(from) = module_of(source) else { continue };
        let edges = graph.entry(from.clone()).or_default();
        let here = module_path(&source.file);
        for mention in &source.mentions {
            if mention.segments.len() <= depth || mention.segments[..depth] != here[..depth] {
                continue;
            }
            let name = &mention.segments[depth];
            let to = if modules.contains(name) { Some(name) } else { reexported.get(name) };
            if let Some(to) = to.filter(|to| **to != from) {
                let place = format!("{}:{} ({})", source.file, mention.line, mention.text());
                edges.entry(to.clone()).or_insert(place);
            }
        }
    }
    graph
}

/// Names that the room's own file hands on, and the module each comes from.
fn reexported(
    room: &str,
    depth: usize,
    inside: &[&Source],
    modules: &BTreeSet<String>,
) -> BTreeMap<String, String> {
    let own = inside.iter().filter(|s| module_path(&s.file).len() == depth && s.file.starts_with(room));
    let mut names = BTreeMap::new();
    for mention in own.flat_map(|s| &s.mentions) {
        let Some(name) = &mention.name else { continue };
        let first = if mention.segments[0] == "crate" {
            mention.segments.get(depth)
        } else {
            mention.segments.first()
        };
        if let Some(module) = first.filter(|first| modules.contains(*first)) {
            names.insert(name.clone(), module.clone());
        }
    }
    names
}

/// A shortest way from `start` back to itself.
fn cycle_from(graph: &Graph, start: &str) -> Option<Vec<String>> {
    let mut from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for next in graph.get(node).into_iter().flat_map(BTreeMap::keys) {
            if next == start {
                let mut way = vec![node.to_owned()];
                let mut step = node;
                while step != start {
                    step = from[step];
                    way.push(step.to_owned());
                }
                way.reverse();
                return Some(way);
            }
            if !from.contains_key(next.as_str()) {
                from.insert(next, node);
                queue.push_back(next);
            }
        }
    }
    None
}

fn describe(room: &str, graph: &Graph, cycle: &[String]) -> String {
    let steps = cycle.iter().enumerate().map(|(i, module)| {
        let next = &cycle[(i + 1) % cycle.len()];
        format!("  {module} → {next} at {}", graph[module][next])
    });
    format!("{room}: modules form a cycle:\n{}", steps.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(room: &str, files: &[(&str, &str)]) -> usize {
        let sources: Vec<Source> =
            files.iter().map(|(file, text)| Source::parse(file, text).unwrap()).collect();
        complaints(room, &sources).len()
    }

    #[test]
    fn finds_cycles_through_crate_super_and_reexports() {
        let a = ("src/media/a.rs", "use crate::b::B;");
        assert_eq!(found("src/media/", &[a, ("src/media/b.rs", "")]), 0);
        assert_eq!(found("src/media/", &[a, ("src/media/b.rs", "fn f() { crate::a::A }")]), 1);
        assert_eq!(found("src/media/", &[a, ("src/media/b/c.rs", "use super::super::a;")]), 1);
        let root = ("src/media/lib.rs", "pub use a::A;");
        assert_eq!(found("src/media/", &[root, a, ("src/media/b.rs", "use crate::A;")]), 1);
    }

    #[test]
    fn finds_longer_cycles_once_and_within_a_room_of_the_package() {
        let files = [
            ("src/api/a.rs", "use super::b;"),
            ("src/api/b.rs", "use crate::api::c::X;"),
            ("src/api/c/mod.rs", "use super::a;"),
            ("src/playback/a.rs", "use crate::api::a;"),
        ];
        assert_eq!(found("src/api/", &files), 1);
        assert_eq!(found("src/playback/", &files), 0);
    }
}
