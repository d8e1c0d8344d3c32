//! Imports in a circle between the files and folders of one folder.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;

/// Modules of one folder, by their names, and which of them use which.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// The groups of sibling modules that use each other in a circle, as
/// `parent: child child`. A name that a parent imports counts as the child that
/// defines it.
pub fn cycles(sources: &[Source]) -> BTreeSet<String> {
    let mut folders = BTreeMap::<String, Graph>::new();
    let modules: BTreeSet<String> = sources.iter().map(Source::module).collect();
    for source in sources {
        let module = source.module();
        for path in &source.code.internal {
            let path = resolve(path, sources, &modules);
            let Some((parent, from, to)) = siblings(&module, &path) else {
                continue;
            };
            if modules.contains(&join(parent, to)) {
                let graph = folders.entry(parent.to_owned()).or_default();
                let edges = graph.entry(from.to_owned()).or_default();
                edges.insert(to.to_owned());
            }
        }
    }
    let groups = folders.iter().flat_map(|(parent, graph)| {
        let name = move |group: BTreeSet<&str>| {
            let group: Vec<&str> = group.into_iter().collect();
            format!("{parent}: {}", group.join(" "))
        };
        circles(graph).into_iter().map(name)
    });
    groups.collect()
}

/// Follows the imports of modules: `db::Store` is `db::store::Store`.
fn resolve(path: &str, sources: &[Source], modules: &BTreeSet<String>) -> String {
    let mut path = path.to_owned();
    for _ in 0..5 {
        let is_module = |module: &&str| modules.contains(*module);
        let prefixes = path
            .match_indices("::")
            .map(|(end, _)| path.split_at(end).0);
        let module = prefixes.filter(is_module).last().unwrap_or_default();
        let rest = path.split_at(module.len()).1.trim_start_matches("::");
        let (name, rest) = rest.split_once("::").unwrap_or((rest, ""));
        let source = sources.iter().find(|source| source.module() == module);
        let import = source.and_then(|source| source.code.imports.get(name));
        match import {
            Some(import) if !modules.contains(&join(module, name)) => path = join(import, rest),
            _ => break,
        }
    }
    path
}

/// The last common parent of a module and a path, and the two children in it.
fn siblings<'a>(module: &'a str, path: &'a str) -> Option<(&'a str, &'a str, &'a str)> {
    let common = module
        .split("::")
        .zip(path.split("::"))
        .take_while(|(one, other)| one == other)
        .map(|(name, _)| name.len() + 2)
        .sum::<usize>();
    let child = |path: &'a str| path.get(common..)?.split("::").next();
    let parent = module.get(..common.saturating_sub(2))?;
    Some((parent, child(module)?, child(path)?))
}

fn join(module: &str, name: &str) -> String {
    let parts = [module, name].into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("::")
}

/// The strongly connected groups of more than one node.
fn circles(graph: &Graph) -> BTreeSet<BTreeSet<&str>> {
    let reachable_from: BTreeMap<&str, BTreeSet<&str>> = graph
        .keys()
        .map(|node| (node.as_str(), reachable(graph, node)))
        .collect();
    let reaches =
        |from: &str, to: &str| reachable_from.get(from).is_some_and(|all| all.contains(to));
    let group = |node: &&str| -> BTreeSet<&str> {
        let all = reachable_from[*node].iter().copied();
        all.filter(|other| reaches(other, node)).collect()
    };
    let groups = reachable_from.keys().map(group);
    groups.filter(|group| group.len() > 1).collect()
}

fn reachable<'a>(graph: &'a Graph, node: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = vec![node];
    while let Some(node) = open.pop() {
        for next in graph.get(node).into_iter().flatten() {
            if found.insert(next.as_str()) {
                open.push(next);
            }
        }
    }
    found
}
