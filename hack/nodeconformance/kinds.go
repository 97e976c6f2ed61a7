package main

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// kind is a part of Kubernetes' end-to-end tests.
type kind struct {
	filter string   // Ginkgo's, of labels
	tags   []string // what each test's name contains
	skips  string   // the list of those that are left out
}

//go:embed skip.txt
var skipNode string

//go:embed skip-network.txt
var skipNetwork string

//go:embed skip-policy.txt
var skipPolicy string

// kinds are what can be run. Every test of node conformance has the label NodeConformance, also in
// brackets in its name; the others likewise.
var kinds = map[string]kind{
	"node":    {"NodeConformance", []string{"[NodeConformance]"}, skipNode},
	"network": {"Conformance && sig-network", []string{"[sig-network]", "[Conformance]"}, skipNetwork},
	"policy":  {"Feature: containsAny NetworkPolicy", []string{"[Feature:NetworkPolicy]"}, skipPolicy},
}

func kindNamed(name string) (kind, error) {
	k, known := kinds[name]
	if !known {
		return k, fmt.Errorf("-tests is %q, and not one of %s", name, strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
	}
	return k, nil
}

// has reports whether a test is of the kind.
func (k kind) has(name string) bool {
	return !slices.ContainsFunc(k.tags, func(tag string) bool { return !strings.Contains(name, tag) })
}
