package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func specNamed(state, container, leaf, failure string) spec {
	s := spec{ContainerHierarchyTexts: []string{container}, LeafNodeText: leaf, LeafNodeType: "It", State: state}
	s.Failure.Message = failure
	return s
}

var specs = []spec{
	specNamed("passed", "[sig-node] Pods", "should run [NodeConformance]", ""),
	specNamed("failed", "[sig-node] Pods", "should end [NodeConformance]", "Timed out\nafter 300 s"),
	specNamed("timedout", "[sig-node] Probing [NodeConformance] container", "should wait", "too long"),
	specNamed("skipped", "[sig-node] Sysctls", "should be set [NodeConformance]", ""),
	specNamed("skipped", "[sig-node] Pods", "should fly [NodeConformance]", "no wings"),
	specNamed("passed", "[sig-node] Pods", "should be of another suite", ""),
}

func TestReport(t *testing.T) {
	skips := []skip{{regexp.MustCompile("Sysctls"), "there are none"}}
	r, err := newReport(specs, kinds["node"], regexp.MustCompile(""), skips)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.sum(); got != "5 tests, 1 passed, 2 failed, 2 left out" {
		t.Error(got)
	}
	for _, want := range []string{
		"pass  [sig-node] Pods should run [NodeConformance]\n",
		"fail  [sig-node] Pods should end [NodeConformance]\n      failed: Timed out\n",
		"fail  [sig-node] Probing [NodeConformance] container should wait\n      timedout: too long\n",
		"skip  [sig-node] Sysctls should be set [NodeConformance]\n      there are none\n",
		"skip  [sig-node] Pods should fly [NodeConformance]\n      by the test itself: no wings\n",
	} {
		if !strings.Contains(r.text(), want) {
			t.Errorf("no %q in\n%s", want, r.text())
		}
	}
	for _, want := range []string{"| Pods | 1 | 1 | 1 |\n", "| Probing container | 0 | 1 | 0 |\n", "| 1 | there are none |\n"} {
		if !strings.Contains(r.page(), want) {
			t.Errorf("no %q in\n%s", want, r.page())
		}
	}
}

func TestReportOfSome(t *testing.T) {
	r, err := newReport(specs, kinds["node"], regexp.MustCompile("Probing"), nil)
	if err != nil || len(r.results) != 1 {
		t.Errorf("%d results, %v", len(r.results), err)
	}
}

// TestReportHoldsTheList: a pattern of the list that matches no test is an error.
func TestReportHoldsTheList(t *testing.T) {
	if _, err := newReport(specs, kinds["node"], regexp.MustCompile(""), []skip{{regexp.MustCompile("Gone"), "it was"}}); err == nil {
		t.Error("a pattern without a test went through")
	}
}

func TestSkipLists(t *testing.T) {
	for name, k := range kinds {
		skips, err := readSkips(k.skips)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range skips {
			if s.reason == "" || s.pattern.String() == "" {
				t.Errorf("%s: %+v", name, s)
			}
		}
		if len(skips) == 0 {
			t.Errorf("the list of %s is empty: this test looks at the wrong thing", name)
		}
	}
}

// TestKinds: each kind takes its own tests, and no others.
func TestKinds(t *testing.T) {
	for name, of := range map[string][]string{
		"[sig-node] Pods should run [NodeConformance] [Conformance]":      {"node"},
		"[sig-network] DNS should provide DNS for services [Conformance]": {"network"},
		"[sig-network] Networking http [NodeConformance] [Conformance]":   {"network", "node"},
		"[sig-network] Netpol should support [Feature:NetworkPolicy]":     {"policy"},
		"[sig-apps] Deployment should run [Conformance]":                  nil,
		"[sig-network] LoadBalancers should work [Feature:LoadBalancer]":  nil,
	} {
		var got []string
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			if kinds[kind].has(name) {
				got = append(got, kind)
			}
		}
		if !slices.Equal(got, of) {
			t.Errorf("%s is of %v, want %v", name, got, of)
		}
	}
	if _, err := kindNamed("storage"); err == nil {
		t.Error("tests of storage are known")
	}
}
