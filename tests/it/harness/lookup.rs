//! Every way to look up an address.

use serde_json::json;
use sydent::domain::lookup::{Pepper, sha256_hash};
use sydent::domain::threepid::ThreePid;

use super::TestServer;

/// The user that an address is bound to. All ways to look it up must agree.
pub async fn mxid_of(server: &TestServer, address: &str) -> Option<String> {
    let api = server.api();
    let one = api.lookup("email", address).await.ok();
    let one = one["mxid"].as_str().map(str::to_owned);
    let bulk = api.bulk_lookup(json!([["email", address]])).await.ok();
    assert_eq!(bulk["threepids"][0][2].as_str(), one.as_deref());
    let alice = server.account("@alice:example.org").await;
    let pepper = alice.hash_details().await.ok()["lookup_pepper"].clone();
    for (algorithm, entry) in [
        ("none", format!("{address} email")),
        ("sha256", hash(address, pepper.as_str().unwrap())),
    ] {
        let asked = json!({"algorithm": algorithm, "pepper": pepper, "addresses": [entry]});
        let found = alice.hashed_lookup(asked).await.ok();
        let found = found["mappings"][entry].as_str().map(str::to_owned);
        assert_eq!(found, one, "{algorithm}");
    }
    one
}

fn hash(address: &str, pepper: &str) -> String {
    let threepid = ThreePid::parse("email", address).unwrap();
    sha256_hash(&threepid, &Pepper::parse(pepper).unwrap())
}
