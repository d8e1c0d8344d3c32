//! `next_link`, where a browser goes after validation.

use crate::app::App;
use crate::domain::next_link::NextLink;
use crate::error::Error;

/// Checks a `next_link` by the configuration; an empty one counts as absent
/// (SES-23, SES-24).
///
/// # Errors
/// `400 M_INVALID_PARAM` when the configuration does not allow it.
pub(super) fn check(app: &App, link: Option<&str>) -> Result<Option<NextLink>, Error> {
    let rules = app.config.validation.next_link_rules();
    match link {
        None | Some("") => Ok(None),
        Some(link) => NextLink::parse(link, &rules)
            .map(Some)
            .map_err(|reason| Error::invalid_param("next_link", reason)),
    }
}
