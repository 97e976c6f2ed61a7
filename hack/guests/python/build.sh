#!/bin/sh
# build.sh FOLDER: builds FOLDER/hello-py.wasm, a component of WASI 0.2 in Python, and FOLDER/hello-async-py.wasm, one
# of WASI 0.3. It needs python3 with venv and pip, and fetches componentize-py from PyPI into FOLDER/pip.
set -e
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"
python3 -m venv "$out/pip"
"$out/pip/bin/pip" install --quiet componentize-py==0.25.1
"$out/pip/bin/componentize-py" -d ../wit -w hello componentize hello -o "$out/hello-py.wasm"
"$out/pip/bin/componentize-py" -d ../wit -w hello-async componentize hello_async -o "$out/hello-async-py.wasm"
