//! Writing files that must not be lost or seen by others.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Failure;

/// Who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileAccess {
    /// The owner alone: mode 0600.
    Owner,
    /// Whoever the umask lets.
    Umask,
}

/// Writes a file that was not there before.
///
/// # Errors
/// When there is one already, which stays as it is, or it cannot be written.
pub(super) fn create(path: &Path, content: &str, readers: FileAccess) -> Result<(), Failure> {
    write_new(path, content, readers).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::new(format!(
            "{} exists already and was left as it is.",
            path.display()
        )),
        _ => not_written(path, &error),
    })
}

/// Writes a file, or puts a new one in place of the one that is there.
///
/// # Errors
/// When it cannot be written; the old one then stays.
pub(super) fn replace(path: &Path, content: &str, readers: FileAccess) -> Result<(), Failure> {
    StagedFile::write(path, content, readers)?.put()
}

/// A file that is written beside its place, so that several can be put in their
/// places once all else has worked. It is gone when it is dropped before.
#[derive(Debug)]
pub(super) struct StagedFile {
    draft: PathBuf,
    path: PathBuf,
}

impl StagedFile {
    /// Writes it beside its place.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(path: &Path, content: &str, readers: FileAccess) -> Result<Self, Failure> {
        let mut draft = path.as_os_str().to_owned();
        draft.push(".new");
        let waiting = Self {
            draft: draft.into(),
            path: path.to_owned(),
        };
        match fs::remove_file(&waiting.draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(not_written(path, &error));
            }
            _ => {}
        }
        write_new(&waiting.draft, content, readers).map_err(|error| not_written(path, &error))?;
        Ok(waiting)
    }

    /// Puts it in its place, where it replaces what is there.
    ///
    /// # Errors
    /// When that does not work; what is there then stays.
    pub(super) fn put(self) -> Result<(), Failure> {
        fs::rename(&self.draft, &self.path).map_err(|error| not_written(&self.path, &error))
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        // In its place it is not there any more.
        let _ = fs::remove_file(&self.draft);
    }
}

fn not_written(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{} cannot be written: {error}.", path.display()))
}

fn write_new(path: &Path, content: &str, readers: FileAccess) -> io::Result<()> {
    let mut file = open_new(path, readers)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

fn open_new(path: &Path, readers: FileAccess) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if readers == FileAccess::Owner {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_file_is_replaced_only_on_purpose() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        create(&path, "one", FileAccess::Umask).unwrap();
        let refusal = create(&path, "two", FileAccess::Umask)
            .unwrap_err()
            .to_string();
        assert!(
            refusal.ends_with("exists already and was left as it is."),
            "{refusal}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        replace(&path, "two", FileAccess::Owner).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_waiting_file_appears_when_it_is_put_and_leaves_nothing_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let waiting = StagedFile::write(&path, "one", FileAccess::Umask).unwrap();
        assert!(!path.exists());
        waiting.put().unwrap();
        drop(StagedFile::write(&path, "two", FileAccess::Umask).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_for_the_owner_alone_has_mode_0600() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (created, replaced) = (folder.path().join("a"), folder.path().join("b"));
        create(&created, "secret", FileAccess::Owner).unwrap();
        replace(&replaced, "secret", FileAccess::Owner).unwrap();
        for path in [created, replaced] {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
