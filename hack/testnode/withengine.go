//go:build engine

package testnode

// withEngine: the test and its agents are linked with the library of `make engine`.
const withEngine = true
