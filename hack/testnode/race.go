//go:build race

package testnode

// buildFlags: if the test uses the race detector, its agent uses it too.
var buildFlags = []string{"-race"}
