//! What the README and the pages under `docs/` say to type and to
//! open is there.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use clap::Parser as _;
use clap::error::ErrorKind;
use sydent::cli::Cli;
use sydent::config::Settings;
use toml::{Table, Value};

use crate::harness::repository;

const WALKTHROUGH: &str = include_str!("../../src/cli/demo/walkthrough.txt");
const SETTINGS: &str = include_str!("../../config/default.toml");

/// A page for people.
struct Page {
    file: PathBuf,
    text: String,
}

impl Page {
    fn read(file: PathBuf) -> Self {
        let text = fs::read_to_string(&file).unwrap();
        Self { file, text }
    }

    fn name(&self) -> String {
        self.file.display().to_string()
    }

    /// The lines of the blocks in a language; a line that ends in a backslash
    /// is one with the next.
    fn block_lines(&self, language: &str) -> Vec<String> {
        let blocks = self.text.split("\n```");
        let blocks = blocks.skip(1).step_by(2);
        let ours = blocks.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
        ours.flat_map(|block| {
            let block = block.replace("\\\n", " ");
            block.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
    }

    /// The text between single backticks.
    fn spans(&self) -> Vec<String> {
        let blocks = self.text.split("\n```");
        let prose: String = blocks.step_by(2).collect();
        let spans = prose.split('`').skip(1).step_by(2);
        spans.map(|span| span.replace('\n', " ")).collect()
    }
}

fn pages() -> Vec<Page> {
    let docs = fs::read_dir(repository("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path());
    let docs = docs.filter(|file| file.extension().is_some_and(|ending| ending == "md"));
    docs.chain([repository("README.md")])
        .map(Page::read)
        .collect()
}

/// The pages about this program alone. The requirements also name settings and
/// files of other programs.
fn guides() -> Vec<Page> {
    let mut pages = pages();
    let other = ["requirements.md", "conformance.md"];
    pages.retain(|page| !other.iter().any(|name| page.file.ends_with(name)));
    pages
}

#[test]
fn readme_contains_the_walkthrough_verbatim() {
    let text = WALKTHROUGH
        .replace("{client}", "127.0.0.1:8090")
        .replace("{internal}", "127.0.0.1:8091");
    let (four_steps, _) = text.split_once("\n5. ").unwrap();
    let commands: Vec<_> = four_steps
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .collect();
    let readme = Page::read(repository("README.md")).block_lines("sh");
    let shown: Vec<_> = readme
        .iter()
        .filter(|line| commands.contains(&line.as_str()))
        .collect();
    assert_eq!(shown, commands);
}

/// The words that a shell makes of a line.
fn words(line: &str) -> Vec<String> {
    let script = format!("printf '%s\\n' {line}");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{line}");
    let output = String::from_utf8(output.stdout).unwrap();
    output.lines().map(str::to_owned).collect()
}

#[test]
fn documented_commands_exist() {
    let mut commands = 0;
    for page in pages() {
        for line in page.block_lines("sh") {
            let line = line.replace("cargo run --", "sydent");
            if line.starts_with("sydent ") {
                let parsed = Cli::try_parse_from(words(&line));
                assert!(parsed.is_ok(), "{}: {line}: {parsed:?}", page.name());
                commands += 1;
            }
        }
        for named in page.spans() {
            if named.starts_with("sydent ") {
                let parsed = Cli::try_parse_from(words(&format!("{named} --help")));
                let kind = parsed.unwrap_err().kind();
                assert_eq!(kind, ErrorKind::DisplayHelp, "{}: {named}", page.name());
                commands += 1;
            }
        }
    }
    assert!(commands >= 8, "{commands}");
}

/// Every setting, those without a default too, which stand behind `# `.
fn settings() -> Table {
    let lines = SETTINGS.lines().map(|line| {
        let example = line.strip_prefix("# ").filter(|rest| {
            let name = rest.split(" = ").next().unwrap_or_default();
            let is_setting = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            let is_section = rest.starts_with('[') && rest.ends_with(']');
            is_section || (rest.contains(" = ") && is_setting)
        });
        example.unwrap_or(line)
    });
    toml::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap()
}

fn is_setting(settings: &Table, key: &str) -> bool {
    let (section, name) = key.rsplit_once('.').unwrap();
    let section = section
        .split('.')
        .try_fold(settings, |table, part| table.get(part)?.as_table());
    section.is_some_and(|section| section.get(name).is_some_and(|value| !value.is_table()))
}

/// Whether a text between backticks looks like `section.key`: no file, and
/// none of Matrix's own names.
fn looks_like_a_setting(span: &str) -> bool {
    let letters = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let ending = span.rsplit('.').next().unwrap_or_default();
    span.contains('.')
        && span.split('.').all(letters)
        && ![
            "toml", "md", "rs", "eml", "j2", "html", "key", "sqlite", "conf",
        ]
        .contains(&ending)
        && !span.starts_with("m.")
}

#[test]
fn documented_settings_exist() {
    let settings = settings();
    let mut named = 0;
    for page in guides() {
        for span in page.spans() {
            let variable = span.strip_prefix("SYDENT__");
            let key = variable.map(|name| name.to_ascii_lowercase().replace("__", "."));
            let key = key.or_else(|| looks_like_a_setting(&span).then_some(span));
            if let Some(key) = key {
                assert!(is_setting(&settings, &key), "{}: {key}", page.name());
                named += 1;
            }
        }
        let example = page.block_lines("toml").join("\n");
        Settings::parse(Some((&page.file, &example)), std::iter::empty())
            .unwrap_or_else(|problems| panic!("{}: {problems}", page.name()));
    }
    assert!(named >= 10, "{named}");
    assert!(is_setting(&settings, "email.smtp.host"));
    assert!(is_setting(&settings, "database.url_file"));
    assert!(!is_setting(&settings, "email.smtp"));
    assert_eq!(settings["v1"]["enabled"], Value::Boolean(true));
}

#[test]
fn linked_files_exist() {
    let mut followed = 0;
    for page in pages() {
        let folder = page.file.parent().unwrap();
        for rest in page.text.split("](").skip(1) {
            let link = rest.split([')', '#', ' ']).next().unwrap();
            if !link.is_empty() && !link.contains("://") {
                assert!(folder.join(link).exists(), "{}: {link}", page.name());
                followed += 1;
            }
        }
    }
    assert!(followed >= 3, "{followed}");
}

#[test]
fn documented_paths_exist() {
    let ours = ["src/", "docs/", "config/", "tests/", "migrations/"];
    let mut named = 0;
    for page in guides() {
        for span in page.spans() {
            let path = span.split(' ').next().unwrap_or_default();
            if ours.iter().any(|folder| path.starts_with(folder)) {
                assert!(repository(path).exists(), "{}: {path}", page.name());
                named += 1;
            }
        }
    }
    assert!(named >= 10, "{named}");
}
