package wit

import (
	"fmt"
	"strconv"
	"strings"
)

// version is a semantic version without what follows a +.
type version struct {
	numbers [3]uint64
	pre     string
}

func parseVersion(s string) (version, error) {
	var v version
	s, _, _ = strings.Cut(s, "+")
	s, v.pre, _ = strings.Cut(s, "-")
	parts := strings.Split(s, ".")
	if len(parts) != len(v.numbers) {
		return v, fmt.Errorf("%q is no version: it does not have three numbers", s)
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 64)
		if err != nil {
			return v, fmt.Errorf("%q is no version: it has to have three numbers", s)
		}
		v.numbers[i] = n
	}
	return v, nil
}

// after reports whether a version comes after another. Versions before a release come before it,
// and in the order of their texts.
func (v version) after(w version) bool {
	for i, n := range v.numbers {
		if n != w.numbers[i] {
			return n > w.numbers[i]
		}
	}
	switch {
	case v.pre == w.pre:
		return false
	case v.pre == "" || w.pre == "":
		return v.pre == ""
	}
	return v.pre > w.pre
}
