#!/bin/sh
# build.sh FOLDER: builds FOLDER/hello-js.wasm, a component of WASI 0.2 in JavaScript. It needs node and npm, and
# fetches componentize-js from npm into FOLDER/npm. (It needs preview2-shim and does not say so.)
set -e
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"
npm install --no-fund --no-audit --prefix "$out/npm" \
	@bytecodealliance/componentize-js@0.23.0 @bytecodealliance/preview2-shim@0.25.0
"$out/npm/node_modules/.bin/componentize-js" hello.js --wit ../wit --world-name hello -o "$out/hello-js.wasm"
