//! `[email]` except invitations: the sender and the SMTP relay.

use super::ConfError;
use super::config_draft::ConfigDraft;
use super::sydent_settings::{Setting, SydentSettings};
use crate::config::{is_loopback, mailbox};
use crate::domain::ids::ServerName;

const SMTP: &str = "email.smtp";

pub(super) fn convert(
    sydent: &SydentSettings,
    server_name: &ServerName,
    draft: &mut ConfigDraft,
) -> Result<(), ConfError> {
    convert_sender(sydent, server_name, draft)?;
    let host = sydent.get("email", "email.smtphost")?;
    draft.set_with_comment(
        "email",
        "transport",
        "smtp",
        "the only transport that Sydent has",
    );
    draft.set(SMTP, "host", host.value.trim(), &host);
    let port = sydent.get("email", "email.smtpport")?;
    draft.set(SMTP, "port", port.as_int()?, &port);
    convert_encryption(sydent, &host, draft)?;
    convert_login(sydent, draft)?;
    let hostname = sydent.get("email", "email.hostname")?;
    if !hostname.value.is_empty() {
        draft.set(SMTP, "hello_name", hostname.value.trim(), &hostname);
    }
    let subject = sydent.get("email", "email.subject")?;
    draft.add_unsupported(
        &subject,
        "Sydent does not use it; the subject is in the template",
    );
    Ok(())
}

/// Old versions of Sydent replace `{hostname}` with the host name.
fn convert_sender(
    sydent: &SydentSettings,
    server_name: &ServerName,
    draft: &mut ConfigDraft,
) -> Result<(), ConfError> {
    const PLACEHOLDER: &str = "{hostname}";
    let setting = sydent.get("email", "email.from")?;
    let hostname = sydent.get("email", "email.hostname")?.value;
    let host = if hostname.is_empty() {
        server_name.host()
    } else {
        hostname.trim()
    };
    let sender = setting.value.replace(PLACEHOLDER, host);
    let Some(sender) = mailbox(&sender) else {
        return Err(setting.error("must be an email address, with or without a display name"));
    };
    if setting.value.contains(PLACEHOLDER) {
        draft.add_remark(format!(
            "email.from: {PLACEHOLDER} in {} was replaced with {host}; check that mail may be sent \
             from this domain.",
            setting.origin
        ));
    }
    // With the name in quotation marks where RFC 5322 requires them.
    draft.set("email", "from", sender.to_string(), &setting);
    Ok(())
}

fn convert_encryption(
    sydent: &SydentSettings,
    host: &Setting,
    draft: &mut ConfigDraft,
) -> Result<(), ConfError> {
    let mode = sydent.get("email", "email.tlsmode")?;
    let user = sydent.get("email", "email.smtpusername")?;
    let encryption = match mode.value.as_str() {
        "SSL" | "TLS" => "tls",
        "STARTTLS" => "starttls",
        _ if !user.value.is_empty() && !is_loopback(host.value.trim()) => {
            draft.add_remark(format!(
                "email.smtp.encryption is \"starttls\": with {}, Sydent sends the password to the relay \
                 in clear text, which this server does not; check that the relay supports STARTTLS.",
                mode.origin
            ));
            "starttls"
        }
        _ => "none",
    };
    draft.set(SMTP, "encryption", encryption, &mode);
    Ok(())
}

fn convert_login(sydent: &SydentSettings, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    let user = sydent.get("email", "email.smtpusername")?;
    let password = sydent.get("email", "email.smtppassword")?;
    match (user.value.is_empty(), password.value.is_empty()) {
        (true, true) => {}
        (true, false) => {
            draft.add_unsupported(&password, "has no effect without email.smtpusername");
        }
        (false, true) => {
            draft.add_remark("email.smtp.username is not set, because there is no password.");
            draft.add_unsupported(&user, "there is no email.smtppassword");
        }
        (false, false) => {
            draft.set(SMTP, "username", user.value.clone(), &user);
            draft.set(SMTP, "password", password.value.clone(), &password);
            draft.is_secret = true;
        }
    }
    Ok(())
}
