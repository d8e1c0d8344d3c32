//! URLs that SMS are sent to.

use url::Url;

use crate::config::checker::Checker;
use crate::config::host::is_loopback;

const NOT_A_URL: &str = "must be an https:// URL";
const UNENCRYPTED: &str = "must start with https://, since codes and passwords would be sent \
    unencrypted to another machine; http:// is allowed only for localhost";

/// Checks that SMS can be sent to the URL without exposing them.
pub(super) fn check_url(key: &str, url: &str, checker: &mut Checker<'_>) {
    match Url::parse(url) {
        Ok(url) if url.host_str().is_none_or(str::is_empty) => checker.error(key, NOT_A_URL),
        Ok(url) if url.scheme() == "https" => {}
        Ok(url) if url.scheme() == "http" => {
            if !url.host_str().is_some_and(is_loopback) {
                checker.error(key, UNENCRYPTED);
            }
        }
        _ => checker.error(key, NOT_A_URL),
    }
}
