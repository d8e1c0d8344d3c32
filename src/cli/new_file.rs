//! Writing files durably, without overwriting by accident, and privately where
//! they hold secrets.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::failure::Failure;

/// Who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileAccess {
    /// Only the user that runs the command: mode 0600.
    Owner,
    /// As the umask allows.
    Umask,
}

/// Creates a file.
///
/// # Errors
/// When the file exists, which is left unchanged, or cannot be written.
pub(super) fn create(path: &Path, content: &str, access: FileAccess) -> Result<(), Failure> {
    write_new(path, content, access).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::new(format!(
            "{} already exists and was not changed.",
            path.display()
        )),
        _ => cannot_write(path, &error),
    })
}

/// Creates a file, or atomically replaces an existing one.
///
/// # Errors
/// When it cannot be written; an existing file is then unchanged.
pub(super) fn replace(path: &Path, content: &str, access: FileAccess) -> Result<(), Failure> {
    StagedFile::write(path, content, access)?.commit()
}

/// A file written under a temporary name in its final folder, so that several
/// can be renamed once every other step has succeeded. Dropping it without a
/// commit deletes it.
#[derive(Debug)]
pub(super) struct StagedFile {
    temporary: PathBuf,
    path: PathBuf,
}

impl StagedFile {
    /// Writes the file under its temporary name.
    pub(super) fn write(path: &Path, content: &str, access: FileAccess) -> Result<Self, Failure> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        let staged = Self {
            temporary: temporary.into(),
            path: path.to_owned(),
        };
        match fs::remove_file(&staged.temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(cannot_write(path, &error));
            }
            _ => {}
        }
        write_new(&staged.temporary, content, access)
            .map_err(|error| cannot_write(path, &error))?;
        Ok(staged)
    }

    /// Renames the file to its final name, replacing an existing file.
    ///
    /// # Errors
    /// When the rename fails; an existing file is then unchanged.
    pub(super) fn commit(self) -> Result<(), Failure> {
        fs::rename(&self.temporary, &self.path).map_err(|error| cannot_write(&self.path, &error))
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        // Fails after a commit, which has renamed the file.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("Cannot write {}: {error}.", path.display()))
}

fn write_new(path: &Path, content: &str, access: FileAccess) -> io::Result<()> {
    let mut file = open_new(path, access)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

fn open_new(path: &Path, access: FileAccess) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if access == FileAccess::Owner {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn create_refuses_and_replace_overwrites() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        create(&path, "one", FileAccess::Umask).unwrap();
        let refusal = create(&path, "two", FileAccess::Umask)
            .unwrap_err()
            .to_string();
        assert!(
            refusal.ends_with("already exists and was not changed."),
            "{refusal}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        replace(&path, "two", FileAccess::Owner).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn staged_file_appears_only_on_commit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let staged = StagedFile::write(&path, "one", FileAccess::Umask).unwrap();
        assert!(!path.exists());
        staged.commit().unwrap();
        drop(StagedFile::write(&path, "two", FileAccess::Umask).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn private_file_has_mode_0600() {
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
