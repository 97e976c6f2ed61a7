//go:build engine

package wasmtime

// On the linker's command line, the library of `make engine` comes before wasmtime-go's, so the
// linker takes every function from it.

// #cgo CFLAGS: -DENGINE_OF_HACK
// #cgo LDFLAGS: ${SRCDIR}/../../bin/engine/libwasmtime.a
import "C"
