#!/bin/sh
# build.sh FOLDER: builds FOLDER/hello-rs.wasm and FOLDER/numbers-rs.wasm, handlers of WASI 0.2 in Rust, and
# FOLDER/hello-async-rs.wasm and FOLDER/numbers-async-rs.wasm, handlers of WASI 0.3. It needs Rust with the target
# wasm32-wasip2 (`rustup target add wasm32-wasip2`), and node and npm for the WIT: see ../wit.sh.
#
# Without that target, TARGET=wasm32-unknown-unknown makes modules, and jco components of them. Where that target is
# missing too, its library can be built: with RUSTC_BOOTSTRAP=1, and CARGOFLAGS="-Z build-std=std,panic_abort", if the
# compiler has its sources (Debian 12: rustc-web, rust-web-src and lld-19).
set -e
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"
target=${TARGET:-wasm32-wasip2}
../wit.sh "$out"
for wasi in 2 3; do
	for name in hello numbers; do
		to=$name-rs.wasm
		test $wasi = 2 || to=$name-async-rs.wasm
		WIT=$out/wit "${CARGO:-cargo}" build --release --locked --target "$target" --target-dir "$out/target" \
			--features "$name,wasi$wasi" $CARGOFLAGS
		built=$out/target/$target/release/handlers.wasm
		case $target in
		*-unknown) "$out/npm/node_modules/.bin/jco" new "$built" -o "$out/$to" ;;
		*) cp "$built" "$out/$to" ;;
		esac
	done
done
