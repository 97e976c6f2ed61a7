// Package message bounds the texts about guests and modules that leave the engine: of how a guest
// ended, and why a module is not compiled. Part of such a text comes from the guest, so it may be
// long, and may have any bytes.
package message

import "strings"

// Max bounds a message, in bytes: as many as Kubernetes keeps of a container's termination message.
const Max = 4 << 10

// Truncate shortens a message to Max bytes, and cuts no character in two.
func Truncate(s string) string {
	const mark = " …"
	if len(s) <= Max {
		return s
	}
	return strings.ToValidUTF8(s[:Max-len(mark)], "") + mark
}

// FirstLine returns the text before the first line break.
func FirstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// OneLine makes one line of a text that has several, and shortens it.
func OneLine(s string) string { return Truncate(strings.Join(strings.Fields(s), " ")) }
