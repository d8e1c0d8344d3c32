//! `embed_migrations!` reads a folder that Cargo does not know of.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
