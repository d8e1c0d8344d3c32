//! Files that settings name: why one cannot be read, and who else can.

use std::io;
use std::path::Path;

/// Why a file cannot be read, as part of a sentence that names it.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("{} {}", path.display(), cannot_be_read(error))
}

/// The same for a sentence that named the file already.
pub(super) fn cannot_be_read(error: &io::Error) -> String {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file",
        io::ErrorKind::PermissionDenied => "this user may not read it",
        io::ErrorKind::IsADirectory => "it is a folder",
        io::ErrorKind::InvalidData => "it is not UTF-8 text",
        _ => return format!("cannot be read: {error}"),
    };
    format!("cannot be read: {reason}")
}

/// Whether users other than the owner and its group may read or change a file.
#[cfg(unix)]
pub(super) fn others_may_read(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).is_ok_and(|about| about.mode() & 0o007 != 0)
}

/// Elsewhere than on Unix the file's mode says nothing.
#[cfg(not(unix))]
pub(super) fn others_may_read(_path: &Path) -> bool {
    false
}
