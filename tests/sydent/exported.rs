//! The way back: `sydent export sydent`, opened by a real Sydent and imported again.

use serde_json::{Value, json};
use sydent::domain::lookup::{Pepper, hash};

use crate::harness::{Api, V2, encode, fresh_address, wait_until};
use crate::python::RealSydent;

use super::filled::fill;
use super::taken_over::import_sydent;

/// The users that a lookup by hash finds.
async fn found(api: &Api, token: &str, addresses: &[String]) -> Vec<Value> {
    let client = api.clone().with_token(token);
    let details = client.hash_details().await.ok();
    let pepper = details["lookup_pepper"].as_str().unwrap();
    let hashes: Vec<String> = addresses
        .iter()
        .map(|address| hash(address, "email", &Pepper::parse(pepper).unwrap()))
        .collect();
    let body = json!({"addresses": hashes, "algorithm": "sha256", "pepper": pepper});
    let answer = client.hashed_lookup(body).await.ok();
    hashes
        .iter()
        .map(|hash| answer["mappings"][hash].clone())
        .collect()
}

/// OPS-07
#[actix_web::test]
async fn sydent_continues_with_an_exported_database() {
    let mut filled = fill().await;
    filled.sydent.stop();
    let old = filled.sydent.database();
    let (mut server, database) = import_sydent(&filled.sydent, &old).start();

    // What happens at the new server: bindings, also of an odd mailbox, and removals.
    let internal = server.internal();
    let mut expected: Vec<(String, Value)> = Vec::new();
    for (index, (address, user)) in filled.bound.iter().enumerate() {
        if index == 0 {
            internal.internal_unbind("email", address, user).await.ok();
            expected.push((address.clone(), Value::Null));
        } else {
            expected.push((address.clone(), json!(user)));
        }
    }
    let punycode = format!("x{}", fresh_address("p").replace('@', "@xn--bcher-kva."));
    let odd = fresh_address("odd..one");
    for address in [&punycode, &odd, &filled.unbound[0]] {
        internal
            .internal_bind("email", address, "@new:hs.test")
            .await
            .ok();
        expected.push((address.clone(), json!("@new:hs.test")));
    }
    expected.push((filled.unbound[1].clone(), Value::Null));
    let client = server.api().with_token(&filled.token);
    let invited = fresh_address("late");
    let fields = json!({"medium": "email", "address": invited, "room_id": "!new:hs.test",
        "sender": filled.user});
    let invite = client.store_invite(fields).await.ok();
    let (addresses, users): (Vec<String>, Vec<Value>) = expected.into_iter().unzip();
    assert_eq!(found(&server.api(), &filled.token, &addresses).await, users);
    server.kill();

    let folder = tempfile::tempdir().unwrap();
    let back = folder.path().join("back.db");
    let export = format!(
        "export sydent --config sydent.toml --out {} --tokens-from {}",
        back.display(),
        old.display()
    );
    let output = server.command(&export);
    assert_eq!(output.code, 0, "{}{}", output.out, output.err);
    assert!(server.command(&export).err.contains("already exists"));
    let conf = std::fs::read_to_string(back.with_extension("db.conf")).unwrap();
    let key = conf
        .lines()
        .find_map(|line| line.strip_prefix("ed25519.signingkey = "));

    let sydent = RealSydent::start_on(
        |path| {
            std::fs::copy(&back, path).unwrap();
        },
        |conf| {
            let key = key.unwrap().to_owned();
            conf.get_mut("crypto")
                .unwrap()
                .insert("ed25519.signingkey".to_owned(), key);
        },
    )
    .await;
    assert_eq!(found(&sydent.api(), &filled.token, &addresses).await, users);
    for (address, user) in addresses
        .iter()
        .zip(&users)
        .filter(|(address, _)| **address != punycode)
    {
        let answer = sydent.api().lookup("email", address).await.ok();
        assert_eq!(
            answer.get("mxid").unwrap_or(&Value::Null),
            user,
            "{address}"
        );
    }
    let client = sydent.api().with_token(&filled.token);
    assert_eq!(client.account().await.ok()["user_id"], filled.user.as_str());
    let without_terms = sydent.api().with_token(&filled.without_terms);
    assert_eq!(without_terms.account().await.status, 403);
    for invite in [&invite, &filled.invites[0].1] {
        let key = &invite["public_keys"][1]["public_key"];
        let query = encode(&[("public_key", key.as_str().unwrap())]);
        let path = format!("{V2}/pubkey/ephemeral/isvalid?{query}");
        assert_eq!(sydent.api().get(&path).await.ok(), json!({"valid": true}));
    }

    // It works: it removes a binding of the new server, and delivers its invite.
    let internal = sydent.internal();
    internal
        .internal_unbind("email", &odd, "@new:hs.test")
        .await
        .ok();
    let answer = sydent.api().lookup("email", &odd).await.ok();
    assert_eq!(answer, json!({}));
    let before = filled.homeserver.onbinds().len();
    let guest = filled.homeserver.user("late");
    internal.internal_bind("email", &invited, &guest).await.ok();
    wait_until("an onbind notification", || {
        filled.homeserver.onbinds().len() > before
    })
    .await;

    // And forth again.
    drop(database);
    let (server, _database) = import_sydent(&sydent, &sydent.database()).start();
    let mut users = users;
    let at = addresses
        .iter()
        .position(|address| *address == odd)
        .unwrap();
    users[at] = Value::Null;
    assert_eq!(found(&server.api(), &filled.token, &addresses).await, users);
    let found = found(&server.api(), &filled.token, &[invited]).await;
    assert_eq!(found, [json!(guest)]);
}
