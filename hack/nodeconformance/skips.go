package main

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
)

// skip is a kind of test that is left out.
type skip struct {
	pattern *regexp.Regexp // of names
	reason  string
}

//go:embed skip.txt
var skipList string

// readSkips reads the list: a reason on a line of its own, and below it, indented, the patterns of
// the tests that it is about. Lines that begin with # are comments.
func readSkips() ([]skip, error) {
	var skips []skip
	reason := ""
	for number, line := range strings.Split(skipList, "\n") {
		text := strings.TrimSpace(line)
		switch {
		case text == "" || strings.HasPrefix(text, "#"):
		case line == strings.TrimLeft(line, " \t"):
			reason = text
		case reason == "":
			return nil, fmt.Errorf("skip.txt:%d: a pattern without a reason before it", number+1)
		default:
			pattern, err := regexp.Compile(text)
			if err != nil {
				return nil, fmt.Errorf("skip.txt:%d: %w", number+1, err)
			}
			skips = append(skips, skip{pattern, reason})
		}
	}
	return skips, nil
}
