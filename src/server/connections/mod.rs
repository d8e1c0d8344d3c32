//! The connections of the listeners: how many there may be, and how long a client may
//! take for each step. Floods of idle, slow or silent connections then cost neither
//! descriptors nor memory that honest clients need.

mod descriptors;
mod serve;
mod stream;
mod table;

pub(super) use descriptors::{Budget, raise_limit, request_threads};
pub(super) use serve::Serving;
pub(super) use table::{Connections, Limits};
