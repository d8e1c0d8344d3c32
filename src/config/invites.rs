//! `[invites]`: invitations to rooms by address.

use serde::{Deserialize, Serialize};

use super::checker::Checker;
use crate::domain::blocklist::InviteBlocklist;
use crate::domain::email::fold;
use crate::domain::homeservers::HomeserverPattern;
use crate::domain::invite::{RoomId, web_client};
use crate::domain::redact::Redaction;

/// `[invites]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InviteSettings {
    /// How many characters of an address's local part are shown to the room (section
    /// 15.1).
    pub show_local_part: usize,
    /// How many characters of an address's domain are shown to the room.
    pub show_domain: usize,
    /// The web client that invitations link to by default.
    pub web_client: String,
    /// Further web clients that a homeserver may name (INV-05). The page gets the
    /// token and the key of the invitation.
    pub web_clients: Vec<String>,
    /// The subject of an invitation to a room, a template.
    pub subject_room: String,
    /// The subject of an invitation to a space, a template.
    pub subject_space: String,
    /// Keep invites in the database after their delivery to a homeserver.
    pub keep_delivered: bool,
    /// Homeservers whose users' invitations are rejected.
    pub blocked_homeservers: Vec<HomeserverPattern>,
    /// Rooms to which invitations are rejected.
    pub blocked_rooms: Vec<String>,
    /// Invitations with one of these words in any field are rejected.
    pub blocked_keywords: Vec<String>,
}

impl Default for InviteSettings {
    fn default() -> Self {
        Self {
            show_local_part: 3,
            show_domain: 3,
            web_client: "https://app.element.io".to_owned(),
            web_clients: Vec::new(),
            subject_room: SUBJECT_ROOM.to_owned(),
            subject_space: SUBJECT_SPACE.to_owned(),
            keep_delivered: false,
            blocked_homeservers: Vec::new(),
            blocked_rooms: Vec::new(),
            blocked_keywords: Vec::new(),
        }
    }
}

const SUBJECT_ROOM: &str =
    "{{ sender_display_name }} invited you to {{ room_name or \"a room\" }} on Matrix";
const SUBJECT_SPACE: &str =
    "{{ sender_display_name }} invited you to the space {{ room_name }} on Matrix";
const WEB_CLIENT: &str = "must be the URL of a web client, such as \"https://app.example.org\", \
    without a query or fragment (? or #)";

impl InviteSettings {
    /// Checks the settings, and folds keywords for comparison.
    pub(super) fn check(mut self, checker: &mut Checker<'_>) -> Self {
        checker.range("invites.show_local_part", self.show_local_part, 0..=64);
        checker.range("invites.show_domain", self.show_domain, 0..=255);
        match web_client(&self.web_client) {
            Some(client) => self.web_client = client,
            None => checker.error("invites.web_client", WEB_CLIENT),
        }
        for (index, client) in self.web_clients.iter_mut().enumerate() {
            match web_client(client) {
                Some(normalized) => *client = normalized,
                None => checker.error(&format!("invites.web_clients[{index}]"), WEB_CLIENT),
            }
        }
        for (key, subject) in [
            ("invites.subject_room", &self.subject_room),
            ("invites.subject_space", &self.subject_space),
        ] {
            let is_one_line = !subject.chars().any(char::is_control);
            if !is_one_line || subject.trim().is_empty() || subject.len() > 500 {
                checker.error(key, "must be one line of 1 to 500 bytes");
            }
        }
        for (index, room) in self.blocked_rooms.iter().enumerate() {
            if RoomId::parse(room).is_err() {
                checker.error(
                    &format!("invites.blocked_rooms[{index}]"),
                    "must be a room ID such as \"!room:example.org\"",
                );
            }
        }
        for (index, word) in self.blocked_keywords.iter_mut().enumerate() {
            *word = fold(word).into_owned();
            if word.trim().is_empty() {
                checker.error(
                    &format!("invites.blocked_keywords[{index}]"),
                    "must not be empty, which would block every invitation",
                );
            }
        }
        self
    }

    /// How much of an address is shown to the room.
    #[must_use]
    pub fn redaction(&self) -> Redaction {
        Redaction {
            local_part: self.show_local_part,
            domain: self.show_domain,
        }
    }

    /// The web client that an invitation links to, if the homeserver names `wanted`.
    #[must_use]
    pub fn web_client_for(&self, wanted: Option<&str>) -> &str {
        let listed = |wanted| self.web_clients.iter().find(|client| *client == wanted);
        wanted.and_then(listed).unwrap_or(&self.web_client)
    }

    /// The invitations to reject.
    #[must_use]
    pub fn blocklist(&self) -> InviteBlocklist {
        InviteBlocklist {
            homeservers: self.blocked_homeservers.clone(),
            rooms: self.blocked_rooms.clone(),
            keywords: self.blocked_keywords.clone(),
        }
    }
}
