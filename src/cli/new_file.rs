//! Writing files durably, without overwriting by accident, and privately where
//! they hold secrets.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

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

/// Changes a file that holds secrets atomically, and keeps its mode and its owner: `change`
/// gets the content, and returns the new one and something else to return. Where they are
/// equal, nothing is written. Of two processes that do so at the same time, one fails.
///
/// # Errors
/// When that is not possible or `change` fails; the file is then unchanged, unless the
/// error says otherwise.
pub(super) fn change<T>(
    path: &Path,
    change: impl FnOnce(&str) -> Result<(Zeroizing<String>, T), Failure>,
) -> Result<T, Failure> {
    let (staged, file) =
        StagedFile::open(path, FileAccess::Owner).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::new(format!(
                "{} exists: another command is changing {}, or was interrupted. Remove it if \
                 there is none.",
                temporary(path).display(),
                path.display()
            )),
            _ => cannot_write(path, &error),
        })?;
    // Only now: what another process writes before this one may write must not be lost.
    let old = fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| Failure::new(format!("Cannot read {}: {error}.", path.display())))?;
    let (new, result) = change(&old)?;
    if new != old {
        let folder = open_folder(path).map_err(|error| cannot_write(path, &error))?;
        keep_access(&file, path)
            .and_then(|()| fill(file, &new))
            .map_err(|error| cannot_write(path, &error))?;
        staged.commit()?;
        folder.sync_all().map_err(|error| {
            Failure::new(format!(
                "{} was changed, but a power failure may undo that: {error}.",
                path.display()
            ))
        })?;
    }
    Ok(result)
}

/// Gives a file the mode and the owner of another one.
fn keep_access(file: &File, of: &Path) -> io::Result<()> {
    let old = fs::metadata(of)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, fchown};
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            fchown(file, Some(old.uid()), Some(old.gid()))?;
        }
    }
    file.set_permissions(old.permissions())
}

/// Opens the folder of a file, to make a rename in it survive a power failure.
fn open_folder(path: &Path) -> io::Result<File> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    File::open(folder.unwrap_or(Path::new(".")))
}

/// A file written under a temporary name in its final folder, so that several
/// can be renamed once every other step has succeeded. Dropping it without a
/// commit deletes it.
#[derive(Debug)]
pub(super) struct StagedFile {
    path: PathBuf,
    is_committed: bool,
}

impl StagedFile {
    /// Writes the file under its temporary name.
    pub(super) fn write(path: &Path, content: &str, access: FileAccess) -> Result<Self, Failure> {
        match fs::remove_file(temporary(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(cannot_write(path, &error));
            }
            _ => {}
        }
        Self::open(path, access)
            .and_then(|(staged, file)| fill(file, content).map(|()| staged))
            .map_err(|error| cannot_write(path, &error))
    }

    /// Creates the file under its temporary name.
    fn open(path: &Path, access: FileAccess) -> io::Result<(Self, File)> {
        let file = open_new(&temporary(path), access)?;
        let staged = Self {
            path: path.to_owned(),
            is_committed: false,
        };
        Ok((staged, file))
    }

    /// Renames the file to its final name, replacing an existing file.
    ///
    /// # Errors
    /// When the rename fails; an existing file is then unchanged.
    pub(super) fn commit(mut self) -> Result<(), Failure> {
        fs::rename(temporary(&self.path), &self.path)
            .map_err(|error| cannot_write(&self.path, &error))?;
        self.is_committed = true;
        Ok(())
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        // After a commit, a file of that name belongs to another process.
        if !self.is_committed {
            let _ = fs::remove_file(temporary(&self.path));
        }
    }
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("Cannot write {}: {error}.", path.display()))
}

fn write_new(path: &Path, content: &str, access: FileAccess) -> io::Result<()> {
    fill(open_new(path, access)?, content)
}

fn fill(mut file: File, content: &str) -> io::Result<()> {
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

    /// CRY-12
    #[test]
    fn change_keeps_others_out_before_it_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        create(&path, "one", FileAccess::Owner).unwrap();
        let appended = |text: &str| Ok((Zeroizing::new(format!("{text}+")), ()));
        change(&path, |text| {
            let refusal = change(&path, appended).unwrap_err().to_string();
            assert!(refusal.contains("another command is changing"), "{refusal}");
            appended(text)
        })
        .unwrap();
        change(&path, appended).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one++");
        let failed = change(&path, |_text| {
            Err::<(Zeroizing<String>, ()), _>(Failure::new("no"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "one++");
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
