//! `sydent peers`: the replication status of each peer, and the public key that
//! peers need.

use std::time::Duration;

use clap::Args;

use super::config_file::ConfigFile;
use super::failure::Failure;
use super::stdout::{print, shown};
use crate::clock::Clock;
use crate::config::Config;
use crate::server::peers::{self, PeerState};

/// The options of `sydent peers`.
#[derive(Debug, Args)]
pub(super) struct Peers {
    #[command(flatten)]
    file: ConfigFile,
}

impl Peers {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let config = self.file.settings()?.into_config()?;
        let states = peers::states(&config)?;
        let (key, id) = peers::public_key(&config)?;
        let own = format!(
            "{} (this server)\n  {:<16}{} ({id})\n",
            config.server.name,
            "public key",
            key.to_base64(),
        );
        let states = report(&config, &states, Clock::system().now().as_i64());
        print(&(own + &states))
    }
}

fn report(config: &Config, states: &[PeerState], now: i64) -> String {
    let configured = &config.replication.peers;
    let mut lines = Vec::new();
    for (name, peer) in configured {
        lines.push(name.to_string());
        let mut line =
            |label: &str, value: &str| lines.push(format!("  {label:<16}{}", shown(value)));
        line("URL", &peer.url);
        match states.iter().find(|state| state.peer.name == name.as_str()) {
            Some(state) => describe(state, now, &mut line),
            None => line("behind", "everything: no server has pushed to it yet"),
        }
    }
    for state in states {
        let name = &state.peer.name;
        if !configured.keys().any(|peer| peer.as_str() == name) {
            lines.push(shown(name));
            lines.push("  not in the configuration: nothing is pushed to it".to_owned());
        }
    }
    if lines.is_empty() {
        lines.push("The configuration contains no peers.".to_owned());
    }
    lines.push(String::new());
    lines.join("\n")
}

fn describe(state: &PeerState, now: i64, line: &mut impl FnMut(&str, &str)) {
    let peer = &state.peer;
    let ago = |at: Option<i64>| at.map_or_else(|| "never".to_owned(), |at| ago(at, now));
    let behind = match (state.behind, state.since) {
        (0, _) => "nothing".to_owned(),
        (1, since) => format!("1 change, made {}", ago(since)),
        (changes, since) => format!("{changes} changes, the oldest made {}", ago(since)),
    };
    line("behind", &behind);
    line("last sent", &ago(peer.sent_at));
    line("last received", &ago(peer.received_at));
    if peer.skipped > 0 {
        let number = &peer.skipped_number;
        let skipped = match peer.skipped {
            1 => format!("1 change of this peer that is not valid: number {number}"),
            count => format!("{count} changes of this peer that are not valid, last {number}"),
        };
        line("skipped", &skipped);
    }
    if peer.tries > 0 {
        line("failed attempts", &peer.tries.to_string());
    }
    if let Some(error) = &peer.last_error {
        line("last error", error);
        let wait = u64::try_from(peer.due_at.saturating_sub(now)).unwrap_or(0);
        line("next attempt", &format!("in {}", seconds(wait)));
    }
}

fn ago(at: i64, now: i64) -> String {
    let passed = u64::try_from(now.saturating_sub(at)).unwrap_or(0);
    format!("{} ago", seconds(passed))
}

fn seconds(ms: u64) -> String {
    humantime::format_duration(Duration::from_secs(ms / 1000)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::peers::Peer;

    #[test]
    fn skipped_changes_are_shown() {
        for (skipped, shown) in [
            (0, None),
            (
                1,
                Some("1 change of this peer that is not valid: number 42"),
            ),
            (
                3,
                Some("3 changes of this peer that are not valid, last 42"),
            ),
        ] {
            let state = PeerState {
                peer: Peer {
                    name: "peer.test".to_owned(),
                    sent_id: 0,
                    sent_at: None,
                    received_at: Some(1),
                    tries: 0,
                    last_error: None,
                    due_at: 0,
                    skipped,
                    skipped_number: "42".to_owned(),
                },
                behind: 0,
                since: None,
            };
            let mut found = None;
            describe(&state, 5, &mut |label, value| {
                if label == "skipped" {
                    found = Some(value.to_owned());
                }
            });
            assert_eq!(found.as_deref(), shown);
        }
    }
}
