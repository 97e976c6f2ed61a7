#!/bin/sh
# build.sh FOLDER: builds hello-js.wasm, hello-reused-js.wasm, numbers-js.wasm, proxy-js.wasm and pods-js.wasm in
# FOLDER, handlers of WASI 0.2 in JavaScript. It needs node and npm, and fetches jco and componentize-js from npm into
# FOLDER/npm. The engine in componentize-js has fetch events for WASI 0.2.10, and for no other release.
set -e
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"
../wit.sh "$out" 0.2.10
npm install --no-fund --no-audit --prefix "$out/npm" \
	@bytecodealliance/componentize-js@0.23.0 @bytecodealliance/preview2-shim@0.25.0
build() {
	"$out/npm/node_modules/.bin/componentize-js" "$1.js" --wit "$out/wit" --world-name "${3:-handler}" -o "$out/$2-js.wasm"
}
build hello hello
build hello_reused hello-reused
build numbers numbers
build proxy proxy proxy
build pods pods pods
