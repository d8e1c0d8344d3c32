//! The entries of `docs/requirements.md`.

use std::collections::BTreeSet;

use crate::harness::repository;

/// A part of the page, such as "Bind (BND)".
pub struct Section {
    pub title: String,
    pub requirements: Vec<Requirement>,
}

pub struct Requirement {
    pub id: String,
    /// Its first sentence.
    pub summary: String,
    /// Why it has no test, or where its details are: the sentence that begins
    /// with "No test:" or with "See".
    pub note: Option<String>,
    /// The ids that the sentence with "See" names.
    pub refers: Vec<String>,
}

/// The sections that have requirements. An entry is a list item that begins with
/// an id in bold; its further lines are indented.
pub fn read() -> Vec<Section> {
    let text = std::fs::read_to_string(repository("docs/requirements.md")).unwrap();
    let text = text.replace("\n  ", " ");
    let mut sections = Vec::<Section>::new();
    let mut ids = BTreeSet::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            sections.push(Section {
                title: title.to_owned(),
                requirements: Vec::new(),
            });
        } else if let Some(entry) = line.strip_prefix("- **") {
            let requirement = Requirement::parse(entry);
            assert!(ids.insert(requirement.id.clone()), "twice: {line}");
            sections.last_mut().unwrap().requirements.push(requirement);
        }
    }
    sections.retain(|section| !section.requirements.is_empty());
    sections
}

/// Whether a text is an id, such as `BND-03` or `V1L-12`.
pub fn is_id(text: &str) -> bool {
    let Some((area, number)) = text.split_once('-') else {
        return false;
    };
    let is_area = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit();
    (2..=4).contains(&area.len())
        && area.bytes().all(is_area)
        && number.len() == 2
        && number.bytes().all(|c| c.is_ascii_digit())
}

impl Requirement {
    /// Of an entry after the first `**`.
    fn parse(entry: &str) -> Self {
        let (id, text) = entry.split_once("** ").expect(entry);
        assert!(is_id(id), "{entry}");
        let (text, source) = text.split_once(" *Source: ").expect(entry);
        assert!(source.ends_with('*'), "{entry}");
        let sentences = sentences(text);
        let starts = |start: &str| sentences.iter().find(|s| s.starts_with(start));
        let see = sentences.last().filter(|last| last.starts_with("See "));
        let words = see.into_iter().flat_map(|see| see.split([' ', ',', '.']));
        Self {
            id: id.to_owned(),
            summary: sentences[0].clone(),
            note: starts("No test: ").or(see).cloned(),
            refers: words
                .filter(|word| is_id(word))
                .map(str::to_owned)
                .collect(),
        }
    }
}

/// A full stop and a space end a sentence, except in code.
fn sentences(text: &str) -> Vec<String> {
    let mut sentences = vec![String::new()];
    for part in text.split_inclusive(". ") {
        let sentence = sentences.last_mut().unwrap();
        sentence.push_str(part);
        let is_whole = sentence.matches('`').count() % 2 == 0;
        if is_whole && part.ends_with(". ") {
            sentence.pop();
            sentences.push(String::new());
        }
    }
    sentences
}
