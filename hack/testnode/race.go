//go:build race

package testnode

// buildFlags: a race-enabled test runs a race-enabled agent.
var buildFlags = []string{"-race"}
