//! Stores messages as files in a folder instead of sending them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{MessageName, SendFailure, TransportError};

/// Writes each message to `<name>.eml` in one folder.
///
/// A file appears complete or not at all, and is synced to disk when `send`
/// returns. Only the owner may read it: messages contain tokens and addresses.
#[derive(Debug)]
pub struct FileTransport {
    folder: PathBuf,
}

impl FileTransport {
    /// Creates the folder, readable for the owner only, unless it exists.
    ///
    /// # Errors
    ///
    /// [`TransportError::BadFolder`] if it cannot be created or is not a folder.
    pub fn new(folder: PathBuf) -> Result<Self, TransportError> {
        match DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
        {
            Ok(()) => Ok(Self { folder }),
            Err(source) => Err(TransportError::BadFolder {
                path: folder,
                source,
            }),
        }
    }

    /// Stores a message and replaces an earlier one of the same name.
    pub(crate) async fn send(&self, name: &MessageName, message: &[u8]) -> Result<(), SendFailure> {
        let (folder, name, message) = (self.folder.clone(), name.clone(), message.to_vec());
        match tokio::task::spawn_blocking(move || store(&folder, name.as_str(), &message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(SendFailure::transient(format!(
                "cannot write the message to the mail folder: {error}"
            ))),
            Err(_cancelled) => Err(SendFailure::transient(
                "writing the message was interrupted",
            )),
        }
    }
}

fn store(folder: &Path, name: &str, message: &[u8]) -> io::Result<()> {
    // The dot and the suffix hide the incomplete file from listings.
    let temporary = folder.join(format!(".{name}.tmp"));
    let outcome = write_to_disk(&temporary, message)
        .and_then(|()| fs::rename(&temporary, folder.join(format!("{name}.eml"))))
        .and_then(|()| File::open(folder)?.sync_all());
    if outcome.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    outcome
}

fn write_to_disk(path: &Path, message: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(message)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn message_is_stored_whole_with_mode_0600() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("not/there/yet");
        let transport = FileTransport::new(folder.clone()).unwrap();
        assert_eq!(mode(&folder), 0o700);

        let message = b"Subject: x\r\n\r\n.\r\nbody\r\n";
        let name = MessageName::new(1_700_000_000_000, "abc");
        transport.send(&name, message).await.unwrap();

        let names: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(names, ["1700000000000-abc.eml"]);
        let path = folder.join("1700000000000-abc.eml");
        assert_eq!(fs::read(&path).unwrap(), message);
        assert_eq!(mode(&path), 0o600);
    }

    #[tokio::test]
    async fn same_name_replaces_and_new_name_adds() {
        let scratch = tempfile::tempdir().unwrap();
        let transport = FileTransport::new(scratch.path().into()).unwrap();
        let first = MessageName::new(1, "first");
        transport.send(&first, b"long first attempt").await.unwrap();
        transport.send(&first, b"again").await.unwrap();
        transport
            .send(&MessageName::new(1, "second"), b"other")
            .await
            .unwrap();

        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 2);
        let stored = fs::read(scratch.path().join("0000000000001-first.eml")).unwrap();
        assert_eq!(stored, b"again");
    }

    #[tokio::test]
    async fn missing_folder_is_a_transient_failure() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("mail");
        let transport = FileTransport::new(folder.clone()).unwrap();
        fs::remove_dir(&folder).unwrap();
        let failure = transport
            .send(&MessageName::new(1, "a"), b"x")
            .await
            .unwrap_err();
        assert!(
            matches!(failure, SendFailure::Transient { .. }),
            "{failure:?}"
        );
    }

    #[test]
    fn file_instead_of_folder_fails_at_startup() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("mail");
        fs::write(&path, b"").unwrap();
        let error = FileTransport::new(path).unwrap_err();
        assert!(matches!(error, TransportError::BadFolder { .. }), "{error}");
    }

    #[tokio::test]
    async fn failed_write_leaves_no_file() {
        let scratch = tempfile::tempdir().unwrap();
        let transport = FileTransport::new(scratch.path().into()).unwrap();
        // A folder of the final name makes the rename fail.
        fs::create_dir(scratch.path().join("0000000000001-a.eml")).unwrap();
        transport
            .send(&MessageName::new(1, "a"), b"x")
            .await
            .unwrap_err();
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }
}
