// Tells src/lib.rs which wasmtime is linked: the version in Cargo.lock, which is the one that cargo builds.

use std::fs;

fn main() {
    println!("cargo:rerun-if-changed=Cargo.lock");
    let lock = fs::read_to_string("Cargo.lock").expect("read Cargo.lock");
    let version = lock
        .split("[[package]]")
        .find(|package| package.lines().any(|line| line == "name = \"wasmtime\""))
        .and_then(|package| package.lines().find_map(|line| line.strip_prefix("version = ")))
        .expect("Cargo.lock names no wasmtime")
        .trim_matches('"');
    println!("cargo:rustc-env=ENGINE_VERSION={version}");
}
