//! Checks a provider.

use std::time::Duration;

use super::checked::{Access, Provider};
use super::gateway;
use super::provider_settings::{ProviderKind, ProviderSettings};
use super::url::check_url;
use crate::config::checker::Checker;
use crate::config::files;
use crate::config::secret::Credentials;

const OPENMARKET: &str = "https://smsc.openmarket.com/sms/v4/mt";
const TWILIO: &str = "https://api.twilio.com";

const KIND_MISSING: &str = "is missing: set \"openmarket\", \"twilio\", \"gateway\" or \"file\"";
const USERNAME_MISSING: &str = "is missing: this provider requires a login";
const PASSWORD_MISSING: &str = "is missing: this provider requires a login; set it or \
    password_file";

pub(super) fn check(
    settings: ProviderSettings,
    key: &str,
    checker: &mut Checker<'_>,
) -> Option<Provider> {
    let Some(kind) = settings.kind else {
        checker.error(&format!("{key}.kind"), KIND_MISSING);
        return None;
    };
    settings.check_supported(kind, key, checker);
    let second = Duration::from_secs(1);
    let timeout_key = format!("{key}.timeout");
    checker.duration(&timeout_key, settings.timeout, second, 300 * second);
    match kind {
        ProviderKind::OpenMarket => {
            let access = service(&settings, OPENMARKET, key, checker)?;
            Some(Provider::OpenMarket { access })
        }
        ProviderKind::Twilio => {
            let access = service(&settings, TWILIO, key, checker)?;
            Some(Provider::Twilio {
                access,
                messaging_service: settings.messaging_service,
            })
        }
        ProviderKind::Gateway => gateway::check(settings, key, checker),
        ProviderKind::File => folder(settings, key, checker),
    }
}

/// A known service, which requires a login.
fn service(
    settings: &ProviderSettings,
    default_url: &str,
    key: &str,
    checker: &mut Checker<'_>,
) -> Option<Access> {
    let url = settings.url.as_deref().unwrap_or(default_url);
    check_url(&format!("{key}.url"), url, checker);
    if settings.username.is_none() {
        checker.error(&format!("{key}.username"), USERNAME_MISSING);
    }
    if settings.password.is_none() && settings.password_file.is_none() {
        checker.error(&format!("{key}.password"), PASSWORD_MISSING);
    }
    let password = settings.password(key, checker);
    let login = Credentials {
        username: settings.username.clone()?,
        password: password?,
    };
    Some(settings.access(url, Some(login), key, checker))
}

fn folder(settings: ProviderSettings, key: &str, checker: &mut Checker<'_>) -> Option<Provider> {
    let key = format!("{key}.dir");
    let Some(dir) = settings.dir else {
        checker.error(&key, "is missing: set the folder to write SMS to");
        return None;
    };
    let dir = checker.resolve(&key, &dir);
    if let Err(refusal) = files::check_folder(&dir) {
        checker.error(&key, refusal);
    }
    Some(Provider::File { dir })
}
