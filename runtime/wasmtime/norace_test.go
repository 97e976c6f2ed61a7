//go:build !race

package wasmtime

// raceDetector reports whether the tests run with the race detector.
const raceDetector = false
