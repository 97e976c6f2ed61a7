//go:build engine

package testnode

// withEngine: the test is linked with the library of `make engine`, and its agents are.
const withEngine = true
