package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
)

// counts has the number of commands by their type and result.
type counts map[[2]string]int

func (c counts) add(kind, result string) { c[[2]string{kind, result}]++ }

func (c counts) failed() bool {
	for key := range c {
		if key[1] == failed {
			return true
		}
	}
	return false
}

func (c counts) print(out io.Writer) {
	keys := slices.SortedFunc(maps.Keys(c), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	for _, k := range keys {
		_, _ = fmt.Fprintf(out, "%-22s %-8s %5d\n", k[0], k[1], c[k])
	}
}
