//! Requests without arguments, and responses without fields.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::Request;

/// No arguments.
#[derive(Deserialize, ToSchema)]
pub struct NoArguments {}

impl Request for NoArguments {}

/// An empty object.
#[derive(Serialize, ToSchema)]
pub struct Empty {}
