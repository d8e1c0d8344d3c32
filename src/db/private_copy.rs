//! A private copy of another program's SQLite file. It contains access tokens in
//! clear text, so only this user can read it, and it is deleted however the
//! process ends.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use tempfile::TempDir;

use super::private_file;

/// Prefix of the names of these folders in the temporary folder.
const PREFIX: &str = "sydent-import-";

/// A file that the process locks as long as it uses the folder.
const LOCK: &str = "lock";

const COPY: &str = "copy.db";

/// A folder (mode 0700) with an empty file (mode 0600) for the copy. Dropping it
/// deletes both.
#[derive(Debug)]
pub struct PrivateCopy {
    folder: TempDir,
    _lock: File,
}

impl PrivateCopy {
    /// Creates the folder in the temporary folder, after deleting those that killed
    /// processes have left there.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create() -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        let prefix = process_prefix();
        builder.prefix(&prefix);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(fs::Permissions::from_mode(0o700));
        }
        let folder = builder.tempdir()?;
        let lock = private_file::create(&folder.path().join(LOCK))?;
        lock.lock()?;
        remove_abandoned(&std::env::temp_dir(), folder.path());
        // SQLite writes into an existing empty file and keeps its mode.
        private_file::create(&folder.path().join(COPY))?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// The path of the copy.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(COPY)
    }

    /// Deletes the folder and the file. On Unix an open file can still be read, and
    /// from now on not even `kill -9` leaves it on the disk.
    ///
    /// # Errors
    /// When they cannot be deleted.
    pub fn unlink(self) -> io::Result<()> {
        self.folder.close()
    }
}

/// Deletes all folders of this process. For signal handlers, which end the process
/// without dropping values.
pub fn remove_all() {
    let prefix = process_prefix();
    for folder in find_folders(&std::env::temp_dir(), &prefix) {
        let _ = fs::remove_dir_all(folder);
    }
}

fn process_prefix() -> String {
    format!("{PREFIX}{}-", process::id())
}

/// Deletes the folders of processes that were killed: the system has released
/// their locks. Only folders of the user who owns `own` are touched, since every
/// user can create one of that name, with anything in it.
fn remove_abandoned(temporary: &Path, own: &Path) {
    let folders = find_folders(temporary, PREFIX).into_iter();
    for folder in folders.filter(|folder| has_same_owner(folder, own)) {
        let lock = folder.join(LOCK);
        // Opening a named pipe would block.
        if !lock.symlink_metadata().is_ok_and(|lock| lock.is_file()) {
            continue;
        }
        let Ok(lock) = File::open(lock) else {
            continue;
        };
        match lock.try_lock() {
            Ok(()) => {
                log::warn!(
                    "removing {}, a database copy left behind by a killed import",
                    folder.display()
                );
                let _ = fs::remove_dir_all(folder);
            }
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
}

#[cfg(unix)]
fn has_same_owner(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let owner = |path: &Path| path.symlink_metadata().map(|metadata| metadata.uid()).ok();
    owner(one).is_some_and(|uid| owner(other) == Some(uid))
}

#[cfg(not(unix))]
fn has_same_owner(_one: &Path, _other: &Path) -> bool {
    true
}

fn find_folders(temporary: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(temporary).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        // A symbolic link could point outside the temporary folder.
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
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
    fn copy_is_readable_by_its_user_only() {
        let copy = PrivateCopy::create().unwrap();
        assert_eq!(mode(copy.folder.path()), 0o700);
        assert_eq!(mode(&copy.path()), 0o600);
    }

    #[test]
    fn open_file_is_readable_after_unlink() {
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
        let mut locks =
            [&abandoned, &used, &other].map(|it| private_file::create(&it.join(LOCK)).ok());
        locks[1].as_mut().unwrap().lock().unwrap();
        std::os::unix::fs::symlink(&abandoned, temporary.path().join("sydent-import-4-d")).unwrap();
        remove_abandoned(temporary.path(), temporary.path());
        assert_eq!(
            [&abandoned, &used, &other, &unlocked].map(|it| it.exists()),
            [false, true, true, true]
        );
    }
}
