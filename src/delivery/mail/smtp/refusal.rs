//! Interprets negative replies: who is to blame, and what becomes of the message.

use super::phrases::{
    LOGIN_PHRASES, RECIPIENT_STATUSES, SESSION_CODES, SESSION_PHRASES, SESSION_STATUSES,
    TLS_PHRASES, TLS_STATUSES,
};
use super::reply::{Class, Reply};
use super::step::{NoReply, Step};
use crate::delivery::mail::SendFailure;
use crate::delivery::masking::Confidential;

/// How a step failed.
#[derive(Debug)]
pub(super) struct StepFailure {
    pub(super) failure: SendFailure,
    /// Whether the session may be the reason rather than the message, so that a
    /// connection that was used before is left for a fresh one.
    pub(super) session: bool,
    /// Whether the relay refused the step, rather than not answering it.
    pub(super) replied: bool,
    /// Whether the relay would serve no message at the moment.
    pub(super) outage: bool,
}

impl StepFailure {
    /// A step got no reply. A fresh connection may do better if the old one has
    /// ended; one that is slow gets no second chance, since it would take as long.
    pub(super) fn unanswered(step: Step, error: &NoReply) -> Self {
        Self {
            failure: error.failure(step),
            session: !matches!(error, NoReply::TimedOut(_)),
            replied: false,
            outage: true,
        }
    }

    /// A failure for another reason than a reply.
    pub(super) fn other(failure: SendFailure) -> Self {
        Self {
            failure,
            session: false,
            replied: false,
            outage: true,
        }
    }

    /// The relay does not offer what the configuration requires.
    pub(super) fn not_offered(reason: impl Into<String>) -> Self {
        Self {
            failure: SendFailure::transient(reason),
            session: false,
            replied: true,
            outage: true,
        }
    }

    /// The relay replied with a code that is not defined for the step, such as 250 to
    /// DATA.
    pub(super) fn unexpected(step: Step, code: u16) -> Self {
        Self {
            failure: SendFailure::transient(format!("unexpected reply {code} to {step}")),
            session: true,
            replied: true,
            outage: false,
        }
    }

    /// The relay refused the step. `has_login` is whether the session is logged in.
    pub(super) fn refused(
        step: Step,
        reply: &Reply,
        has_login: bool,
        confidential: &Confidential<'_>,
    ) -> Self {
        let (code, enhanced) = (reply.code(), reply.enhanced());
        let cause = Cause::new(step, reply, has_login);
        let reason = explain(step, reply, cause, confidential);
        let is_permanent = reply.class() == Class::PermanentNegative;
        let failure = match cause {
            Cause::WantsLogin | Cause::WantsOtherLogin | Cause::WantsTls | Cause::RefusesLogin
                if is_permanent =>
            {
                SendFailure::Misconfigured { reason }
            }
            Cause::Recipient | Cause::Content | Cause::Unclear if is_permanent => {
                let status = enhanced.as_deref();
                SendFailure::Permanent {
                    reason,
                    code: Some(code),
                    address: step == Step::Recipient || status.is_some_and(blames_recipient),
                    enhanced,
                }
            }
            _ => SendFailure::Transient { reason },
        };
        Self {
            failure,
            session: !matches!(cause, Cause::Recipient | Cause::Content),
            replied: true,
            // "Service not available" (RFC 5321, section 3.8).
            outage: code == 421 || step.begins_session(),
        }
    }
}

fn explain(step: Step, reply: &Reply, cause: Cause, confidential: &Confidential<'_>) -> String {
    let meaning = match cause {
        Cause::WantsLogin => {
            "the relay wants a login, or accepts no mail from this server \
             (email.smtp.username is not set): it"
        }
        Cause::RefusesLogin => "the relay refuses the login of this server: it",
        Cause::WantsOtherLogin => "the relay does not relay for the login of this server: it",
        Cause::WantsTls => "the relay wants an encrypted connection (email.smtp.encryption): it",
        Cause::Recipient | Cause::Content | Cause::Session | Cause::Unclear => "the relay",
    };
    let code = reply.code();
    let status = reply
        .enhanced()
        .map_or_else(String::new, |status| format!(" {status}"));
    match reply.words(confidential).as_str() {
        "" => format!("{meaning} replied {code}{status} to {step}"),
        words => format!("{meaning} replied {code}{status} to {step}: \"{words}\""),
    }
}

/// What a negative reply blames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// The recipient, clearly.
    Recipient,
    /// The content of the message, clearly.
    Content,
    /// The relay serves only clients that log in, and this server does not.
    WantsLogin,
    /// The relay refuses the user name, the password or the mechanism.
    RefusesLogin,
    /// The relay does not relay for this login.
    WantsOtherLogin,
    /// The relay wants TLS first.
    WantsTls,
    /// The connection, the session, the login or the sender: the same for all
    /// messages. A fresh session or the administrator can correct it.
    Session,
    /// Anything else.
    Unclear,
}

impl Cause {
    fn new(step: Step, reply: &Reply, has_login: bool) -> Self {
        let (code, enhanced) = (reply.code(), reply.enhanced());
        let enhanced = enhanced.as_deref().unwrap_or_default();
        // X.Y.Z without the class.
        let status = enhanced.split_once('.').map_or("", |(_, rest)| rest);
        let text = reply.lower_case();
        let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
        if step == Step::Login && reply.class() == Class::PermanentNegative {
            return Self::RefusesLogin;
        }
        if code == 421 || !step.concerns_mail() {
            return Self::Session;
        }
        if says(TLS_PHRASES) || TLS_STATUSES.contains(&status) || matches!(code, 523 | 538) {
            return Self::WantsTls;
        }
        let is_refused_login = code == 530 || says(LOGIN_PHRASES);
        match is_refused_login {
            true if has_login => return Self::WantsOtherLogin,
            true => return Self::WantsLogin,
            false => {}
        }
        let is_about_recipient = RECIPIENT_STATUSES.contains(&status) || status.starts_with("2.");
        if step != Step::Sender && is_about_recipient {
            return Self::Recipient;
        }
        if SESSION_STATUSES.contains(&status) || says(SESSION_PHRASES) {
            return Self::Session;
        }
        let is_policy = status.starts_with("7.") && reply.class() == Class::PermanentNegative;
        if is_policy && !has_login && matches!(step, Step::Sender | Step::Recipient) {
            return Self::WantsLogin;
        }
        if step == Step::Sender || SESSION_CODES.contains(&code) {
            return Self::Session;
        }
        let is_content = status.starts_with("6.") || status == "3.4" || is_policy;
        if step == Step::Message && is_content {
            return Self::Content;
        }
        Self::Unclear
    }
}

impl Step {
    /// Whether a reply to this step concerns one mail. Other replies concern the
    /// connection or the login.
    fn concerns_mail(self) -> bool {
        matches!(
            self,
            Self::Sender | Self::Recipient | Self::Data | Self::Message
        )
    }
}

/// Whether a status concerns the address of the recipient. Of the addressing
/// statuses, X.1.7 and X.1.8 concern the sender (RFC 3463, section 3.2).
fn blames_recipient(enhanced: &str) -> bool {
    enhanced.starts_with("5.1.") && !matches!(enhanced, "5.1.7" | "5.1.8")
}

#[cfg(test)]
mod tests {
    use super::super::reply::ReplyReader;
    use super::Step::{Connection, Data, Hello, Login, Message, Recipient, Reset, Sender};
    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    enum Is {
        /// Permanent, with whether it blames the address.
        Refusal(bool),
        Misconfigured,
        Transient,
    }

    fn fail(step: Step, text: &str, has_login: bool) -> StepFailure {
        let mut reader = ReplyReader::default();
        reader.push(format!("{text}\r\n").as_bytes());
        let reply = reader.next_reply().unwrap().unwrap();
        StepFailure::refused(step, &reply, has_login, &Confidential::default())
    }

    fn kind(failure: &StepFailure) -> Is {
        match failure.failure {
            SendFailure::Permanent { address, .. } => Is::Refusal(address),
            SendFailure::Misconfigured { .. } => Is::Misconfigured,
            SendFailure::Transient { .. } => Is::Transient,
            SendFailure::Uncertain { .. }
            | SendFailure::Throttled { .. }
            | SendFailure::Paused { .. } => panic!("{failure:?}"),
        }
    }

    #[test]
    fn first_digit_decides_with_a_login() {
        use Is::{Refusal, Transient};
        for (step, text, expected) in [
            (Recipient, "550", Refusal(true)),
            (Recipient, "550 5.1.1 no", Refusal(true)),
            (Recipient, "553 5.1.3 no", Refusal(true)),
            (Recipient, "571 5.7.1 no", Refusal(true)),
            (Recipient, "599 no", Refusal(true)),
            (Recipient, "552 5.2.2 full", Refusal(true)),
            (Recipient, "450 4.2.0 greylisted", Transient),
            (Recipient, "471 later", Transient),
            (Recipient, "421 closing", Transient),
            (Data, "554 no", Refusal(false)),
            (Message, "577 no", Refusal(false)),
            (Message, "554 5.1.1 unknown", Refusal(true)),
            (Message, "554 5.7.1 spam", Refusal(false)),
            (Message, "554 5.6.0 content", Refusal(false)),
            (Message, "452 disk full", Transient),
            // These concern the session, the sender or the connection.
            (Recipient, "503 bad sequence", Transient),
            (Recipient, "550 5.1.8 sender unknown", Transient),
            (
                Recipient,
                "550 5.7.1 <a@b.example>: Sender address rejected: x",
                Transient,
            ),
            (
                Recipient,
                "504 5.5.2 <x>: Helo command rejected: x",
                Transient,
            ),
            (Recipient, "550 5.7.1 too many recipients", Transient),
            (Recipient, "452 4.5.3 too many recipients", Transient),
            (Message, "550 5.4.5 Daily sending quota exceeded", Transient),
            (Message, "554 5.1.7 bad sender", Transient),
            (Sender, "550 5.1.1 no", Transient),
            (Sender, "555 no", Transient),
            (Hello, "550 no", Transient),
            (Connection, "554 no", Transient),
            (Login, "454 4.7.0 no", Transient),
            (Login, "535 5.7.8 no", Is::Misconfigured),
            (Reset, "500 no", Transient),
        ] {
            let failure = fail(step, text, true);
            assert_eq!(kind(&failure), expected, "{step} {text}");
        }
    }

    #[test]
    fn relay_that_wants_a_login_blames_no_address() {
        for (step, text) in [
            (Recipient, "554 5.7.1 <a@b.example>: Relay access denied"),
            (Recipient, "554 Relay access denied"),
            (Recipient, "550 relay not permitted"),
            (
                Recipient,
                "550-Please turn on SMTP Authentication in your client\r\n550 x",
            ),
            (Recipient, "550 5.7.1 Delivery not authorized"),
            (Recipient, "571 5.7.1 no"),
            (
                Recipient,
                "553 that domain isn't in my list of allowed rcpthosts (#5.7.1)",
            ),
            (Recipient, "530 5.7.0 Authentication required"),
            (Recipient, "530"),
            (Recipient, "503 AUTH first (#5.5.1)"),
            (Sender, "530-5.7.0 Authentication Required\r\n530 5.7.0 x"),
            (Sender, "550 5.7.60 Client was not authenticated"),
            (Data, "554 5.7.0 authentication is required"),
            (Message, "550 5.7.1 Unable to relay"),
        ] {
            let failure = fail(step, text, false);
            let shown = failure.failure.to_string();
            assert_eq!(kind(&failure), Is::Misconfigured, "{text}");
            assert!(shown.starts_with("the relay wants a login"), "{shown}");
        }
        let failure = fail(Recipient, "454 4.7.1 Relay access denied", false);
        assert_eq!(kind(&failure), Is::Transient);
        assert!(failure.failure.to_string().contains("wants a login"));
        let failure = fail(Recipient, "550 5.7.1 Unable to relay", true);
        assert_eq!(kind(&failure), Is::Misconfigured);
        assert!(failure.failure.to_string().contains("does not relay for"));
        let failure = fail(
            Sender,
            "530 5.7.0 Must issue a STARTTLS command first",
            false,
        );
        assert!(failure.failure.to_string().contains("wants an encrypted"));
        // Spam, not a login.
        assert_eq!(
            kind(&fail(Message, "554 5.7.1 spam", false)),
            Is::Refusal(false)
        );
        assert_eq!(
            kind(&fail(Recipient, "451 4.7.1 greylisted", false)),
            Is::Transient
        );
    }

    #[test]
    fn clear_refusals_do_not_blame_the_session() {
        for (step, text, session) in [
            (Recipient, "550 5.1.1 unknown", false),
            (Recipient, "552 5.2.2 full", false),
            (Recipient, "450 4.2.0 greylisted", false),
            (Message, "554 5.6.0 content", false),
            (Message, "554 5.7.1 spam", false),
            (Recipient, "550 no", true),
            (Recipient, "554 transaction failed", true),
            (Recipient, "550 5.7.1 too many recipients", true),
            (Recipient, "452 4.5.3 too many", true),
            (Recipient, "421 4.7.0 closing", true),
            (Recipient, "503 bad sequence", true),
            (Recipient, "530 5.7.0 log in", true),
            (Message, "554 transaction failed", true),
        ] {
            assert_eq!(fail(step, text, true).session, session, "{text}");
        }
    }

    #[test]
    fn reason_has_the_relay_s_words_masked() {
        for (text, expected) in [
            (
                "550-5.1.1 <a@b.example>\r\n550 5.1.1 unknown",
                "550 5.1.1 to RCPT TO: \"[address] unknown\"",
            ),
            ("550", "550 to RCPT TO"),
            ("450 4.2.0 caf\u{e9}", "450 4.2.0 to RCPT TO: \"caf\u{e9}\""),
        ] {
            let reason = fail(Recipient, text, true).failure.to_string();
            assert_eq!(reason, format!("the relay replied {expected}"));
        }
    }
}
