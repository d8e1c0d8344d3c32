//! `sydent key rotate`, with the real binary.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use serde_json::{Value, json};
use sydent::domain::ids::KeyId;
use sydent::domain::public_key::PublicKey;
use sydent::domain::signing;
use tempfile::TempDir;

use crate::harness::{
    Api, CommandOutput, Homeserver, SERVER_NAME, TestDatabase, TestProcess, V2, encode,
    fresh_address, mode,
};
use crate::onbind;

const ROTATE: &str = "key rotate --config sydent.toml";

/// The configuration of a server that has bound an address, and the address.
async fn used(database: &TestDatabase) -> (TempDir, String) {
    let server = TestProcess::start(database, |_settings| {});
    let address = fresh_address("before");
    bind(&server, &address).await;
    (server.stop(), address)
}

async fn bind(server: &TestProcess, address: &str) -> Value {
    let internal = server.internal();
    let bound = internal.internal_bind("email", address, "@alice:example.org");
    bound.await.ok()
}

fn key_file(folder: &TempDir) -> PathBuf {
    let text = fs::read_to_string(folder.path().join("sydent.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    table["server"]["signing_key_file"].as_str().unwrap().into()
}

fn run(folder: &TempDir, command: &str) -> CommandOutput {
    CommandOutput::run(folder.path(), command)
}

/// The IDs of the keys that have signed, all of which the server calls valid.
async fn signers(api: &Api, signed: &Value) -> Vec<String> {
    let signatures = signed["signatures"][SERVER_NAME].as_object().unwrap();
    for id in signatures.keys() {
        let path = format!("{V2}/pubkey/{}", id.replace(':', "%3A"));
        let key = api.get(&path).await.ok()["public_key"].clone();
        let key = key.as_str().unwrap().to_owned();
        let query = encode(&[("public_key", &key)]);
        let valid = api.get(&format!("{V2}/pubkey/isvalid?{query}")).await.ok();
        assert_eq!(valid, json!({"valid": true}));
        let (id, key) = (
            KeyId::parse(id).unwrap(),
            PublicKey::from_base64(&key).unwrap(),
        );
        let object = signed.as_object().unwrap();
        assert!(signing::verify(object, SERVER_NAME, &id, &key));
    }
    signatures.keys().cloned().collect()
}

/// CRY-10, CRY-12
#[actix_web::test]
async fn rotated_key_signs_and_the_old_stays_valid() {
    let database = TestDatabase::fresh();
    let (folder, before) = used(&database).await;
    let file = key_file(&folder);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    for (old, new) in [("0", "second"), ("second", "third")] {
        let output = run(&folder, &format!("{ROTATE} --key-version {new}"));
        assert_eq!(output.code, 0, "{}", output.err);
        let says = format!(
            "The key ed25519:{new} signs after the next restart. The key ed25519:{old} stays"
        );
        assert!(output.out.contains(&says), "{}", output.out);
        assert_eq!(mode(&file), 0o400);
    }
    let lines = fs::read_to_string(&file).unwrap();
    assert!(lines.starts_with("ed25519 third ") && lines.lines().count() == 3);
    let server = TestProcess::start_in(folder);
    let bound = bind(&server, &fresh_address("after")).await;
    assert_eq!(signers(&server.api(), &bound).await, ["ed25519:third"]);
    let found = server.api().lookup("email", &before).await.ok();
    assert_eq!(signers(&server.api(), &found).await, ["ed25519:0"]);
}

/// CRY-10, ONB-07, ONB-16
#[actix_web::test]
async fn invites_keep_their_key_after_a_rotation() {
    let hs = Homeserver::start();
    let database = TestDatabase::fresh();
    let server = TestProcess::start(&database, |settings| onbind::configure(&hs, settings));
    let address = fresh_address("invited");
    let room = onbind::invite(&server.api(), &address, "@bob:example.org").await;
    let folder = server.stop();
    let rotate = format!("{ROTATE} --key-version new");
    assert_eq!(run(&folder, &rotate).code, 0);
    let server = TestProcess::start_in(folder);
    let user = hs.user("alice");
    let (internal, api) = (server.internal(), server.api());
    internal.internal_bind("email", &address, &user).await.ok();
    let notification = onbind::notifications(&hs, 1).await.remove(0);
    let invite = &notification["invites"][0];
    onbind::expect_valid_invite(&api, &room, invite).await;
    assert_eq!(signers(&api, &invite["signed"]).await, ["ed25519:0"]);
    assert_eq!(signers(&api, &notification).await, ["ed25519:new"]);
}

/// CRY-12
#[actix_web::test]
async fn prepared_key_is_valid_before_it_signs() {
    let database = TestDatabase::fresh();
    let (folder, _before) = used(&database).await;
    let output = run(&folder, &format!("{ROTATE} --prepare --key-version new"));
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(
        output.out.contains("--activate ed25519:new"),
        "{}",
        output.out
    );
    let prepared = TestProcess::start_in(folder);
    let bound = bind(&prepared, &fresh_address("prepared")).await;
    assert_eq!(signers(&prepared.api(), &bound).await, ["ed25519:0"]);
    // Another instance, which signs with it already.
    let file = fs::read_to_string(key_file_of(&prepared)).unwrap();
    let other = crate::harness::configured(&database, |_settings| {});
    fs::write(key_file(&other), file).unwrap();
    let activate = format!("{ROTATE} --activate ed25519:new");
    assert_eq!(run(&other, &activate).code, 0);
    let active = fs::read(key_file(&other)).unwrap();
    let again = run(&other, &activate);
    assert_eq!(again.code, 0, "{}", again.err);
    let says = "The key ed25519:new is the active one";
    assert!(again.out.starts_with(says), "{}", again.out);
    assert!(again.out.ends_with("already; nothing was changed.\n"));
    assert_eq!(fs::read(key_file(&other)).unwrap(), active);
    let activated = TestProcess::start_in(other);
    let bound = bind(&activated, &fresh_address("activated")).await;
    for server in [&prepared, &activated] {
        assert_eq!(signers(&server.api(), &bound).await, ["ed25519:new"]);
    }
}

fn key_file_of(server: &TestProcess) -> PathBuf {
    let table: toml::Table = server.configuration().parse().unwrap();
    table["server"]["signing_key_file"].as_str().unwrap().into()
}

/// CRY-12
#[test]
fn rotation_refuses_what_it_cannot_keep() {
    let database = TestDatabase::fresh();
    let folder = crate::harness::configured(&database, |_settings| {});
    let file = key_file(&folder);
    let before = fs::read_to_string(&file).unwrap();
    let refused = |arguments: &str, reason: &str| {
        let output = run(&folder, &format!("{ROTATE} {arguments}"));
        assert_eq!(output.code, 1, "{}", output.out);
        assert!(output.err.contains(reason), "{}", output.err);
        assert_eq!(fs::read_to_string(&file).unwrap(), before);
    };
    refused("--activate ed25519:other", "has no key ed25519:other");
    refused("--key-version 0", "two keys with the same id");
    let mut started = file.clone().into_os_string();
    started.push(".new");
    fs::write(&started, "").unwrap();
    refused("", "another command is changing");
    fs::remove_file(&started).unwrap();
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    symlink(&elsewhere, &file).unwrap();
    refused("", "is a symbolic link, and so managed elsewhere");
}

/// CRY-12
#[test]
fn concurrent_rotations_lose_no_key() {
    let database = TestDatabase::fresh();
    let folder = crate::harness::configured(&database, |_settings| {});
    let rotations = std::thread::scope(|scope| {
        let running: Vec<_> = (0..8)
            .map(|number| {
                let folder = &folder;
                scope.spawn(move || {
                    let version = format!("number_{number}");
                    let command = format!("{ROTATE} --key-version {version}");
                    (version, run(folder, &command))
                })
            })
            .collect();
        let ended = running.into_iter().map(|running| running.join().unwrap());
        ended.collect::<Vec<_>>()
    });
    let keys = fs::read_to_string(key_file(&folder)).unwrap();
    let has = |version: &str| keys.contains(&format!("ed25519 {version} "));
    assert!(has("0"));
    for (version, output) in &rotations {
        assert_eq!(has(version), output.code == 0, "{version}: {}", output.err);
        let refused = output.err.contains("another command is changing");
        assert!(output.code == 0 || refused, "{}", output.err);
    }
    assert!(rotations.iter().any(|(_, output)| output.code == 0));
}
