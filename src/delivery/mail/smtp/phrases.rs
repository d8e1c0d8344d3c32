//! The codes, statuses and words by which relays say what they mind.

/// Codes of the 5xx class that concern the session and not the message: a command that
/// is not known or not in sequence, authentication required or failed (RFC 4954,
/// section 6).
pub(super) const SESSION_CODES: [u16; 4] = [502, 503, 534, 535];

/// Of RFC 3463: the sender's address (X.1.7, X.1.8), a sender over its quota (X.4.5, as
/// Gmail uses it), and commands out of sequence or too many recipients (X.5.1, X.5.3).
pub(super) const SESSION_STATUSES: [&str; 5] = ["1.7", "1.8", "4.5", "5.1", "5.3"];

/// Encryption needed (X.7.10, X.7.11; RFC 5248, section 2.4).
pub(super) const TLS_STATUSES: [&str; 2] = ["7.10", "7.11"];

/// Of RFC 3463: mailbox, domain or its syntax, moved, null MX (RFC 7505).
pub(super) const RECIPIENT_STATUSES: [&str; 5] = ["1.1", "1.2", "1.3", "1.6", "1.10"];

pub(super) const TLS_PHRASES: &[&str] =
    &["starttls", "must use tls", "tls required", "requires tls"];

/// What relays refuse at RCPT for the sake of the client, its name, the sender, or
/// what happened before in the session.
pub(super) const SESSION_PHRASES: &[&str] = &[
    "too many",
    "rate limit",
    "quota exceeded for sender",
    "sender address rejected",
    "sender rejected",
    "sender verify failed",
    "helo command rejected",
    "client host rejected",
    "bad sequence",
    "out of sequence",
];

/// How relays say that they do not relay without (another) login. The statuses and
/// codes alone do not suffice: 550, 551, 553, 554 and 571 are all used for it.
pub(super) const LOGIN_PHRASES: &[&str] = &[
    "relay access denied",
    "relay denied",
    "relaying denied",
    "relay not permitted",
    "relaying not permitted",
    "relay is not permitted",
    "relaying is not permitted",
    "relay not allowed",
    "relaying not allowed",
    "relay is not allowed",
    "relaying is not allowed",
    "relaying prohibited",
    "relaying is prohibited",
    "relaying disallowed",
    "relay refused",
    "relaying refused",
    "relay rejected",
    "relaying rejected",
    "permitted to relay",
    "allowed to relay",
    "authorized to relay",
    "unable to relay",
    "cannot relay",
    "can't relay",
    "do not relay",
    "does not relay",
    "will not relay",
    "no relaying",
    "list of allowed rcpthosts",
    "authentication required",
    "authentication is required",
    "authentication needed",
    "requires authentication",
    "require authentication",
    "needs authentication",
    "without authentication",
    "auth required",
    "auth is required",
    "auth first",
    "authenticate first",
    "must authenticate",
    "be authenticated",
    "not authenticated",
    "unauthenticated",
    "smtp authentication",
    "smtp auth",
    "please authenticate",
    "login required",
    "must log in",
    "log in first",
    "not logged in",
];
