//! `[replication]` as a whole.

use std::fs;

use super::{Folder, LEAST};

const KEY: &str = "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI";

/// A folder with a certificate and its key in one file.
fn folder() -> Folder {
    let folder = Folder::new();
    let made = rcgen::generate_simple_self_signed(["example.org".to_owned()]).unwrap();
    let both = made.signing_key.serialize_pem() + &made.cert.pem();
    fs::write(folder.0.path().join("mesh.pem"), both).unwrap();
    folder
}

fn mesh(more: &str) -> String {
    format!(
        "{LEAST}[replication]\ncertificate = 'mesh.pem'\nprivate_key = 'mesh.pem'\n{more}\n\
         [replication.peers.'a.example']\npublic_key = '{KEY}'\n"
    )
}

/// INT-03
#[test]
fn peer_needs_only_a_public_key() {
    let config = folder().load(&mesh(""), &[]).unwrap();
    let replication = &config.replication;
    assert_eq!(replication.listen, None);
    assert_eq!(replication.push_every.as_secs(), 10);
    assert_eq!(replication.identity.as_ref().unwrap().chain.len(), 1);
    let (name, peer) = replication.peers.first_key_value().unwrap();
    assert_eq!(name.as_str(), "a.example");
    assert_eq!(peer.url, "https://a.example:1001");
    assert!(peer.authorities.is_empty());
    assert!(
        Folder::new()
            .load(LEAST, &[])
            .unwrap()
            .replication
            .identity
            .is_none()
    );
}

/// INT-03
#[test]
fn mesh_without_certificate_is_rejected() {
    for used in [
        "replication.listen = '[::1]:1'\n".to_owned(),
        format!("replication.peers.a.public_key = '{KEY}'\n"),
    ] {
        let found = Folder::new()
            .load(&format!("{LEAST}{used}"), &[])
            .unwrap_err();
        let shown = found.join("\n");
        assert_eq!(found.len(), 2, "{shown}");
        for key in ["replication.certificate", "replication.private_key"] {
            assert!(shown.contains(&format!("{key}: is missing")), "{shown}");
        }
    }
}

/// INT-03
#[test]
fn unsafe_mesh_settings_cause_warnings() {
    let warned = |more: &str, peers: bool| -> Vec<String> {
        let mut text = mesh(more);
        if !peers {
            text = text.split("[replication.peers").next().unwrap().to_owned();
        }
        let config = folder().load(&text, &[]).unwrap();
        let keys = config.warnings.iter().map(|warning| warning.key.clone());
        keys.filter(|key| key.starts_with("replication.") && !key.ends_with("_key"))
            .collect()
    };
    assert!(warned("", true).is_empty());
    let listening = "listen = '[::1]:1'";
    assert_eq!(warned(listening, true), ["replication.client_ca"]);
    let trusting = "listen = '[::1]:1'\nclient_ca = 'mesh.pem'";
    assert!(warned(trusting, true).is_empty());
    assert_eq!(warned(trusting, false), ["replication.peers"]);
}

#[cfg(unix)]
#[test]
fn world_readable_private_key_causes_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    for (mode, warned) in [(0o600, false), (0o644, true)] {
        let key = folder.0.path().join("mesh.pem");
        fs::set_permissions(key, fs::Permissions::from_mode(mode)).unwrap();
        let config = folder.load(&mesh(""), &[]).unwrap();
        let mut warnings = config.warnings.iter();
        let about_key = warnings.any(|warning| warning.key == "replication.private_key");
        assert_eq!(about_key, warned, "{mode:o}");
        assert!(!format!("{config:?}").contains("BEGIN PRIVATE"));
    }
}

/// INT-03
#[test]
fn key_id_that_a_sydent_rejects_is_warned_about() {
    let folder = folder();
    let seed = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";
    for (id, text, warned) in [
        ("0", mesh(""), false),
        ("a_1", mesh(""), true),
        ("a_1", LEAST.to_owned(), false),
    ] {
        let key = folder.0.path().join("signing.key");
        fs::write(key, format!("ed25519 {id} {seed}\n")).unwrap();
        let config = folder.load(&text, &[]).unwrap();
        let mut warnings = config.warnings.iter();
        let is_about_id = |text: String| text.contains(&format!("key id ed25519:{id}:"));
        let found = warnings.any(|warning| is_about_id(warning.to_string()));
        assert_eq!(found, warned, "{id}");
    }
}
