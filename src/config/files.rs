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
