//! `sydent key rotate`: changes the key that signs.

use std::fs;
use std::path::Path;

use clap::Args;
use zeroize::Zeroizing;

use super::config_file::ConfigFile;
use super::failure::Failure;
use super::new_file;
use super::new_key::{generate, version};
use super::stdout::print;
use crate::config::{Config, SYDENT_KEY_ID};
use crate::domain::Invalid;
use crate::domain::ids::KeyId;
use crate::domain::key_file;
use crate::domain::public_key::PublicKey;
use crate::domain::signing::KeyRing;

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct Rotation {
    /// Add a new key that is valid, but does not sign yet.
    #[arg(long, conflicts_with = "activate")]
    prepare: bool,
    /// Sign with this key of the file, such as one that was prepared.
    #[arg(long, value_name = "KEY_ID", value_parser = key_id)]
    activate: Option<KeyId>,
    /// The version in the ID `ed25519:VERSION` of the new key: letters, digits and
    /// underscores [default: random].
    #[arg(long, value_name = "VERSION", value_parser = version, conflicts_with = "activate")]
    key_version: Option<String>,
    #[command(flatten)]
    file: ConfigFile,
}

impl Rotation {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let config = self.file.settings()?.into_config()?;
        let path = &config.server.signing_key_file;
        refuse_link(path)?;
        let report = new_file::change(path, |text| {
            let before = parse(text, path)?;
            let new_text = self.change(text)?;
            let after = parse(&new_text, path)?;
            Ok((new_text, self.report(&config, &before, &after)))
        });
        print(&report?)
    }

    fn change(&self, text: &str) -> Result<Zeroizing<String>, Failure> {
        if let Some(id) = &self.activate {
            return key_file::activated(text, id).ok_or_else(|| {
                Failure::new(format!(
                    "The key file has no key {id}; nothing was changed."
                ))
            });
        }
        let line = generate(self.key_version.as_deref())?;
        Ok(if self.prepare {
            key_file::with_valid(text, &line)
        } else {
            key_file::with_active(text, &line)
        })
    }

    fn report(&self, config: &Config, before: &KeyRing, after: &KeyRing) -> String {
        let file = config.server.signing_key_file.display();
        let (old, new) = (before.active().id(), after.active());
        if self.prepare {
            let Some((id, public)) = added(before, after) else {
                return format!("{file} was not changed.\n");
            };
            let for_peers = for_peers(config, &id, &public);
            return format!(
                "Added the key {id} to {file}; it does not sign yet.\n{for_peers}\
                 1. Copy the file to all instances, and back it up.\n\
                 2. Restart the instances one after the other.\n\
                 3. Run `sydent key rotate --activate {id}`, copy the file again, and restart \
                 again.\n"
            );
        }
        if old == new.id() {
            return format!(
                "The key {old} is the active one in {file} already; nothing was changed.\n"
            );
        }
        let for_peers = for_peers(config, new.id(), &new.public());
        format!(
            "The key {} signs after the next restart. The key {old} stays in {file}: what it has \
             signed stays valid. Back up the file.\n{for_peers}",
            new.id()
        )
    }
}

/// The key that was added.
fn added(before: &KeyRing, after: &KeyRing) -> Option<(KeyId, PublicKey)> {
    let mut keys = after.public_keys().into_iter();
    keys.find(|(id, _)| before.by_id(id).is_none())
}

/// What the administrators of the peers must do before the key signs.
fn for_peers(config: &Config, id: &KeyId, public: &PublicKey) -> String {
    if config.replication.peers.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "The peers of the mesh need the new public key: {}\n",
        public.to_base64()
    );
    if id.as_str() != SYDENT_KEY_ID {
        text.push_str(
            "A peer that is a Python Sydent accepts only the key id ed25519:0, and will reject every \
             push.\n",
        );
    }
    text
}

fn refuse_link(path: &Path) -> Result<(), Failure> {
    if fs::symlink_metadata(path).is_ok_and(|file| file.is_symlink()) {
        return Err(Failure::new(format!(
            "{} is a symbolic link, and so managed elsewhere; nothing was changed. Run `sydent key \
             generate` and insert the line where the file comes from.",
            path.display()
        )));
    }
    Ok(())
}

fn parse(text: &str, path: &Path) -> Result<KeyRing, Failure> {
    KeyRing::parse(text).map_err(|invalid| {
        Failure::new(format!(
            "{}: {invalid}; nothing was changed.",
            path.display()
        ))
    })
}

fn key_id(text: &str) -> Result<KeyId, Invalid> {
    KeyId::parse(text)
}
