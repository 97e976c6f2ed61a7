#!/bin/sh
# build.sh FOLDER: builds FOLDER/hello-rs.wasm, a component of WASI 0.2 in Rust: a command of preview 1, wrapped. It
# needs Rust with the target wasm32-wasip1 (`rustup target add wasm32-wasip1`), node and npm, and fetches jco from
# npm into FOLDER/npm. RUSTC and TARGET name another compiler and target: Debian's rustc has wasm32-wasi, with the
# package libstd-rust-dev-wasm32.
set -e
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"
npm install --no-fund --no-audit --prefix "$out/npm" @bytecodealliance/jco@1.35.0
"${RUSTC:-rustc}" --target "${TARGET:-wasm32-wasip1}" -O -C strip=symbols hello.rs -o "$out/hello-rs-module.wasm"
"$out/npm/node_modules/.bin/jco" new "$out/hello-rs-module.wasm" --wasi-command -o "$out/hello-rs.wasm"
