//! `next_link`, where a browser goes after validation.

use url::Url;

use crate::app::App;
use crate::domain::next_link::{NextLink, NextLinkRules};
use crate::error::Error;

/// Checks a `next_link` by the configuration; an empty one counts as absent
/// (SES-23, SES-24).
///
/// # Errors
/// `400 M_INVALID_PARAM` when the configuration does not allow it.
pub(super) fn check(app: &App, link: Option<&str>) -> Result<Option<NextLink>, Error> {
    match link {
        None | Some("") => Ok(None),
        Some(link) => NextLink::parse(link, &rules(app))
            .map(Some)
            .map_err(|reason| Error::invalid_param("next_link", reason)),
    }
}

/// The rules of the configuration.
pub(super) fn rules(app: &App) -> NextLinkRules {
    let invites = &app.config.invites;
    let own = [
        &invites.web_client,
        app.config.server.public_base_url.as_str(),
    ];
    let own = own
        .into_iter()
        .chain(invites.web_clients.iter().map(String::as_str));
    let hosts = own.filter_map(|url| Some(Url::parse(url).ok()?.host_str()?.to_owned()));
    app.config.validation.next_link_rules(hosts.collect())
}
