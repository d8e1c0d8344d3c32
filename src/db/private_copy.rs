//! A copy of another program's SQLite file that only this user can read and
//! that no end of the process leaves behind: it holds access tokens in clear.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use tempfile::TempDir;

/// What the names of all such folders in the temporary folder begin with.
const PREFIX: &str = "sydent-import-";

/// Held locked by the process that the folder belongs to.
const LOCK: &str = "lock";

const COPY: &str = "copy.db";

/// A folder (mode 0700) with an empty file (mode 0600) for the copy. Both are
/// gone when this is dropped.
#[derive(Debug)]
pub struct PrivateCopy {
    folder: TempDir,
    _lock: File,
}

impl PrivateCopy {
    /// Makes the folder below the temporary folder, and removes those there that
    /// killed processes have left.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create() -> io::Result<Self> {
        remove_abandoned(&std::env::temp_dir());
        let mut builder = tempfile::Builder::new();
        let prefix = prefix_of_this_process();
        builder.prefix(&prefix);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(fs::Permissions::from_mode(0o700));
        }
        let folder = builder.tempdir()?;
        let lock = create_private(&folder.path().join(LOCK))?;
        lock.lock()?;
        // SQLite fills an empty file that is there already and keeps its mode.
        create_private(&folder.path().join(COPY))?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// The file to fill.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(COPY)
    }

    /// Removes folder and file. Who has the file open goes on reading it on Unix,
    /// where even `kill -9` then leaves nothing behind.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub fn unlink(self) -> io::Result<()> {
        self.folder.close()
    }
}

/// Removes every folder of this process: for a signal that ends it.
pub fn remove_all() {
    let prefix = prefix_of_this_process();
    for folder in folders(&std::env::temp_dir(), &prefix) {
        let _ = fs::remove_dir_all(folder);
    }
}

fn prefix_of_this_process() -> String {
    format!("{PREFIX}{}-", process::id())
}

/// Removes the folders whose process was killed: the system has let go of its
/// lock. Folders of other users cannot be opened and stay.
fn remove_abandoned(temporary: &Path) {
    for folder in folders(temporary, PREFIX) {
        let Ok(lock) = File::open(folder.join(LOCK)) else {
            continue;
        };
        match lock.try_lock() {
            Ok(()) => {
                log::warn!(
                    "removing {}, the copy of a database that a killed import left behind",
                    folder.display()
                );
                let _ = fs::remove_dir_all(folder);
            }
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
}

fn folders(temporary: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(temporary).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        // Not a link, which could lead anywhere.
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_the_user_can_read_it() {
        let copy = PrivateCopy::create().unwrap();
        assert_eq!(mode(copy.folder.path()), 0o700);
        assert_eq!(mode(&copy.path()), 0o600);
    }

    #[test]
    fn what_is_open_can_be_read_after_unlink() {
        let copy = PrivateCopy::create().unwrap();
        let (path, folder) = (copy.path(), copy.folder.path().to_owned());
        fs::write(&path, "hay").unwrap();
        let file = File::open(&path).unwrap();
        copy.unlink().unwrap();
        assert!(!folder.exists());
        assert_eq!(io::read_to_string(file).unwrap(), "hay");
    }

    #[test]
    fn only_abandoned_folders_are_removed() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = temporary.path().join(name);
            fs::create_dir(&folder).unwrap();
            folder
        };
        let (abandoned, used) = (folder("sydent-import-1-a"), folder("sydent-import-2-b"));
        let (other, unlocked) = (folder("sydent-exports"), folder("sydent-import-3-c"));
        let mut locks = [&abandoned, &used, &other].map(|it| create_private(&it.join(LOCK)).ok());
        locks[1].as_mut().unwrap().lock().unwrap();
        std::os::unix::fs::symlink(&abandoned, temporary.path().join("sydent-import-4-d")).unwrap();
        remove_abandoned(temporary.path());
        assert_eq!(
            [&abandoned, &used, &other, &unlocked].map(|it| it.exists()),
            [false, true, true, true]
        );
    }
}
