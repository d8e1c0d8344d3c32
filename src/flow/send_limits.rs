//! Who is counted for a message, and how often messages may be sent (EML-25,
//! MSI-15).

use crate::app::App;
use crate::domain::ids::Mxid;
use crate::domain::rate::{Rate, client_network, counted};
use crate::flow::validate::{RequestToken, Target};

/// Everybody who is counted for the message of a request: whoever asks, by
/// network and by account, and whoever receives it.
pub(super) fn of(app: &App, request: &RequestToken) -> Vec<(String, Rate)> {
    let limits = &app.config.limits;
    let client = request.client.map(client_network);
    let account = request.account.as_ref().map(Mxid::as_str);
    let mut all = Vec::new();
    let mut count = |scope: &str, who: Option<&str>, rate: Option<Rate>| {
        if let (Some(who), Some(rate)) = (who, rate) {
            all.push((counted(scope, who), rate));
        }
    };
    match &request.target {
        Target::Email(email) => {
            count(
                "email-by",
                client.as_deref(),
                limits.email_per_client.rate(),
            );
            count("email-of", account, limits.email_per_account.rate());
            count(
                "email-to",
                Some(email.as_str()),
                limits.email_per_address.rate(),
            );
        }
        Target::Phone(phone) => {
            let code = phone.calling_code().to_string();
            let number = phone.msisdn().as_str();
            count("sms-by", client.as_deref(), limits.sms_per_client.rate());
            count("sms-of", account, limits.sms_per_account.rate());
            count("sms-to", Some(number), limits.sms_per_number.rate());
            count("sms-code", Some(&code), limits.sms_per_calling_code.rate());
        }
    }
    all
}
