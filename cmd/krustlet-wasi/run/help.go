package run

import "strings"

const helpIntro = `Run one WebAssembly module exactly as the node would, without a cluster. Standard
input, output and error are the guest's, and so is the exit code.

Usage:
  krustlet-wasi run [flags] IMAGE|FILE.wasm [ARG...]

What ends in .wasm, begins with / or ./ or ../, or is a file here, is a file; all else is
an image. Flags end there: what follows is the guest's.

Examples:
  krustlet-wasi run hello.wasm --name=world
  krustlet-wasi run --dir=. --env=LANG tool.wasm < in.txt > out.txt
  krustlet-wasi run --memory=64Mi --timeout=30s ghcr.io/example/hello:v1
  krustlet-wasi run --listen=127.0.0.1:8080 --dir=./site::/srv:ro server.wasm

Flags:
`

const helpOutro = `
Exit codes, besides the guest's own (its low 8 bits; 255 where these are 0 and the code is not):
  124  stopped for --timeout
  125  a flag is wrong, or krustlet-wasi failed
  126  the module was found, and cannot be run
  127  there is no such file or image
  134  the guest trapped; standard error says where
  137  the guest was ended at its memory limit
  129, 130, 143  stopped by SIGHUP, SIGINT, SIGTERM
`

// help is what `krustlet-wasi run --help` prints. The table of flags is its source.
func help() string {
	var b strings.Builder
	b.WriteString(helpIntro)
	for _, f := range flagTable() {
		b.WriteString(f.Help())
	}
	b.WriteString("  -h, --help\n        print this help\n")
	b.WriteString(helpOutro)
	return b.String()
}
