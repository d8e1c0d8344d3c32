//! `docs/conformance.md` says which test holds which requirement; this keeps it
//! true.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const AREAS: [&str; 21] = [
    "gen", "auth", "ver", "acc", "tos", "pub", "lkp", "ses", "eml", "msi", "val", "bnd", "v1l",
    "unb", "inv", "sgn", "onb", "int", "idn", "net", "cry",
];
const MORE_AREAS: [&str; 3] = ["msg", "sec", "ops"];

/// The requirement ids in a test's name: `ses_09_ses_10_…` has two.
fn ids(test: &str) -> Vec<String> {
    let words: Vec<&str> = test.split('_').collect();
    words
        .windows(2)
        .filter(|pair| AREAS.contains(&pair[0]) || MORE_AREAS.contains(&pair[0]))
        .filter(|pair| pair[1].len() == 2 && pair[1].bytes().all(|byte| byte.is_ascii_digit()))
        .map(|pair| format!("{}-{}", pair[0].to_uppercase(), pair[1]))
        .collect()
}

/// Every test that names an id, by id.
fn tests_by_id() -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    for folder in ["src", "tests/it"] {
        collect(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut found,
        );
    }
    found
}

fn collect(folder: &Path, found: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let names = text
                .split("fn ")
                .skip(1)
                .filter_map(|rest| rest.split_once('('));
            for (name, _) in names {
                for id in ids(name) {
                    found.entry(id).or_default().insert(name.to_owned());
                }
            }
        }
    }
}

#[test]
fn the_map_names_the_tests_that_there_are() {
    let map =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/conformance.md"))
            .unwrap();
    let mut mapped = BTreeMap::<String, BTreeSet<String>>::new();
    for row in map.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let tests = cells[2]
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect::<BTreeSet<_>>();
        if !tests.is_empty() {
            mapped.insert(cells[1].to_owned(), tests);
        }
    }
    let there_are = tests_by_id();
    for (id, tests) in &there_are {
        assert_eq!(
            mapped.get(id),
            Some(tests),
            "the row of {id} in docs/conformance.md"
        );
    }
    for id in mapped.keys() {
        assert!(there_are.contains_key(id), "no test is named after {id}");
    }
}
