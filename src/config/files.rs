//! Files that settings name: why one cannot be read, and who can read it.

use std::io;
use std::path::Path;

/// The predicate of a sentence whose subject is the setting: the file and the reason.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("cannot read {}: {}", path.display(), reason(error))
}

/// The same without the path, for messages that start with it.
pub(super) fn cannot_read(error: &io::Error) -> String {
    format!("cannot be read: {}", reason(error))
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "the file does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied for this user".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}

/// Checks that this user may change a file, or create files in a folder. Does not open
/// it: for the files of a database that would release locks.
#[cfg(unix)]
pub(super) fn check_writable(path: &Path) -> Result<(), String> {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    let access = if path.is_dir() {
        Access::WRITE_OK | Access::EXEC_OK
    } else {
        Access::READ_OK | Access::WRITE_OK
    };
    accessat(CWD, path, access, AtFlags::EACCESS).map_err(|error| {
        let error = io::Error::from(error);
        let (reason, remedy) = match error.kind() {
            io::ErrorKind::PermissionDenied => (
                "permission denied for this user".to_owned(),
                "; give this user write permission, or start the server as the owner",
            ),
            io::ErrorKind::ReadOnlyFilesystem => {
                ("it is on a read-only file system".to_owned(), "")
            }
            _ => (error.to_string(), ""),
        };
        format!("cannot write {}: {reason}{remedy}", path.display())
    })
}

/// Always true: only on Unix can this be found out without writing.
#[cfg(not(unix))]
pub(super) fn check_writable(_path: &Path) -> Result<(), String> {
    Ok(())
}

/// Checks that files can be created in a folder, which need not exist yet.
pub(super) fn check_folder(path: &Path) -> Result<(), String> {
    let existing = path
        .ancestors()
        .map(|folder| {
            if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            }
        })
        .find(|folder| folder.symlink_metadata().is_ok());
    match existing {
        Some(folder) if folder.is_dir() => check_writable(folder),
        Some(file) => Err(format!("must be a folder; {} is a file", file.display())),
        None => Ok(()),
    }
}

/// Whether users other than the file's owner and group may read or change it.
#[cfg(unix)]
pub(super) fn is_world_accessible(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o007 != 0)
}

/// Always false: only on Unix does a file's mode answer this.
#[cfg(not(unix))]
pub(super) fn is_world_accessible(_path: &Path) -> bool {
    false
}
