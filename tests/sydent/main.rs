//! Tests against a real Python Sydent: imports from it, and a mesh with it.
//!
//! `tests/run sydent` installs one and sets `TEST_SYDENT_PYTHON`, the path of a
//! Python that has the package matrix-sydent.

#[cfg(test)]
#[path = "../it/harness/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the harness serves the other tests as well"
)]
mod harness;

#[cfg(test)]
mod compared;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod exported;
#[cfg(test)]
mod exported_mesh;
#[cfg(test)]
mod filled;
#[cfg(test)]
mod mesh;
#[cfg(test)]
mod mesh_order;
#[cfg(test)]
mod mesh_receive;
#[cfg(test)]
mod node;
#[cfg(test)]
mod old_schemas;
#[cfg(test)]
mod python;
#[cfg(test)]
mod switched;
#[cfg(test)]
mod taken_over;
