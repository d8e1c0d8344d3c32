//! Rules for every answer: JSON, errors, CORS, methods (section 1).

mod arguments;
mod bodies;
mod browsers;
mod failures;
mod hostile;
mod routing;
mod v1_off;
