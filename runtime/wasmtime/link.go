//go:build engine

package wasmtime

// The library of `make engine` stands before wasmtime-go's, so that every function is taken from it.

// #cgo CFLAGS: -DENGINE_OF_HACK
// #cgo LDFLAGS: ${SRCDIR}/../../bin/engine/libwasmtime.a
import "C"
