//go:build !engine

package testnode

// withEngine: the test is linked with the library that comes with wasmtime-go, and its agents are.
const withEngine = false
