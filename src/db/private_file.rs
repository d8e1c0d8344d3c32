//! Creates files that only this user can read.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Creates an empty file with mode 0600; the mode is set by the call that
/// creates it, so that at no time another user can open the file.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if there is a file of that name.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}
