//! The `Debug` output of the values that pass through the server. It may end up in
//! a log or an error, so it contains no secret and no address (SEC-23).

use serde_json::{Map, json};
use sydent::actor::associations::{Bind, OnbindNotification};
use sydent::actor::invites::{InviteMail, StoreInvite};
use sydent::actor::lookups::InviteSender;
use sydent::actor::onbind::{CompleteNotification, FindPendingInvites};
use sydent::actor::sessions::{BeginSession, MessageDraft, SubmitToken, ValidatedSession};
use sydent::actor::signer::{Sign, SignAs};
use sydent::db::outbox::QueuedMessage;
use sydent::delivery::invitation::InvitationPayload;
use sydent::domain::association::Association;
use sydent::domain::email::CanonicalEmail;
use sydent::domain::ids::{KeyId, Mxid};
use sydent::domain::invite::{InviteFields, RoomId};
use sydent::domain::invite_key::InviteKey;
use sydent::domain::message::{InstanceId, MessageId, MessageKind};
use sydent::domain::next_link::{NextLink, NextLinkRules};
use sydent::domain::public_key::PublicKey;
use sydent::domain::secret::{ClientSecret, InviteToken, Sid, Token};
use sydent::domain::session::{Session, State, SubmitOutcome};
use sydent::domain::session_secrets::{HashKey, TokenHashes};
use sydent::domain::stored_link::StoredLink;
use sydent::domain::threepid::{Medium, ThreePid};
use sydent::domain::time::UnixMillis;
use sydent::flow::invite::Invitation;
use sydent::flow::validate::{RequestToken, Target};

/// Part of every secret and address in these tests.
const SECRET: &str = "hunter2";

fn address() -> String {
    format!("{SECRET}@example.com")
}

fn threepid() -> ThreePid {
    ThreePid::parse("email", &address()).unwrap()
}

fn client_secret() -> ClientSecret {
    ClientSecret::parse(SECRET).unwrap()
}

fn sid() -> Sid {
    Sid::parse(SECRET).unwrap()
}

fn token() -> Token {
    Token::parse(SECRET).unwrap()
}

fn next_link() -> NextLink {
    let rules = NextLinkRules {
        own_hosts: Vec::new(),
        schemes: vec!["https".to_owned()],
        hosts: Vec::new(),
    };
    NextLink::parse(&format!("https://a.example/?token={SECRET}"), &rules).unwrap()
}

fn stored_link() -> StoredLink {
    StoredLink::from_stored(next_link().as_str().to_owned())
}

fn session() -> Session {
    Session {
        sid: sid(),
        threepid: threepid(),
        client_secret: hash_key().client_secret(&client_secret()),
        tokens: TokenHashes::new(hash_key().token(&sid(), &client_secret(), &token())),
        send_attempt: Some(1),
        next_link: Some(stored_link()),
        state: State::Validated { at: 0 },
    }
}

fn hash_key() -> HashKey {
    HashKey::new([7; 32])
}

fn begin_session() -> BeginSession {
    BeginSession {
        threepid: threepid(),
        client_secret: client_secret(),
        send_attempt: 1,
        next_link: Some(next_link()),
        fresh_sid: sid(),
        fresh_token: token(),
        limits: Vec::new(),
        message: MessageDraft {
            id: MessageId::from("id".to_owned()),
            brand: "default".to_owned(),
            ip: String::new(),
            answer_until: UnixMillis::EPOCH,
            affinity_instance: InstanceId::none(),
        },
        now: 0,
    }
}

fn queued() -> QueuedMessage {
    QueuedMessage {
        id: MessageId::from("id".to_owned()),
        kind: MessageKind::Mail,
        payload: format!("{{\"address\": \"{}\"}}", address()),
        subject: SECRET.to_owned(),
        send_attempt: 1,
        previous_attempt: None,
        limits: SECRET.to_owned(),
        tries: 0,
        created_at: UnixMillis::EPOCH,
        due_at: UnixMillis::EPOCH,
        answer_until: UnixMillis::EPOCH,
        expires_at: UnixMillis::EPOCH,
        affinity_instance: InstanceId::none(),
        acknowledged: false,
        lease_owner: InstanceId::none(),
        lease_until: UnixMillis::EPOCH,
    }
}

fn signed() -> Map<String, serde_json::Value> {
    let object = json!({"address": address(), "medium": "email", SECRET: SECRET});
    object.as_object().unwrap().clone()
}

fn alice() -> Mxid {
    Mxid::parse("@alice:example.org").unwrap()
}

fn room() -> RoomId {
    RoomId::parse("!room:example.org").unwrap()
}

fn invite_fields() -> InviteFields {
    let name = json!(SECRET);
    InviteFields::from_request([("room_name", &name)].into_iter())
}

fn invitation() -> Invitation {
    Invitation {
        email: CanonicalEmail::parse(&address()).unwrap(),
        room_id: room(),
        sender: alice(),
        verified: true,
        fields: invite_fields(),
        brand: "default".to_owned(),
        client: None,
    }
}

fn store_invite() -> StoreInvite {
    StoreInvite {
        token: InviteToken::parse(SECRET).unwrap(),
        threepid: threepid(),
        room_id: room(),
        sender: alice(),
        key_id: KeyId::parse("ed25519:0").unwrap(),
        ephemeral_key: PublicKey::from_bytes([0; 32]),
        limits: Vec::new(),
        mail: InviteMail {
            id: MessageId::from("id".to_owned()),
            payload: InvitationPayload {
                address: address(),
                brand: String::new(),
                token: SECRET.to_owned(),
                private_key: InviteKey::from_seed([7; 32]),
                room_id: String::new(),
                sender: String::new(),
                verified: true,
                web_client: String::new(),
                fields: invite_fields(),
            },
            answer_until: UnixMillis::EPOCH,
            expires_at: UnixMillis::EPOCH,
            affinity_instance: InstanceId::none(),
        },
        now: 0,
    }
}

fn expect_no_secrets<const N: usize>(all: [(&str, String); N]) {
    for (name, output) in all {
        assert!(output.contains(name), "{name}: {output}");
        assert!(!output.contains(SECRET), "{name}: {output}");
    }
}

/// SEC-23
#[test]
fn debug_hides_session_secrets() {
    expect_no_secrets([
        ("NextLink", format!("{:?}", next_link())),
        ("StoredLink", format!("{:?}", stored_link())),
        ("Session", format!("{:?}", session())),
        ("BeginSession", format!("{:?}", begin_session())),
        ("QueuedMessage", format!("{:?}", queued())),
        ("Sign", format!("{:?}", Sign { object: signed() })),
        (
            "Validated",
            format!("{:?}", SubmitOutcome::Validated(session())),
        ),
        (
            "RequestToken",
            format!(
                "{:?}",
                RequestToken {
                    target: Target::Email(CanonicalEmail::parse(&address()).unwrap()),
                    client_secret: client_secret(),
                    send_attempt: 1,
                    next_link: Some(next_link()),
                    brand: "default".to_owned(),
                    client: None,
                    account: None,
                }
            ),
        ),
        (
            "SubmitToken",
            format!(
                "{:?}",
                SubmitToken {
                    sid: sid(),
                    client_secret: client_secret(),
                    token: token(),
                    medium: Medium::Email,
                    now: 0,
                }
            ),
        ),
        (
            "ValidatedSession",
            format!(
                "{:?}",
                ValidatedSession {
                    sid: sid(),
                    client_secret: client_secret(),
                    now: 0,
                }
            ),
        ),
    ]);
}

/// SEC-23
#[test]
fn debug_hides_binding_and_invite_secrets() {
    let mxid = Mxid::parse("@alice:example.org").unwrap();
    expect_no_secrets([
        (
            "Bind",
            format!(
                "{:?}",
                Bind {
                    association: Association::new(threepid(), mxid, 0),
                    signed: signed(),
                    notification: OnbindNotification {
                        id: MessageId::from("id".to_owned()),
                        expires_at: UnixMillis::EPOCH,
                    },
                    limits: Vec::new(),
                    now: 0,
                }
            ),
        ),
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
                InviteSender {
                    token: InviteToken::parse(SECRET).unwrap(),
                }
            ),
        ),
        (
            "CompleteNotification",
            format!(
                "{:?}",
                CompleteNotification {
                    message: queued(),
                    invites: vec![1],
                    keep: true,
                    now: 0,
                }
            ),
        ),
        (
            "FindPendingInvites",
            format!(
                "{:?}",
                FindPendingInvites {
                    threepid: threepid(),
                    mxid: alice(),
                    now: 0,
                }
            ),
        ),
    ]);
}
