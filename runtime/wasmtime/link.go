//go:build engine

package wasmtime

// The library of `make engine` stands before wasmtime-go's on the linker's command line, so that
// the linker takes every function from it.

// #cgo CFLAGS: -DENGINE_OF_HACK
// #cgo LDFLAGS: ${SRCDIR}/../../bin/engine/libwasmtime.a
import "C"
