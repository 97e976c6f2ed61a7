#!/usr/bin/env bash
# Builds the engine's library and puts it, its headers and its key into the folder that is named. It takes 15 minutes of processor time
# once; results are kept in a cache outside of the checkout, by all that they are made of.
set -euo pipefail
out=$(realpath -m "$1")
cd "$(dirname "$0")"

for tool in cargo cmake; do
	if ! command -v "$tool" >/dev/null; then
		echo "the engine's library needs $tool, which is not here: install it (cmake and Rust 1.95), or run \`make build\` without it, with the library of wasmtime-go" >&2
		exit 1
	fi
done

key=$({ cat Cargo.toml Cargo.lock build.rs build.sh src/lib.rs; rustc -vV; uname -m; } | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/krustlet-wasi/engine
if [[ ! -f $cache/$key/libwasmtime.a ]]; then
	echo "== building the engine's library, 15 minutes of processor time"
	mkdir -p "$cache"
	target=$(mktemp -d "$cache/.new-XXXXXX")
	trap 'rm -rf "$target"' EXIT
	CARGO_TARGET_DIR=$target/build cargo build --release --locked
	mkdir "$target/result"
	cp "$target/build/release/libwasmtime.a" "$target/result/"
	cp -r "$target"/build/release/build/wasmtime-c-api-impl-*/out/include "$target/result/include"
	rm -rf "${cache:?}/$key"
	mv "$target/result" "$cache/$key"
fi

rm -rf "$out"
mkdir -p "$(dirname "$out")"
cp -r "$cache/$key" "$out"
echo "$key" >"$out/key"
touch "$cache/$key" # the caches of others are removed by hand: each has 150 MB
echo "engine: wasmtime $(sed -n '/^name = "wasmtime"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock), $out/libwasmtime.a"
