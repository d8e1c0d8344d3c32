//! Invitations that the administrator blocks (INV-22).

use super::email::fold;
use super::homeservers::HomeserverPattern;
use super::ids::Mxid;
use super::invite::{RoomId, WEB_CLIENT};
use super::shown_text::without_joiners;

/// The senders, rooms and words of blocked invitations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InviteBlocklist {
    /// Homeservers of blocked senders.
    pub homeservers: Vec<HomeserverPattern>,
    /// Ids of blocked rooms.
    pub rooms: Vec<String>,
    /// Case-folded words; a field that contains one blocks the invitation.
    pub keywords: Vec<String>,
}

impl InviteBlocklist {
    /// Whether an invitation with these fields is blocked. The location of the web
    /// client is not searched: it is a URL and not text of a user (INV-05).
    pub fn blocks<'a>(
        &self,
        room: &RoomId,
        sender: &Mxid,
        fields: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> bool {
        let server = sender.server_name();
        self.homeservers
            .iter()
            .any(|pattern| pattern.matches(server))
            || self.rooms.iter().any(|blocked| blocked == room.as_str())
            || fields
                .filter(|(name, _)| *name != WEB_CLIENT)
                .any(|(_, text)| self.has_keyword(text))
    }

    fn has_keyword(&self, text: &str) -> bool {
        if self.keywords.is_empty() {
            return false;
        }
        let text = without_joiners(text);
        let text = fold(&text);
        self.keywords
            .iter()
            .any(|word| text.contains(word.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(list: &InviteBlocklist, room: &str, sender: &str, field: (&str, &str)) -> bool {
        let (room, sender) = (RoomId::parse(room).unwrap(), Mxid::parse(sender).unwrap());
        list.blocks(&room, &sender, [field].into_iter())
    }

    /// INV-22
    #[test]
    fn blocks_homeservers_rooms_and_keywords() {
        let list = InviteBlocklist {
            homeservers: vec!["*.spam.example".parse().unwrap()],
            rooms: vec!["!bad:a.example".to_owned()],
            keywords: vec!["strasse".to_owned(), "http".to_owned()],
        };
        let fine = ("room_name", "Tea");
        assert!(!blocks(&list, "!x:a.example", "@a:a.example", fine));
        assert!(blocks(&list, "!x:a.example", "@a:x.spam.example", fine));
        assert!(blocks(&list, "!bad:a.example", "@a:a.example", fine));
        for (field, blocked) in [
            (("room_name", "Am STRAẞE"), true),
            (("further", "HTTP://x"), true),
            ((WEB_CLIENT, "https://app.example"), false),
        ] {
            let found = blocks(&list, "!x:a.example", "@a:a.example", field);
            assert_eq!(found, blocked, "{field:?}");
        }
        let nothing = InviteBlocklist::default();
        assert!(!blocks(
            &nothing,
            "!bad:a.example",
            "@a:x.spam.example",
            fine
        ));
    }
}
