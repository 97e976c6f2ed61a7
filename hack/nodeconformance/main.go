// Command nodeconformance runs the Kubernetes project's own tests against krustlet-wasi: the node
// tests, those with the tag NodeConformance, the conformance tests of sig-network, or those of
// NetworkPolicies. It starts a control plane, a name server, a registry with WASI builds of the
// tests' images, and a node that registers as a Linux node without taints, all in a network
// namespace of its own. `make nodeconformance` builds what it needs and starts it in the
// repository's root.
//
// Tests whose container program cannot exist in WASI are left out. skip.txt and the files beside it
// name them, with a reason for each. The exit code is 1 if a test fails.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
)

// settings is the content of the command line.
type settings struct {
	kind      kind
	focus     *regexp.Regexp
	processes int
	markdown  bool
	dir       string // it stays for later inspection; empty: a temporary folder
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit code: 0 if all tests passed, 1 if not, 2 for wrong arguments.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	tell := func(err error) { _, _ = fmt.Fprintln(stderr, "nodeconformance:", err) }
	s, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		tell(err)
		return 2
	case os.Getenv(inside) == "":
		code, err := inOwnNetwork(ctx, args, stdout, stderr)
		if err != nil {
			tell(err)
		}
		return code
	}
	report, err := conform(ctx, s, stderr)
	if err != nil {
		tell(err)
		return 1
	}
	text := report.text()
	if s.markdown {
		text = report.page()
	}
	_, _ = fmt.Fprint(stdout, text)
	if report.count(fail) > 0 {
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("nodeconformance", flag.ContinueOnError)
	flags.SetOutput(stderr)
	focus := flags.String("focus", "", "run only tests whose name matches this `regexp`, of the chosen tests")
	tests := flags.String("tests", "node", "what to run: node, network (conformance of sig-network) or policy (NetworkPolicies)")
	flags.IntVar(&s.processes, "procs", 12, "how many tests run at the same `time`")
	flags.BoolVar(&s.markdown, "markdown", false, "print the result as docs/conformance.md has it")
	flags.StringVar(&s.dir, "dir", "", "`folder` for all files, which is kept (default: one that is removed)")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	var err error
	if s.kind, err = kindNamed(*tests); err != nil {
		return s, err
	}
	s.focus, err = regexp.Compile(*focus)
	return s, err
}

// conform starts everything, runs the tests and stops everything.
func conform(ctx context.Context, s settings, progress io.Writer) (_ report, err error) {
	skips, err := readSkips(s.kind.skips)
	if err != nil {
		return report{}, err
	}
	dir := s.dir
	if dir == "" {
		// Not /tmp: tests write there by hostPath, and no worker may make folders beside those of
		// its node's data.
		if dir, err = os.MkdirTemp("/var/tmp", "nodeconformance-"); err != nil {
			return report{}, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return report{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return report{}, err
	}
	site := &site{dir: dir, progress: progress}
	defer func() { err = errors.Join(err, site.close()) }()
	if err := site.open(ctx); err != nil {
		return report{}, err
	}
	specs, err := site.runSuite(ctx, s, skips)
	if err != nil {
		return report{}, err
	}
	return newReport(specs, s.kind, s.focus, skips)
}
