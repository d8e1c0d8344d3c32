//! A Sydent with data of every kind, all of it created over HTTP.

use std::net::TcpListener;

use serde_json::json;

use crate::harness::{Api, Homeserver, TestDatabase, V2, fresh_address, shared_ca};
use crate::python::{OLD_TERMS, RealSydent, mail_server};

/// A Sydent and the data that was created in it.
pub struct Filled {
    pub sydent: RealSydent,
    pub homeserver: Homeserver,
    /// The access token of an account that accepted the terms.
    pub token: String,
    /// That account's user.
    pub user: String,
    /// The access token of an account that did not accept them.
    pub without_terms: String,
    /// Addresses with the users that they are bound to, in lower case.
    pub bound: Vec<(String, String)>,
    /// Addresses whose binding was removed.
    pub unbound: Vec<String>,
    /// What `store-invite` answered, with the address that was invited.
    pub invites: Vec<(String, serde_json::Value)>,
    /// A validation session that is not validated yet.
    pub open: Session,
    /// A validated session that was not used yet.
    pub validated: Session,
}

/// A validation session with its secret and code.
pub struct Session {
    pub sid: String,
    pub client_secret: String,
    pub address: String,
    pub code: String,
}

/// Starts a Sydent and fills it.
pub async fn fill() -> Filled {
    let sydent = RealSydent::start(|_| ()).await;
    let homeserver = reachable_homeserver();
    let alice = homeserver.user("alice");
    let client = account(&sydent, &homeserver, "alice").await;
    assert_eq!(
        client.account().await.status,
        403,
        "the terms are not accepted yet"
    );
    client.accept(vec![OLD_TERMS]).await.ok();
    assert_eq!(client.account().await.ok()["user_id"], alice.as_str());
    let without_terms = account(&sydent, &homeserver, "bob").await;

    // Validated by mail and bound, in mixed case.
    let mut bound = Vec::new();
    let mixed = fresh_address("Mixed.Case");
    let session = validated(&client, &mixed).await;
    client
        .bind(&session.sid, &session.client_secret, &alice)
        .await
        .ok();
    bound.push((mixed.to_lowercase(), alice.clone()));

    // Bound over the internal API: one is rebound, two are removed.
    let internal = sydent.internal();
    for name in ["carol", "DAVE", "erin"] {
        let (address, user) = (fresh_address(name), homeserver.user(&name.to_lowercase()));
        internal.internal_bind("email", &address, &user).await.ok();
        bound.push((address.to_lowercase(), user));
    }
    let rebound = fresh_address("moving");
    for name in ["first", "second"] {
        internal
            .internal_bind("email", &rebound, &homeserver.user(name))
            .await
            .ok();
    }
    bound.push((rebound, homeserver.user("second")));
    internal
        .internal_bind("msisdn", "447700900123", &homeserver.user("phone"))
        .await
        .ok();
    let mut unbound = Vec::new();
    for name in ["gone", "Away"] {
        let (address, user) = (fresh_address(name), homeserver.user("left"));
        internal.internal_bind("email", &address, &user).await.ok();
        internal
            .internal_unbind("email", &address, &user)
            .await
            .ok();
        unbound.push(address.to_lowercase());
    }

    // Invitations: one is pending, one is delivered by a binding.
    let mut invites = Vec::new();
    for name in ["Guest", "redeemed"] {
        let address = fresh_address(name);
        let fields = json!({"medium": "email", "address": address, "room_id": "!room:hs.test", "sender": alice});
        invites.push((
            address.to_lowercase(),
            client.store_invite(fields).await.ok(),
        ));
    }
    let redeemed = (invites[1].0.clone(), homeserver.user("guest"));
    internal
        .internal_bind("email", &redeemed.0, &redeemed.1)
        .await
        .ok();
    bound.push(redeemed);
    // Sydent has notified the homeserver.
    crate::harness::wait_until("an onbind notification", || {
        !homeserver.onbinds().is_empty()
    })
    .await;

    let open = requested(&client, &fresh_address("open")).await;
    let validated = validated(&client, &fresh_address("validated")).await;
    Filled {
        token: client.token().to_owned(),
        user: alice,
        without_terms: without_terms.token().to_owned(),
        sydent,
        homeserver,
        bound,
        unbound,
        invites,
        open,
        validated,
    }
}

/// A homeserver that is reachable by its name alone, since Sydent has no static
/// addresses.
fn reachable_homeserver() -> Homeserver {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = listener.local_addr().unwrap().to_string();
    drop(listener);
    Homeserver::with_certificate(&name, "127.0.0.1", &name, shared_ca())
}

async fn account(sydent: &RealSydent, homeserver: &Homeserver, user: &str) -> Api {
    let answer = sydent.api().register(homeserver.open_id(user)).await.ok();
    let token = answer["token"].as_str().unwrap();
    sydent.api().with_token(token)
}

async fn requested(client: &Api, address: &str) -> Session {
    let client_secret = fresh_address("secret").replace('@', "-");
    let answer = client.request_token(address, &client_secret, 1).await.ok();
    Session {
        sid: answer["sid"]
            .as_str()
            .map_or_else(|| answer["sid"].to_string(), str::to_owned),
        client_secret,
        address: address.to_owned(),
        code: mail_server().mail_to(address).await.token(),
    }
}

async fn validated(client: &Api, address: &str) -> Session {
    let session = requested(client, address).await;
    let path = format!("{V2}/validate/email/submitToken");
    let body =
        json!({"sid": session.sid, "client_secret": session.client_secret, "token": session.code});
    let answer = client.post(&path, body).await.ok();
    assert_eq!(answer["success"], true);
    session
}

#[actix_web::test]
async fn real_sydent_keeps_its_data_after_a_restart() {
    let mut filled = fill().await;
    let conf = std::fs::read(filled.sydent.configuration()).unwrap();
    filled.sydent.restart().await;
    assert_eq!(std::fs::read(filled.sydent.configuration()).unwrap(), conf);
    let url = format!("sqlite:{}", filled.sydent.database().display());
    let accounts = TestDatabase::existing(&url).count("accounts");
    assert_eq!(accounts, 2);
    assert!(filled.user.ends_with(filled.homeserver.name.as_str()));
    let api = filled.sydent.api();
    for (address, user) in &filled.bound {
        let found = api.lookup("email", address).await.ok();
        assert_eq!(found["mxid"], user.as_str(), "{found}");
    }
    for address in &filled.unbound {
        assert_eq!(api.lookup("email", address).await.ok(), json!({}));
    }
    let client = filled.sydent.api().with_token(&filled.token);
    assert_eq!(client.account().await.ok()["user_id"], filled.user.as_str());
    let without_terms = filled.sydent.api().with_token(&filled.without_terms);
    without_terms
        .account()
        .await
        .refused(403, "M_TERMS_NOT_SIGNED");
    let Filled {
        open, validated, ..
    } = &filled;
    let answer = client.get_validated(&open.sid, &open.client_secret).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    let session = client
        .get_validated(&validated.sid, &validated.client_secret)
        .await
        .ok();
    assert_eq!(session["address"], validated.address.as_str());
    let keys = filled
        .invites
        .iter()
        .map(|(_, invite)| &invite["public_keys"][1]["public_key"]);
    for key in keys {
        let key = crate::harness::encode(&[("public_key", key.as_str().unwrap())]);
        let path = format!("{V2}/pubkey/ephemeral/isvalid?{key}");
        assert_eq!(api.get(&path).await.ok(), json!({"valid": true}));
    }
}
