//go:build !engine

package testnode

// withEngine: the test and its agents are linked with wasmtime-go's library.
const withEngine = false
