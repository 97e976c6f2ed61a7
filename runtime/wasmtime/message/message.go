// Package message bounds the texts about guests and modules that leave the engine: how a guest
// ended, and why a module cannot be compiled. A part of such a text comes from the guest, so it may
// be long and may have any bytes.
package message

import "strings"

// Max bounds a message, in bytes. Kubernetes keeps the same length of a container's termination
// message.
const Max = 4 << 10

// Truncate shortens a message to Max bytes. It never cuts inside a character.
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

// OneLine joins the lines of a text to one line, and shortens it.
func OneLine(s string) string { return Truncate(strings.Join(strings.Fields(s), " ")) }
