package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"
)

// result is how a server did.
type result struct {
	passed, skipped int
	failed          []failure
}

// failure is a test that a server fails.
type failure struct {
	id   string // as h2spec's command takes it
	what string
}

func (r result) tests() int { return r.passed + r.skipped + len(r.failed) }

// conform runs all tests. If a test cannot connect, h2spec ends the process.
func conform(ctx context.Context, s settings, address string) (r result, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return r, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return r, fmt.Errorf("reading the port of %s: %w", address, err)
	}
	c := &config.Config{
		Host: host, Port: number, Path: s.path, Timeout: s.patience, MaxHeaderLen: 4000,
		Strict: s.strict, TLS: s.secure, Insecure: true,
	}
	stdout := os.Stdout
	defer func() { os.Stdout = stdout }()
	os.Stdout = os.Stderr // h2spec prints there
	for _, group := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
		// A root group has no tests of its own. So this ends between sections.
		for _, section := range group.Groups {
			if ctx.Err() != nil {
				return r, ctx.Err()
			}
			section.Test(c)
			r.add(section)
		}
	}
	return r, nil
}

// add counts the tests of a group, and of those in it.
func (r *result) add(group *spec.TestGroup) {
	for i, test := range append(group.Tests, group.StrictTests...) {
		switch {
		case test.Result == nil: // a strict one
		case test.Result.Failed:
			r.failed = append(r.failed, failure{fmt.Sprintf("%s/%d", group.ID(), i+1), test.Desc})
		case test.Result.Skipped:
			r.skipped++
		default:
			r.passed++
		}
	}
	for _, g := range group.Groups {
		r.add(g)
	}
}
