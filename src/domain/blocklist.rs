//! Which invitations an administrator does not let out (INV-22).

use super::email::fold;
use super::homeservers::HomeserverPattern;
use super::ids::Mxid;
use super::invite::{RoomId, WEB_CLIENT};

/// What no invitation may come from, lead to or say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InviteBlocklist {
    /// Homeservers of senders.
    pub homeservers: Vec<HomeserverPattern>,
    /// Ids of rooms.
    pub rooms: Vec<String>,
    /// Words, case-folded, that may not be a part of any field.
    pub keywords: Vec<String>,
}

impl InviteBlocklist {
    /// Whether an invitation with these fields is to be refused. The location of
    /// the web client is a URL by its nature, and no words of a person (INV-05).
    pub fn refuses<'a>(
        &self,
        room: &RoomId,
        sender: &Mxid,
        fields: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> bool {
        let server = sender.server_name();
        let from = self
            .homeservers
            .iter()
            .any(|pattern| pattern.matches(server));
        let to = self.rooms.iter().any(|blocked| blocked == room.as_str());
        let says = |text: &str| {
            let text = fold(text);
            self.keywords
                .iter()
                .any(|word| text.contains(word.as_str()))
        };
        let mut said = fields.filter(|(name, _)| *name != WEB_CLIENT);
        from || to || (!self.keywords.is_empty() && said.any(|(_, text)| says(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuses(list: &InviteBlocklist, room: &str, sender: &str, field: (&str, &str)) -> bool {
        let (room, sender) = (RoomId::parse(room).unwrap(), Mxid::parse(sender).unwrap());
        list.refuses(&room, &sender, [field].into_iter())
    }

    #[test]
    fn inv_22_homeservers_rooms_and_keywords() {
        let list = InviteBlocklist {
            homeservers: vec!["*.spam.example".parse().unwrap()],
            rooms: vec!["!bad:a.example".to_owned()],
            keywords: vec!["strasse".to_owned(), "http".to_owned()],
        };
        let fine = ("room_name", "Tea");
        assert!(!refuses(&list, "!x:a.example", "@a:a.example", fine));
        assert!(refuses(&list, "!x:a.example", "@a:x.spam.example", fine));
        assert!(refuses(&list, "!bad:a.example", "@a:a.example", fine));
        for (field, refused) in [
            (("room_name", "Am STRAẞE"), true),
            (("further", "HTTP://x"), true),
            ((WEB_CLIENT, "https://app.example"), false),
        ] {
            let found = refuses(&list, "!x:a.example", "@a:a.example", field);
            assert_eq!(found, refused, "{field:?}");
        }
        let nothing = InviteBlocklist::default();
        assert!(!refuses(
            &nothing,
            "!bad:a.example",
            "@a:x.spam.example",
            fine
        ));
    }
}
