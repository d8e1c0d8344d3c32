//! The demonstration's folder.
//!
//! Its configuration is an ordinary one, and the server runs on what stands
//! there: `sydent serve` goes on with the same data, and the other commands
//! find the server by it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::Ports;
use crate::cli::new_file::{FileAccess, create, replace};
use crate::cli::{Failure, key};
use crate::config::Settings;

/// The first line of every configuration that the demonstration writes, by
/// which it knows those that it may replace.
const MARK: &str = "# Written by `sydent demo` at each start: copy this file before you change it.";

/// A folder that has a key and a configuration.
pub(super) struct Folder {
    config: PathBuf,
    text: String,
}

/// The configuration file in a demonstration's folder.
pub(super) fn config_file(dir: &Path) -> PathBuf {
    dir.join("sydent.toml")
}

impl Folder {
    /// Makes what is not there yet. A key stays: what it signed stays valid.
    pub(super) fn prepare(dir: &Path, ports: Ports) -> Result<Self, Failure> {
        let config = config_file(dir);
        refuse_foreign(&config)?;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|error| {
            Failure::new(format!(
                "The folder {} cannot be made: {error}. Name another one with --dir.",
                dir.display()
            ))
        })?;
        let key_file = dir.join("signing.key");
        if !key_file.exists() {
            create(&key_file, &key::generate(None)?, FileAccess::Owner)?;
        }
        let text = text(ports);
        replace(&config, &text, FileAccess::Umask)?;
        Ok(Self { config, text })
    }

    /// What stands in the configuration. The environment has no say: it is
    /// meant for another server.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        let file = Some((self.config.as_path(), self.text.as_str()));
        Ok(Settings::parse(file, std::iter::empty())?)
    }
}

/// Somebody's own configuration must not be lost.
fn refuse_foreign(config: &Path) -> Result<(), Failure> {
    match fs::read_to_string(config) {
        Ok(text) if text.starts_with(MARK) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) => Err(Failure::new(format!(
            "{} was not written by `sydent demo` and stays as it is. Name another folder with \
             --dir.",
            config.display()
        ))),
        Err(error) => Err(Failure::new(format!(
            "{} cannot be read: {error}. Name another folder with --dir.",
            config.display()
        ))),
    }
}

fn text(ports: Ports) -> String {
    let Ports {
        client,
        internal,
        operations,
    } = ports;
    format!(
        r#"{MARK}

[server]
name = "localhost"
public_base_url = "http://{client}"
allow_plain_http = true
signing_key_file = "signing.key"

[database]
url = "sqlite:sydent.db"

[http]
listen = ["{client}"]
shutdown_timeout = "2s"

[v1]
enabled = true

[internal]
listen = ["{internal}"]

[operations]
listen = ["{operations}"]

[email]
from = "Identity server demo <noreply@localhost>"
# Nothing is sent: each mail is a file, and a page of the internal listener.
transport = "file"

[email.file]
dir = "mail"

# Texts to phones are shown there as well.
[sms.providers.folder]
kind = "file"
dir = "mail"

# So nobody can be flooded with mails, and trying things out is not held up.
[limits.email_per_client]
burst = 0

[limits.email_per_address]
burst = 0

[limits.sms_per_client]
burst = 0

[limits.sms_per_number]
burst = 0

[limits.invites_per_client]
burst = 0

[limits.invites_per_address]
burst = 0

[federation]
# The user of the printed commands has no homeserver that could be told of a
# binding.
deny_homeservers = ["example.org"]
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, MailTransport};

    fn config(dir: &Path, port: u16) -> Config {
        let folder = Folder::prepare(dir, Ports::from(port)).unwrap();
        folder.settings().unwrap().into_config().unwrap()
    }

    #[test]
    fn a_second_start_goes_on_with_the_same_key_on_other_ports() {
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
    fn somebodys_own_configuration_is_left_as_it_is() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(config_file(scratch.path()), "[server]\n").unwrap();
        let failure = Folder::prepare(scratch.path(), Ports::from(8090))
            .err()
            .unwrap();
        assert!(failure.to_string().contains("--dir"), "{failure}");
        let kept = fs::read_to_string(config_file(scratch.path())).unwrap();
        assert_eq!(kept, "[server]\n");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }
}
