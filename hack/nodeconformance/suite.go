package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// limit is how long all tests together may take.
const limit = 2 * time.Hour

// spec is a test in Ginkgo's report.
type spec struct {
	ContainerHierarchyTexts []string
	LeafNodeText            string
	LeafNodeType            string
	State                   string
	RunTime                 time.Duration
	Failure                 struct{ Message string }
}

// name is the test's name, as Ginkgo matches it.
func (s spec) name() string {
	return strings.Join(append(s.ContainerHierarchyTexts, s.LeafNodeText), " ")
}

// runSuite runs the tests that are not left out. It returns the report about all tests of the
// suite.
func (s *site) runSuite(ctx context.Context, settings settings, skips []skip) ([]spec, error) {
	kubectl, err := s.writeKubectl()
	if err != nil {
		return nil, err
	}
	args := []string{
		fmt.Sprintf("-procs=%d", settings.processes), "--no-color", "--keep-going", "--silence-skips",
		"--timeout=" + limit.String(), "--output-dir=" + s.dir, "--json-report=report.json",
		"--label-filter=" + settings.kind.filter, "--focus=" + settings.focus.String(),
	}
	for _, one := range skips {
		args = append(args, "--skip="+one.pattern.String())
	}
	args = append(args, "bin/e2e.test", "--",
		"--provider=local", "--kubeconfig="+s.kubeconfig(), "--kubectl-path="+kubectl,
		"--dump-logs-on-failure=false", "--disable-log-dump")
	_, _ = fmt.Fprintln(s.progress, "== running the tests")
	cmd := exec.CommandContext(ctx, "bin/ginkgo", args...)
	cmd.Env = append(os.Environ(), "KUBE_TEST_REPO_LIST="+s.sourceList())
	cmd.Stdout, cmd.Stderr = s.progress, s.progress
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Minute
	failed := cmd.Run() // also set when a test fails; the report says which
	specs, err := readSpecs(filepath.Join(s.dir, "report.json"))
	if err != nil {
		return nil, errors.Join(failed, err)
	}
	return specs, ctx.Err()
}

// writeKubectl writes a script that runs the cluster's kubectl, because the suite wants kubectl as
// a program.
func (s *site) writeKubectl() (path string, err error) {
	cluster, err := filepath.Abs("bin/cluster")
	if err != nil {
		return "", err
	}
	path = filepath.Join(s.dir, "kubectl")
	script := fmt.Sprintf("#!/bin/sh\nexec %s kubectl \"$@\"\n", cluster)
	return path, os.WriteFile(path, []byte(script), 0o700) //nolint:gosec // a program
}

func readSpecs(file string) ([]spec, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var suites []struct{ SpecReports []spec }
	if err := json.Unmarshal(content, &suites); err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	var tests []spec
	for _, suite := range suites {
		for _, s := range suite.SpecReports {
			if s.LeafNodeType == "It" {
				tests = append(tests, s)
			}
		}
	}
	return tests, nil
}
