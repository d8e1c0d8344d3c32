//! The tests and the requirements that they check. The last line of a test's doc
//! comment, or its only one, lists the ids:
//!
//! ```text
//! /// BND-03, BND-09
//! #[actix_web::test]
//! async fn the_newest_binding_replaces_the_older() {
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};

use super::requirements::is_id;
use crate::harness::repository;

/// By id, the tests as `file::name`.
pub type TestsById = BTreeMap<String, BTreeSet<String>>;

pub fn tests_by_id() -> TestsById {
    let mut found = TestsById::new();
    for (file, test) in all_tests() {
        for id in test.ids {
            let tests = found.entry(id).or_default();
            tests.insert(format!("{file}::{}", test.name));
        }
    }
    found
}

/// The names of all tests.
pub fn names() -> impl Iterator<Item = String> {
    all_tests().into_iter().map(|(_, test)| test.name)
}

/// Every test with its file.
fn all_tests() -> Vec<(String, Test)> {
    let mut found = Vec::new();
    for folder in ["src", "tests"] {
        collect(&repository(folder), &mut found);
    }
    found
}

fn collect(folder: &Path, found: &mut Vec<(String, Test)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let file = path.strip_prefix(repository("")).unwrap().display();
            let tests = tests(text.parse().unwrap()).into_iter();
            found.extend(tests.map(|test| (file.to_string(), test)));
        }
    }
}

#[derive(Default)]
struct Test {
    name: String,
    ids: Vec<String>,
}

/// The functions with an attribute `test`, also in modules and in the macro
/// `proptest!`.
fn tests(tokens: TokenStream) -> Vec<Test> {
    let mut tests = Vec::new();
    let (mut is_test, mut ids) = (false, Vec::new());
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                if let Some(TokenTree::Group(attribute)) = tokens.peek() {
                    match Attribute::read(attribute.stream()) {
                        Attribute::Test => is_test = true,
                        Attribute::Doc(line) => ids.extend(ids_in_doc(&line)),
                        Attribute::Other => {}
                    }
                    tokens.next();
                }
                continue;
            }
            TokenTree::Ident(word) if word == "async" || word == "pub" => continue,
            TokenTree::Ident(word) if word == "fn" && is_test => {
                let name = tokens.next().unwrap().to_string();
                tests.push(Test {
                    name,
                    ids: std::mem::take(&mut ids),
                });
            }
            TokenTree::Group(group) => tests.extend(self::tests(group.stream())),
            _ => {}
        }
        is_test = false;
        ids.clear();
    }
    tests
}

enum Attribute {
    Test,
    Doc(String),
    Other,
}

impl Attribute {
    /// `test`, `actix_web::test`, or `doc = "…"`, which a doc comment is.
    fn read(tokens: TokenStream) -> Self {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        match &tokens[..] {
            [.., TokenTree::Ident(last)] if last == "test" => Self::Test,
            [TokenTree::Ident(doc), _, TokenTree::Literal(text)] if doc == "doc" => {
                let text = syn::parse_str::<syn::LitStr>(&text.to_string());
                text.map_or(Self::Other, |text| Self::Doc(text.value()))
            }
            _ => Self::Other,
        }
    }
}

/// The ids of a line that has nothing else.
fn ids_in_doc(line: &str) -> Vec<String> {
    let line = line.trim().trim_end_matches(',');
    let parts: Vec<&str> = line.split(", ").collect();
    if parts.iter().all(|part| is_id(part)) {
        parts.into_iter().map(str::to_owned).collect()
    } else {
        Vec::new()
    }
}

#[test]
fn the_ids_of_tests_are_found() {
    let text = "
        /// A sentence about BND-01.
        ///
        /// BND-03, V1L-09,
        /// GEN-10
        #[actix_web::test]
        async fn one() {}
        /// BND-04
        fn none() {}
        mod inner { proptest! { #![config(1)]
            /// BND-05
            #[test]
            fn two(text in \".*\") {}
        } }
        #[test]
        fn three() {}
    ";
    let tests = tests(text.parse().unwrap());
    let found: Vec<_> = tests
        .iter()
        .map(|test| (&*test.name, test.ids.join(" ")))
        .collect();
    let expected = [
        ("one", "BND-03 V1L-09 GEN-10"),
        ("two", "BND-05"),
        ("three", ""),
    ];
    assert_eq!(found, expected.map(|(name, ids)| (name, ids.to_owned())));
}
