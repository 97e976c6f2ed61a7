#!/usr/bin/env bash
# The first step of the demo: the agent's program alone runs a program in WebAssembly. It needs no
# cluster.
# Use, in the repository's root: hack/demo/program.sh
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

echo
echo "== A program, compiled to WebAssembly: it runs before there is a cluster"
echo "\$ GOOS=wasip1 GOARCH=wasm go build -o hello-go.wasm ./hack/guests/hello"
GOOS=wasip1 GOARCH=wasm hack/build.sh "$dir/hello-go.wasm" ./hack/guests/hello
echo "\$ bin/krustlet-wasi run hello-go.wasm 3 200ms"
bin/krustlet-wasi run "$dir/hello-go.wasm" 3 200ms
echo
echo "== The cluster is built now; minutes the first time"
