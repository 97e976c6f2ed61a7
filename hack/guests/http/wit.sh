#!/bin/sh
# wit.sh FOLDER [VERSION]: puts the worlds of wit/handlers.wit and the packages of WASI 0.2 and 0.3 that they need into
# FOLDER/wit. The packages are those in jco, which it fetches from npm into FOLDER/npm. VERSION is a release of
# WASI 0.2 before 0.2.12 that stands in the place of that.
set -e
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"
npm install --no-fund --no-audit --prefix "$out/npm" @bytecodealliance/jco@1.35.0
wasi=$out/npm/node_modules/@bytecodealliance/jco/lib/wit/builtin
rm -rf "$out/wit"
mkdir -p "$out/wit/deps"
cp wit/handlers.wit "$out/wit"
for version in 0.2.12 0.3.0; do
	for package in "$wasi/$version"/*; do
		cp -r "$package" "$out/wit/deps/$(basename "$package")-$version"
	done
done
find "$out/wit" -name '*.wit' -exec sed -i "s/0\.2\.12/${2:-0.2.12}/g" {} +
