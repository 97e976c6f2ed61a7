#!/bin/sh
# build.sh FOLDER: builds FOLDER/hello-py.wasm and FOLDER/numbers-py.wasm, handlers of WASI 0.2 in Python, and
# FOLDER/hello-async-py.wasm, FOLDER/numbers-async-py.wasm and FOLDER/proxy-async-py.wasm, handlers of WASI 0.3. It needs python3 with venv and pip,
# and fetches componentize-py from PyPI into FOLDER/pip; for the WIT it needs node and npm: see ../wit.sh.
set -e
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"
../wit.sh "$out"
python3 -m venv "$out/pip"
"$out/pip/bin/pip" install --quiet componentize-py==0.25.1
build() {
	"$out/pip/bin/componentize-py" -d "$out/wit" -w "$1" componentize "$2" -o "$out/$3-py.wasm"
}
build handler hello hello
build handler numbers_handler numbers # numbers is a module of Python itself
build handler-async hello_async hello-async
build handler-async numbers_handler_async numbers-async
build proxy-async proxy_async proxy-async
