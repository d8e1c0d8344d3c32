//! `next_link`, where a browser goes after validation.

use super::args::Fields;
use crate::app::App;
use crate::domain::next_link::NextLink;
use crate::error::Error;

/// Reads `next_link`, if there is one (SES-23, SES-24).
///
/// # Errors
/// 400 when it may not lead there.
pub fn read(app: &App, args: &Fields) -> Result<Option<NextLink>, Error> {
    let given = args
        .optional_text("next_link")?
        .filter(|link| !link.is_empty());
    let rules = app.config.validation.next_link_rules();
    given
        .map(|link| NextLink::parse(link, &rules))
        .transpose()
        .map_err(|why| Error::invalid_param("next_link", why))
}
