//! The folders that messages are written to.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;

const ENDING: &str = ".eml";
/// The name of the newest message in URLs; no message has it.
const NEWEST: &str = "newest";

/// The name of a message: ASCII letters, digits and hyphens, so never a path, and
/// short enough for every file system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MailName(String);

impl MailName {
    fn parse(text: &str) -> Option<Self> {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_name = (1..=200).contains(&text.len()) && text != NEWEST && text.bytes().all(letter);
        is_name.then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the file.
    pub(super) fn file(&self) -> String {
        format!("{}{ENDING}", self.0)
    }
}

/// The folders of messages: mails and SMS can have one each.
#[derive(Clone)]
pub(super) struct Folders(Vec<PathBuf>);

impl fmt::Display for Folders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(|one| one.display().to_string()).collect();
        f.write_str(&all.join(", "))
    }
}

impl Folders {
    pub(super) fn new(mut folders: Vec<PathBuf>) -> Self {
        folders.sort();
        folders.dedup();
        Self(folders)
    }

    /// The names of all messages, the newest first: names begin with the time.
    pub(super) fn names(&self) -> io::Result<Vec<MailName>> {
        let mut names = Vec::new();
        for folder in &self.0 {
            let Some(entries) = if_found(fs::read_dir(folder))? else {
                continue;
            };
            for entry in entries {
                let file = entry?.file_name();
                let name = file.to_str().and_then(|file| file.strip_suffix(ENDING));
                names.extend(name.and_then(MailName::parse));
            }
        }
        names.sort_unstable_by(|one, other| other.cmp(one));
        Ok(names)
    }

    /// Reads a message; `None` when it does not exist.
    pub(super) fn read(&self, name: &MailName) -> io::Result<Option<Vec<u8>>> {
        for folder in &self.0 {
            if let Some(mail) = if_found(fs::read(folder.join(name.file())))? {
                return Ok(Some(mail));
            }
        }
        Ok(None)
    }

    /// Reads the message that a URL names; `None` when it does not exist, or the
    /// name is malformed.
    pub(super) fn find(&self, name: &str) -> io::Result<Option<(MailName, Vec<u8>)>> {
        let name = if name == NEWEST {
            self.names()?.into_iter().next()
        } else {
            MailName::parse(name)
        };
        let Some(name) = name else {
            return Ok(None);
        };
        Ok(self.read(&name)?.map(|mail| (name, mail)))
    }
}

fn if_found<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_comes_first_other_files_are_skipped() {
        let scratch = tempfile::tempdir().unwrap();
        let both = ["mail", "texts"].map(|name| scratch.path().join(name));
        let folder = Folders::new(both.to_vec());
        assert_eq!(folder.names().unwrap(), []);
        assert_eq!(folder.find("newest").unwrap(), None);
        for folder in &both {
            fs::create_dir(folder).unwrap();
        }
        fs::write(both[1].join("0000000000005-c.eml"), "a text").unwrap();
        for file in [
            "0000000000002-a.eml",
            "0000000000010-b.eml",
            ".0000000000011-c.tmp",
            "a b.eml",
            ".eml",
            "newest.eml",
            "notes.txt",
        ] {
            fs::write(both[0].join(file), file).unwrap();
        }
        let names = folder.names().unwrap();
        let names: Vec<_> = names.iter().map(MailName::as_str).collect();
        assert_eq!(
            names,
            ["0000000000010-b", "0000000000005-c", "0000000000002-a"]
        );
        let text = folder.find("0000000000005-c").unwrap().unwrap().1;
        assert_eq!(text, b"a text");
        let (newest, mail) = folder.find("newest").unwrap().unwrap();
        assert_eq!(newest.file().as_bytes(), mail);
        assert_eq!(newest.as_str(), "0000000000010-b");
    }

    #[test]
    fn name_is_never_a_path() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("secret.eml"), "secret").unwrap();
        fs::create_dir(scratch.path().join("mail")).unwrap();
        let folder = Folders::new(vec![scratch.path().join("mail")]);
        let absolute = scratch.path().join("secret").display().to_string();
        for asked in [
            "../secret",
            "..%2fsecret",
            "./../secret",
            "secret\0",
            "",
            ".",
            "..",
            "nothing",
            absolute.as_str(),
        ] {
            assert_eq!(folder.find(asked).unwrap(), None, "{asked}");
        }
    }
}
