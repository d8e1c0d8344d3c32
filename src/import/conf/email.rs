//! `[email]` but for invitations: the sender, and the relay.

use super::ConfError;
use super::config_draft::ConfigDraft;
use super::reading::{Given, Reading};
use crate::config::{is_loopback, mailbox};
use crate::domain::ids::ServerName;

const SMTP: &str = "email.smtp";

pub(super) fn convert(
    reading: &Reading,
    name: &ServerName,
    draft: &mut ConfigDraft,
) -> Result<(), ConfError> {
    sender(reading, name, draft)?;
    let host = reading.get("email", "email.smtphost")?;
    draft.set_because("email", "transport", "smtp", "Sydent knows no other way");
    draft.set(SMTP, "host", host.text.trim(), &host);
    let port = reading.get("email", "email.smtpport")?;
    draft.set(SMTP, "port", port.int()?, &port);
    encryption(reading, &host, draft)?;
    login(reading, draft)?;
    let greeting = reading.get("email", "email.hostname")?;
    if !greeting.text.is_empty() {
        draft.set(SMTP, "hello_name", greeting.text.trim(), &greeting);
    }
    let subject = reading.get("email", "email.subject")?;
    draft.without(
        &subject,
        "Sydent does not use it; the subject is in the template",
    );
    Ok(())
}

/// Sydent once put its host name in the place of `{hostname}`.
fn sender(reading: &Reading, name: &ServerName, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    const PLACE: &str = "{hostname}";
    let given = reading.get("email", "email.from")?;
    let greeting = reading.get("email", "email.hostname")?.text;
    let host = if greeting.is_empty() {
        name.host()
    } else {
        greeting.trim()
    };
    let sender = given.text.replace(PLACE, host);
    if mailbox(&sender).is_none() {
        return Err(given.wrong("must be the mail address that mails come from"));
    }
    if given.text.contains(PLACE) {
        draft.remark(format!(
            "email.from has {host} where {} has {PLACE}: see that mails may come from there.",
            given.from
        ));
    }
    draft.set("email", "from", sender, &given);
    Ok(())
}

fn encryption(reading: &Reading, host: &Given, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    let mode = reading.get("email", "email.tlsmode")?;
    let user = reading.get("email", "email.smtpusername")?;
    let encryption = match mode.text.as_str() {
        "SSL" | "TLS" => "tls",
        "STARTTLS" => "starttls",
        _ if !user.text.is_empty() && !is_loopback(host.text.trim()) => {
            draft.remark(format!(
                "email.smtp.encryption is \"starttls\". By {} Sydent sent the relay's password in the \
                 clear, which this server does not: see that the relay offers STARTTLS.",
                mode.from
            ));
            "starttls"
        }
        _ => "none",
    };
    draft.set(SMTP, "encryption", encryption, &mode);
    Ok(())
}

fn login(reading: &Reading, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    let user = reading.get("email", "email.smtpusername")?;
    let password = reading.get("email", "email.smtppassword")?;
    match (user.text.is_empty(), password.text.is_empty()) {
        (true, true) => {}
        (true, false) => draft.without(&password, "without email.smtpusername it has no effect"),
        (false, true) => {
            draft.remark("email.smtp.username is not set, since there is no password to it.");
            draft.without(&user, "there is no email.smtppassword");
        }
        (false, false) => {
            draft.set(SMTP, "username", user.text.clone(), &user);
            draft.set(SMTP, "password", password.text.clone(), &password);
            draft.is_secret = true;
        }
    }
    Ok(())
}
