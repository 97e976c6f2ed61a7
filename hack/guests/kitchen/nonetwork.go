//go:build !wasip1 || earlier

package main

// networkCommands are none where the guest does not run, and where an earlier program of the node
// runs it, which does not know these functions.
func networkCommands() map[string]command { return nil }
