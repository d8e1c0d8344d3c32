//! `sydent config generate`: a first configuration from a few options.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::Failure;
use super::new_file::{FileAccess, create, replace};
use super::new_key;
use super::relay::Relay;
use crate::config::{BaseUrl, DatabaseUrl, Problems, Settings, mailbox, toml_text};
use crate::domain::ids::ServerName;

/// The options of `sydent config generate`.
#[derive(Debug, Args)]
pub(super) struct Generate {
    /// The server name in signatures of associations, such as `example.org`. It
    /// must never change.
    #[arg(long, value_name = "NAME")]
    server_name: ServerName,
    /// The public URL of the server, such as `https://id.example.org`.
    #[arg(long, value_name = "URL")]
    base_url: String,
    /// The SMTP relay for outgoing email; without one, nobody can validate an email
    /// address. Uses no TLS for a relay on this machine, TLS on connect for port
    /// 465, and STARTTLS otherwise.
    #[arg(long, value_name = "HOST[:PORT]")]
    smtp: Option<Relay>,
    /// The sender of emails, such as `Example <noreply@example.org>` [default:
    /// noreply at the server name].
    #[arg(long, value_name = "MAILBOX")]
    from: Option<String>,
    /// `sqlite:FILE`, `sqlite:///absolute/FILE` or
    /// `postgres://USER:PASSWORD@HOST/NAME`.
    #[arg(long, value_name = "URL", default_value = "sqlite:sydent.db")]
    database: String,
    /// The configuration file to write.
    #[arg(long, short, value_name = "FILE", default_value = "sydent.toml")]
    out: PathBuf,
    /// The signing key file to write [default: signing.key in the folder of the
    /// configuration file].
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Replace an existing configuration file. An existing key file is kept and
    /// used.
    #[arg(long)]
    force: bool,
}

impl Generate {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let key_file = self
            .key_file
            .clone()
            .unwrap_or_else(|| self.out.with_file_name("signing.key"));
        let folder = self
            .out
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(Failure::new(format!(
                "The folder {} does not exist; create it first.",
                folder.display()
            )));
        }
        let text = self.text(&key_file)?;
        self.check(&text)?;
        if self.out.exists() && !self.force {
            return Err(Failure::new(format!(
                "{} already exists; nothing was written. Use --force to replace it.",
                self.out.display()
            )));
        }
        if key_file.exists() {
            if !self.force {
                return Err(Failure::new(format!(
                    "{} already exists; nothing was written. Use --force to keep it and use it.",
                    key_file.display()
                )));
            }
        } else {
            create(&key_file, &new_key::generate(None)?, FileAccess::Owner)?;
        }
        let write = if self.force { replace } else { create };
        write(&self.out, &text, self.access())?;
        Settings::load(Some(&self.out), std::iter::empty())?.into_config()?;
        eprintln!(
            "Wrote {} and the signing key {}. Back up the key.\nNext: sydent config check \
             --config {}",
            self.out.display(),
            key_file.display(),
            self.out.display()
        );
        Ok(())
    }

    /// A PostgreSQL URL may contain a password.
    fn access(&self) -> FileAccess {
        match DatabaseUrl::parse(&self.database) {
            Ok(DatabaseUrl::Sqlite(_)) => FileAccess::Umask,
            _ => FileAccess::Owner,
        }
    }

    /// Checks the configuration before anything is written, except for the key
    /// file, which does not exist yet.
    fn check(&self, text: &str) -> Result<(), Failure> {
        let settings = Settings::parse(Some((&self.out, text)), std::iter::empty())?;
        let Err(Problems(mut problems)) = settings.into_config() else {
            return Ok(());
        };
        problems.retain(|problem| problem.key != "server.signing_key_file");
        let lines: Vec<String> = problems
            .iter()
            .map(|problem| format!("{}: {}.", problem.key, problem.message))
            .collect();
        if lines.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format!(
            "Nothing was written.\n{}",
            lines.join("\n")
        )))
    }

    /// The path of the key file for the configuration: relative when both files
    /// are in one folder, so that the folder can be moved.
    fn key_path(&self, key_file: &Path) -> Result<PathBuf, Failure> {
        match key_file.file_name() {
            Some(name) if key_file.parent() == self.out.parent() => Ok(PathBuf::from(name)),
            _ => std::path::absolute(key_file).map_err(|error| {
                Failure::new(format!("--key-file is not a usable path: {error}."))
            }),
        }
    }

    fn text(&self, key_file: &Path) -> Result<String, Failure> {
        let base_url = BaseUrl::parse(&self.base_url)
            .map_err(|invalid| Failure::new(format!("--base-url {invalid}.")))?;
        let quoted = toml_text::string;
        Ok(TEMPLATE
            .replace("{name}", &quoted(self.server_name.as_str()))
            .replace("{host}", self.server_name.host())
            .replace("{base_url}", &quoted(base_url.as_str()))
            .replace(
                "{key_file}",
                &quoted(&self.key_path(key_file)?.to_string_lossy()),
            )
            .replace("{database}", &quoted(&self.database))
            .replace("{email}", &self.email()?))
    }

    fn email(&self) -> Result<String, Failure> {
        let host = self.server_name.host();
        let from = match &self.from {
            Some(from) => from.clone(),
            None if is_ip(host) && self.smtp.is_some() => {
                return Err(Failure::new(
                    "--from is required when the server name is an IP address.",
                ));
            }
            None => format!("Identity server <noreply@{host}>"),
        };
        if mailbox(&from).is_none() {
            return Err(Failure::new(
                "--from must be an email address such as \"Identity server <noreply@example.org>\".",
            ));
        }
        let from = toml_text::string(&from);
        Ok(match &self.smtp {
            None => NO_EMAIL.replace("{from}", &from),
            Some(relay) => SMTP
                .replace("{from}", &from)
                .replace("{host}", &toml_text::string(relay.host()))
                .replace("{port}", &relay.port().to_string())
                .replace("{encryption}", relay.encryption()),
        })
    }
}

fn is_ip(host: &str) -> bool {
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

const TEMPLATE: &str = r#"# Configuration of a Matrix identity server. Run `sydent config check` after each
# change. Settings that are not listed have their defaults. Relative paths start at
# the folder of this file.

[server]
# The server name in signatures of associations. Clients and rooms store it: never
# change it.
name = {name}
# The public URL, usually that of a reverse proxy that terminates TLS and forwards
# requests to the address in [http].
public_base_url = {base_url}
# Keep it secret and back it up: without it, old signatures cannot be verified.
signing_key_file = {key_file}

[database]
# sqlite:FILE or postgres://USER:PASSWORD@HOST/NAME
url = {database}

[http]
listen = ["[::]:8090"]
# The reverse proxies whose X-Forwarded-For the server trusts: here those on this machine.
# Without them, all clients share the proxy's address and limits.
trusted_proxies = ["127.0.0.1", "::1"]

[v1]
# The deprecated API has no accounts: anyone could look up addresses in plain text. Only
# old clients need it.
lookup = false

[limits]
# Your own homeservers, such as ["{host}"]: their users look up as many addresses as
# they like. Name only servers on which not everyone can create accounts.
trusted_homeservers = []

[internal]
# Lets the homeserver and `sydent bind` on this machine bind any address to any
# user without a password. Use only loopback addresses, such as ["[::1]:8091"].
listen = []

[operations]
# /health, /ready and /metrics, such as ["127.0.0.1:8092"].
listen = []

{email}
[log]
# "text" for people, "json" for a log collector.
format = "text"
"#;

const SMTP: &str = r#"[email]
from = {from}
transport = "smtp"

[email.smtp]
host = {host}
port = {port}
# "starttls" (never falls back to plain text), "tls" (TLS on connect) or "none".
encryption = "{encryption}"
# For a relay that requires a login. The file contains only the password.
# username = "sydent"
# password_file = "smtp.password"
"#;

const NO_EMAIL: &str = r#"[email]
# The server sends no email, so nobody can validate an email address: it answers
# requests for a code with M_EMAIL_SEND_ERROR. To send email, set transport to
# "smtp", and set from and the relay.
transport = "none"
# from = {from}

# [email.smtp]
# host = "mail.example.org"
# encryption = "starttls"
"#;

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;

    use super::*;
    use crate::config::{Config, MailTransport};

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        generate: Generate,
    }

    const URL: &str = "https://id.example.org";

    fn generate(folder: &Path, base_url: &str, more: &[&str]) -> Result<(), Failure> {
        let out = folder.join("sydent.toml").display().to_string();
        let least = [
            "generate",
            "--server-name",
            "example.org",
            "--base-url",
            base_url,
            "--out",
            &out,
        ];
        Flags::parse_from(least.iter().chain(more)).generate.run()
    }

    fn config(folder: &Path) -> Config {
        let settings = Settings::load(Some(&folder.join("sydent.toml")), std::iter::empty());
        settings.unwrap().into_config().unwrap()
    }

    #[test]
    fn generated_configuration_passes_the_check() {
        let url = "postgres://id:pass\"word@db.example/sydent";
        let elsewhere = tempfile::tempdir().unwrap();
        let key = elsewhere.path().join("a key").display().to_string();
        for (more, is_smtp) in [
            (vec![], false),
            (
                vec![
                    "--smtp",
                    "mail.example.org:25",
                    "--from",
                    "\"A, B\" <a@b.example>",
                ],
                true,
            ),
            (vec!["--smtp", "localhost"], true),
            (vec!["--database", url, "--key-file", &key], false),
        ] {
            let folder = tempfile::tempdir().unwrap();
            generate(folder.path(), URL, &more).unwrap();
            let config = config(folder.path());
            assert_eq!(config.server.name.as_str(), "example.org");
            assert!(config.v1.enabled && !config.v1.lookup);
            assert_eq!(
                matches!(config.email.transport, MailTransport::Smtp(_)),
                is_smtp
            );
        }
    }

    #[test]
    fn invalid_flag_writes_nothing() {
        for (base_url, more, named) in [
            (
                "http://id.example.org",
                &[][..],
                "server.public_base_url: must start",
            ),
            ("id.example.org", &[], "--base-url must be a URL"),
            (
                URL,
                &["--database", "sydent.db"],
                "database.url: must start with sqlite:",
            ),
            (
                URL,
                &["--database", "sqlite:missing/sydent.db"],
                "database.url: must be a file in an existing folder",
            ),
            (
                URL,
                &["--from", "nobody"],
                "--from must be an email address",
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let failure = generate(folder.path(), base_url, more)
                .unwrap_err()
                .to_string();
            assert!(failure.contains(named), "{failure}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
            let missing = folder.path().join("missing");
            assert!(generate(&missing, URL, &[]).is_err());
        }
    }

    #[test]
    fn force_overwrites_the_config_but_not_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        generate(folder.path(), URL, &[]).unwrap();
        let (text, key) = (read("sydent.toml"), read("signing.key"));
        let smtp = ["--smtp", "mail.example.org"];
        assert!(generate(folder.path(), URL, &smtp).is_err());
        assert_eq!(read("sydent.toml"), text);
        generate(folder.path(), URL, &[&smtp[..], &["--force"]].concat()).unwrap();
        assert_ne!(read("sydent.toml"), text);
        assert_eq!(read("signing.key"), key);
        fs::remove_file(folder.path().join("sydent.toml")).unwrap();
        assert!(generate(folder.path(), URL, &[]).is_err());
        assert_eq!(read("signing.key"), key);
    }
}
