package main

import (
	"fmt"
	"regexp"
	"strings"
)

// skip is a kind of test that is left out.
type skip struct {
	pattern *regexp.Regexp // of the tests' names
	reason  string
}

// readSkips reads a list. A reason is on its own line. The indented lines below it are patterns
// of tests. Lines that begin with # are comments.
func readSkips(list string) ([]skip, error) {
	var skips []skip
	reason := ""
	for number, line := range strings.Split(list, "\n") {
		text := strings.TrimSpace(line)
		switch {
		case text == "" || strings.HasPrefix(text, "#"):
		case line == strings.TrimLeft(line, " \t"):
			reason = text
		case reason == "":
			return nil, fmt.Errorf("reading what is left out: line %d: a pattern without a reason before it", number+1)
		default:
			pattern, err := regexp.Compile(text)
			if err != nil {
				return nil, fmt.Errorf("reading what is left out: line %d: %w", number+1, err)
			}
			skips = append(skips, skip{pattern, reason})
		}
	}
	return skips, nil
}
