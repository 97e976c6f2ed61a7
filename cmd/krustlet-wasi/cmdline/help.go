package cmdline

import (
	"fmt"
	"strings"
)

// Help returns the help text of the flag.
func (f Flag) Help() string {
	var b strings.Builder
	value := ""
	if f.Arg != "" {
		value = "=" + f.Arg
	}
	switch {
	case f.Name == "":
		fmt.Fprintf(&b, "      %s%s (environment variable only)\n", f.Env, value)
	case f.Short != "":
		fmt.Fprintf(&b, "  -%s, --%s%s\n", f.Short, f.Name, value)
	default:
		fmt.Fprintf(&b, "      --%s%s\n", f.Name, value)
	}
	facts := "default: " + f.Default
	if f.Name != "" && f.Env != "" {
		facts = "[$" + f.Env + "] " + facts
	}
	const indent = "        "
	for _, text := range []string{f.Usage, facts} {
		for _, line := range wrap(text, 80-len(indent)) {
			b.WriteString(indent + line + "\n")
		}
	}
	return b.String()
}

// wrap breaks text between words into lines of at most width bytes. A longer word has a line of its
// own.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
