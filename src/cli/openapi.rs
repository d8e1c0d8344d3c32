//! `sydent openapi`.

use super::failure::Failure;
use super::stdout::print;
use crate::http::openapi;

/// Prints the OpenAPI document.
pub(super) fn run() -> Result<(), Failure> {
    let json = openapi::json().map_err(|error| {
        Failure::new(format!("The document cannot be written as JSON: {error}."))
    })?;
    print(&json)
}
