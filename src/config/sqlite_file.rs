//! Whether a path can be the file of an SQLite database, found out without creating,
//! opening or changing anything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::files;

/// Checks the file and its folder. Returns whether the file has content.
///
/// # Errors
/// Why it cannot be used and what to do: the predicate of a sentence whose subject is
/// the setting.
pub(super) fn check(path: &Path) -> Result<bool, String> {
    // SQLite follows links, and has the other files beside the target.
    let target = path.is_symlink().then(|| path.canonicalize());
    let path = target
        .as_ref()
        .and_then(|it| it.as_deref().ok())
        .unwrap_or(path);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let shown = path.display();
    if !folder.is_dir() {
        return Err(format!(
            "must be a file in an existing folder; create {} first",
            folder.display()
        ));
    }
    let size = match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            return Err(format!("must be a file; {shown} is a folder"));
        }
        Ok(found) if !found.is_file() => {
            return Err(format!("must be a file; {shown} is a device or a socket"));
        }
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if path.is_symlink() {
                return Err(format!("is a link to a file that does not exist: {shown}"));
            }
            0
        }
        Err(error) => return Err(files::unreadable(path, &error)),
    };
    // SQLite creates the other two files beside the database.
    for file in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
        if file.exists() {
            files::check_writable(&file)?;
        }
    }
    files::check_writable(folder)?;
    Ok(size > 0)
}

/// The file whose name has a suffix.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_in_a_folder_can_be_a_database() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("empty"), "").unwrap();
        fs::write(path("text"), "text").unwrap();
        std::os::unix::fs::symlink(path("missing"), path("link")).unwrap();
        assert_eq!(check(&path("new.db")), Ok(false));
        assert_eq!(check(&path("empty")), Ok(false));
        assert_eq!(check(&path("text")), Ok(true));
        for (name, reason) in [
            ("", "is a folder"),
            ("missing/a.db", "create "),
            ("text/a.db", "create "),
            ("link", "a link to a file that does not exist"),
        ] {
            let refusal = check(&path(name)).unwrap_err();
            assert!(refusal.contains(reason), "{name}: {refusal}");
        }
        let refusal = check(Path::new("/dev/null")).unwrap_err();
        assert!(refusal.contains("a device"), "{refusal}");
    }
}
