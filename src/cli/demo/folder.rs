//! The folder of the demo server.
//!
//! It contains an ordinary configuration, so that `sydent serve` can run on the same
//! data and the other commands can find the server.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::ports::Ports;
use crate::cli::failure::Failure;
use crate::cli::new_file::{FileAccess, create, replace};
use crate::cli::new_key;
use crate::config::Settings;

/// The first line of every configuration that `sydent demo` writes. It replaces no
/// file without it.
const MARK: &str = "# Written by `sydent demo` at each start: copy this file before you change it.";

/// A folder with a signing key and a configuration.
pub(super) struct Folder {
    config: PathBuf,
    text: String,
}

/// The configuration file in the folder of a demo server.
pub(super) fn config_file(dir: &Path) -> PathBuf {
    dir.join("sydent.toml")
}

impl Folder {
    /// Creates the folder and the files that do not exist. Keeps an existing key, so
    /// that its signatures stay valid.
    pub(super) fn prepare(dir: &Path, ports: Ports) -> Result<Self, Failure> {
        let config = config_file(dir);
        check_replaceable(&config)?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|error| {
                Failure::new(format!(
                    "Cannot create the folder {}: {error}. Set another one with --dir.",
                    dir.display()
                ))
            })?;
        let key_file = dir.join("signing.key");
        if !key_file.exists() {
            create(&key_file, &new_key::generate(None)?, FileAccess::Owner)?;
        }
        let text = text(ports);
        replace(&config, &text, FileAccess::Umask)?;
        Ok(Self { config, text })
    }

    /// The settings of the configuration file alone: variables in the environment are
    /// meant for another server.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        let file = Some((self.config.as_path(), self.text.as_str()));
        Ok(Settings::parse(file, std::iter::empty())?)
    }
}

/// Fails for a configuration that `sydent demo` has not written.
fn check_replaceable(config: &Path) -> Result<(), Failure> {
    match fs::read_to_string(config) {
        Ok(text) if text.starts_with(MARK) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) => Err(Failure::new(format!(
            "{} was not written by `sydent demo` and was not changed. Set another folder with \
             --dir.",
            config.display()
        ))),
        Err(error) => Err(Failure::new(format!(
            "Cannot read {}: {error}. Set another folder with --dir.",
            config.display()
        ))),
    }
}

const TEMPLATE: &str = include_str!("sydent.toml.in");

fn text(ports: Ports) -> String {
    TEMPLATE
        .replace("{mark}", MARK)
        .replace("{client}", &ports.client.to_string())
        .replace("{internal}", &ports.internal.to_string())
        .replace("{operations}", &ports.operations.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, MailTransport};

    fn config(dir: &Path, port: u16) -> Config {
        let folder = Folder::prepare(dir, Ports::starting_at(port)).unwrap();
        folder.settings().unwrap().into_config().unwrap()
    }

    #[test]
    fn restart_keeps_the_key_and_changes_ports() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path().join("not/there/yet");
        let first = config(&dir, 8090);
        assert_eq!(
            first.server.public_base_url.as_str(),
            "http://127.0.0.1:8090"
        );
        let MailTransport::File(mail) = &first.email.transport else {
            panic!("mail is captured");
        };
        assert_eq!(mail.dir, dir.join("mail"));
        let key = fs::read_to_string(dir.join("signing.key")).unwrap();

        let second = config(&dir, 9000);
        assert_eq!(fs::read_to_string(dir.join("signing.key")).unwrap(), key);
        let written = Settings::load(Some(&config_file(&dir)), std::iter::empty()).unwrap();
        for listen in [&second.internal.listen, &written.internal.listen] {
            assert_eq!(listen, &["127.0.0.1:9001".parse().unwrap()]);
        }
        let listens = [&second.http.listen, &second.operations.listen];
        assert!(
            listens
                .iter()
                .all(|all| all.iter().all(|one| one.ip().is_loopback()))
        );
    }

    #[test]
    fn foreign_configuration_is_not_overwritten() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(config_file(scratch.path()), "[server]\n").unwrap();
        let failure = Folder::prepare(scratch.path(), Ports::starting_at(8090))
            .err()
            .unwrap();
        assert!(failure.to_string().contains("--dir"), "{failure}");
        let kept = fs::read_to_string(config_file(scratch.path())).unwrap();
        assert_eq!(kept, "[server]\n");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }
}
