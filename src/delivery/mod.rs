//! What leaves the house: how a rendered message reaches the outside.

pub mod mail;
