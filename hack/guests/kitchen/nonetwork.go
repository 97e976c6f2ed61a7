//go:build !wasip1

package main

// networkCommands are none where the guest does not run: only there it has these functions.
func networkCommands() map[string]command { return nil }
