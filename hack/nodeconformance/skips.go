package main

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
)

// skip is a kind of test that is left out.
type skip struct {
	pattern *regexp.Regexp // of the tests' names
	reason  string
}

//go:embed skip.txt
var skipList string

// readSkips reads the list. A reason is on its own line. The indented lines below it are patterns
// of tests. Lines that begin with # are comments.
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
