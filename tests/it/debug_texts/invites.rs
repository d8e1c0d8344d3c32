//! The values of invitations and notices.

use serde_json::json;
use sydent::actor::invites::{InviteMail, StoreInvite};
use sydent::actor::lookups::InviteSender;
use sydent::actor::notices::{NoticeHeard, WaitingInvites};
use sydent::actor::signer::SignAs;
use sydent::delivery::invitation::InvitationPayload;
use sydent::domain::email::CanonicalEmail;
use sydent::domain::ids::{KeyId, Mxid};
use sydent::domain::invite::{InviteFields, RoomId};
use sydent::domain::invite_key::InviteKey;
use sydent::domain::secret::InviteToken;
use sydent::flow::invite::Invitation;

use super::{SECRET, address, queued, signed, threepid};

fn alice() -> Mxid {
    Mxid::parse("@alice:example.org").unwrap()
}

fn room() -> RoomId {
    RoomId::parse("!room:example.org").unwrap()
}

fn token() -> InviteToken {
    InviteToken::parse(SECRET).unwrap()
}

fn said() -> InviteFields {
    let name = json!(SECRET);
    InviteFields::of([("room_name", &name)].into_iter())
}

fn invitation() -> Invitation {
    Invitation {
        email: CanonicalEmail::parse(&address()).unwrap(),
        room_id: room(),
        sender: alice(),
        verified: true,
        fields: said(),
        brand: "default".to_owned(),
        client: None,
    }
}

fn store_invite() -> StoreInvite {
    StoreInvite {
        token: token(),
        threepid: threepid(),
        room_id: room(),
        sender: alice(),
        key_id: KeyId::parse("ed25519:0").unwrap(),
        ephemeral_key: [0; 32],
        limits: Vec::new(),
        mail: InviteMail {
            id: "id".to_owned(),
            payload: InvitationPayload {
                address: address(),
                brand: String::new(),
                token: SECRET.to_owned(),
                private_key: InviteKey::from_seed([7; 32]),
                room_id: String::new(),
                sender: String::new(),
                verified: true,
                web_client: String::new(),
                fields: said(),
            },
            answer_until: 0,
            expires_at: 0,
            home: String::new(),
            home_until: 0,
        },
        now: 0,
    }
}

#[test]
fn sec_23_inv_14_invitations_show_no_secret_and_no_address() {
    for (name, shown) in [
        (
            "SignAs",
            format!(
                "{:?}",
                SignAs {
                    key_id: None,
                    object: signed(),
                }
            ),
        ),
        ("StoreInvite", format!("{:?}", store_invite())),
        ("Invitation", format!("{:?}", invitation())),
        (
            "InviteSender",
            format!(
                "{:?}",
                InviteSender { token: token() }
            ),
        ),
        (
            "NoticeHeard",
            format!(
                "{:?}",
                NoticeHeard {
                    message: queued(),
                    invites: vec![1],
                    keep: true,
                    now: 0,
                }
            ),
        ),
        (
            "WaitingInvites",
            format!(
                "{:?}",
                WaitingInvites {
                    threepid: threepid(),
                    mxid: alice(),
                    now: 0,
                }
            ),
        ),
    ] {
        assert!(shown.contains(name), "{name}: {shown}");
        assert!(!shown.contains(SECRET), "{name}: {shown}");
    }
}
