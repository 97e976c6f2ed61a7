package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// outcome says whether a test passed.
type outcome string

const (
	pass outcome = "pass"
	fail outcome = "fail"
	left outcome = "skip"
)

// result is the result of one test. why is the failure, or the reason why it was left out.
type result struct {
	name    string
	area    string
	outcome outcome
	why     string
}

type report struct{ results []result }

// newReport reports the tests of a kind that focus selects. If a pattern of the list matches no
// test, that is an error, so that the list stays up to date.
func newReport(specs []spec, k kind, focus *regexp.Regexp, skips []skip) (report, error) {
	var r report
	used := map[string]bool{}
	for _, s := range specs {
		name := s.name()
		if !k.has(name) {
			continue
		}
		one := result{name: name, area: s.area()}
		if i := slices.IndexFunc(skips, func(s skip) bool { return s.pattern.MatchString(name) }); i >= 0 {
			used[skips[i].pattern.String()] = true
			one.outcome, one.why = left, skips[i].reason
		} else {
			one.outcome, one.why = s.judge()
		}
		if focus.MatchString(name) {
			r.results = append(r.results, one)
		}
	}
	for _, one := range skips {
		if !used[one.pattern.String()] {
			return report{}, fmt.Errorf("reading what is left out: no test has a name with %q, or an earlier line has it already", one.pattern)
		}
	}
	slices.SortFunc(r.results, func(a, b result) int { return strings.Compare(a.name, b.name) })
	return r, nil
}

func (s spec) judge() (outcome, string) {
	reason, _, _ := strings.Cut(s.Failure.Message, "\n")
	switch s.State {
	case "passed":
		return pass, ""
	case "skipped":
		return left, "by the test itself: " + reason
	}
	return fail, fmt.Sprintf("%s: %s", s.State, reason)
}

func (r report) count(o outcome) int {
	n := 0
	for _, one := range r.results {
		if one.outcome == o {
			n++
		}
	}
	return n
}

// text is the result of each test.
func (r report) text() string {
	var w strings.Builder
	for _, one := range r.results {
		fmt.Fprintf(&w, "%s  %s\n", one.outcome, one.name)
		if one.why != "" {
			fmt.Fprintf(&w, "      %s\n", one.why)
		}
	}
	fmt.Fprintln(&w, r.sum())
	return w.String()
}

func (r report) sum() string {
	return fmt.Sprintf("%d tests, %d passed, %d failed, %d left out", len(r.results), r.count(pass), r.count(fail), r.count(left))
}

// page is the result in the form of docs/conformance.md.
func (r report) page() string {
	var w strings.Builder
	counts := map[string]map[outcome]int{}
	reasons := map[string]int{}
	for _, one := range r.results {
		if counts[one.area] == nil {
			counts[one.area] = map[outcome]int{}
		}
		counts[one.area][one.outcome]++
		if one.outcome == left {
			reasons[one.why]++
		}
	}
	fmt.Fprintln(&w, "| area | pass | fail | left out |\n|---|---|---|---|")
	for _, area := range slices.Sorted(maps.Keys(counts)) {
		c := counts[area]
		fmt.Fprintf(&w, "| %s | %d | %d | %d |\n", area, c[pass], c[fail], c[left])
	}
	fmt.Fprintf(&w, "\n%s\n\n| left out | why |\n|---|---|\n", r.sum())
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		fmt.Fprintf(&w, "| %d | %s |\n", reasons[reason], reason)
	}
	for _, one := range r.results {
		if one.outcome == fail {
			fmt.Fprintf(&w, "\nfailed: %s: %s\n", one.name, one.why)
		}
	}
	return w.String()
}

// tags are the parts of a name in brackets.
var tags = regexp.MustCompile(`\s*\[[^\]]*\]\s*`)

// area is the part of the suite to which the test belongs.
func (s spec) area() string {
	if len(s.ContainerHierarchyTexts) == 0 {
		return "others"
	}
	return strings.TrimSpace(tags.ReplaceAllString(s.ContainerHierarchyTexts[0], " "))
}
