package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/exit"
)

// asProgram names a variable. With it, this test binary is krustlet-wasi, with a fake agent. Tests
// that need a process use it: for signals, and for what the kernel does when the process exits.
const asProgram = "KRUSTLET_WASI_TEST_AGENT"

func TestMain(m *testing.M) {
	if isCompiler(os.Args) { // an engine starts its own program as the compiler; here that is this one
		os.Exit(compile(os.Args))
	}
	if os.Getenv(asConfined) != "" {
		os.Exit(confinedMain())
	}
	agent, ok := agents[os.Getenv(asProgram)]
	if !ok {
		os.Exit(m.Run())
	}
	cmdline.PrepareProcess()
	p := program{
		Process: cmdline.Process{Env: os.LookupEnv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Exit: os.Exit},
		machine: testMachine(), agent: agent,
	}
	os.Exit(p.run(os.Args[1:]))
}

// agents are used in place of runAgent.
var agents = map[string]func(context.Context, config.Config, *zap.Logger, zap.AtomicLevel) error{
	"none": noAgent,
	"wait": func(ctx context.Context, _ config.Config, _ *zap.Logger, _ zap.AtomicLevel) error {
		fmt.Println("ready")
		<-ctx.Done()
		return fmt.Errorf("watch pods: %w", ctx.Err())
	},
	"stubborn": func(ctx context.Context, _ config.Config, _ *zap.Logger, _ zap.AtomicLevel) error {
		fmt.Println("ready")
		<-ctx.Done()
		fmt.Println("stopping")
		<-make(chan struct{})
		return nil
	},
	"fail while stopping": func(ctx context.Context, _ config.Config, _ *zap.Logger, _ zap.AtomicLevel) error {
		fmt.Println("ready")
		<-ctx.Done()
		return errors.New("a disk is full")
	},
	"write until the pipe breaks": func(_ context.Context, _ config.Config, log *zap.Logger, _ zap.AtomicLevel) error {
		fmt.Println("ready")
		for {
			if _, err := fmt.Println("more"); err != nil {
				log.Info("the pipe is broken", zap.Error(err))
				return nil
			}
		}
	},
	"environment": func(context.Context, config.Config, *zap.Logger, zap.AtomicLevel) error {
		fmt.Printf("ready %q %q\n", os.Getenv("RUST_BACKTRACE"), os.Getenv("RUST_LIB_BACKTRACE"))
		return nil
	},
}

// testMachine is a host named Wasm-1.example.org with an address.
func testMachine() config.Machine {
	return config.Machine{
		Hostname: func() (string, error) { return "Wasm-1.example.org", nil },
		Lookup: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("192.0.2.7")}, nil
		},
		Interfaces: func() ([]netip.Addr, error) { return nil, nil },
	}
}

// newHome is the environment of a user without mistakes: the home directory has a bootstrap file.
func newHome(t *testing.T) map[string]string {
	t.Helper()
	home := t.TempDir()
	bootstrap := filepath.Join(home, "bootstrap.conf")
	if err := os.WriteFile(bootstrap, []byte("bootstrap"), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"HOME": home, "KRUSTLET_BOOTSTRAP_FILE": bootstrap}
}

// process is the program as a separate process.
type process struct {
	cmd    *exec.Cmd
	stdout *bufio.Reader
	stderr *bytes.Buffer
	pipe   *os.File // the reading end of stdout
}

func startProgram(t *testing.T, agent string, args ...string) *process {
	t.Helper()
	env := newHome(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.CommandContext(ctx, os.Args[0], args...), stdout: bufio.NewReader(r), stderr: &bytes.Buffer{}, pipe: r}
	p.cmd.Env = []string{
		"HOME=" + env["HOME"], "KRUSTLET_BOOTSTRAP_FILE=" + env["KRUSTLET_BOOTSTRAP_FILE"], asProgram + "=" + agent,
		"RUST_BACKTRACE=1", "RUST_LIB_BACKTRACE=full",
	}
	p.cmd.Stdout, p.cmd.Stderr = w, p.stderr
	err = p.cmd.Start()
	_ = w.Close() // the child has its own descriptor
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = p.cmd.Wait() // in most tests the process has been waited for
		_ = r.Close()
	})
	return p
}

func (p *process) awaitReady(t *testing.T) {
	t.Helper()
	if line := readLine(t, p.stdout); line != "ready" {
		t.Fatalf("got %q", line)
	}
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// wait returns the exit code.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return p.cmd.ProcessState.ExitCode()
}

func TestSignals(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run("clean stop by "+s.String(), func(t *testing.T) {
			p := startProgram(t, "wait", "--log-format=console")
			p.awaitReady(t)
			p.signal(t, s)
			if code := p.wait(t); code != exit.OK {
				t.Errorf("exit code %d, want 0:\n%s", code, p.stderr)
			}
			if out := p.stderr.String(); strings.Contains(out, "krustlet-wasi: ") || !strings.Contains(out, "stopped") {
				t.Errorf("it does not say that it stopped without an error:\n%s", out)
			}
		})
		t.Run("second "+s.String(), func(t *testing.T) {
			p := startProgram(t, "stubborn")
			p.awaitReady(t)
			p.signal(t, s)
			if line := readLine(t, p.stdout); line != "stopping" {
				t.Fatalf("got %q", line)
			}
			p.signal(t, s)
			if code := p.wait(t); code != 128+int(s) {
				t.Errorf("exit code %d, want %d:\n%s", code, 128+int(s), p.stderr)
			}
		})
	}
	t.Run("failure while stopping", func(t *testing.T) {
		p := startProgram(t, "fail while stopping", "--log-format=console")
		p.awaitReady(t)
		p.signal(t, syscall.SIGTERM)
		if code := p.wait(t); code != exit.Failure || !strings.Contains(p.stderr.String(), "\nkrustlet-wasi: a disk is full\n") {
			t.Errorf("exit code %d:\n%s", code, p.stderr)
		}
	})
}

// TestBrokenPipe: if the reader of standard output exits, the node continues.
func TestBrokenPipe(t *testing.T) {
	p := startProgram(t, "write until the pipe breaks")
	p.awaitReady(t)
	if err := p.pipe.Close(); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != exit.OK || !strings.Contains(p.stderr.String(), "the pipe is broken") {
		t.Errorf("exit code %d, want 0:\n%s", code, p.stderr)
	}
}

func TestEngineBacktracesAreOff(t *testing.T) {
	p := startProgram(t, "environment")
	if line := readLine(t, p.stdout); line != `ready "" ""` {
		t.Errorf("the agent sees %s", line)
	}
	if code := p.wait(t); code != exit.OK {
		t.Errorf("exit code %d", code)
	}
}

// result is what a user sees of a run in this process.
type result struct {
	code           int
	stdout, stderr string
}

func runHere(t *testing.T, agent func(context.Context, config.Config, *zap.Logger, zap.AtomicLevel) error, args ...string) result {
	t.Helper()
	env := newHome(t)
	var stdout, stderr bytes.Buffer
	p := program{
		Process: cmdline.Process{
			Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }, Stdout: &stdout, Stderr: &stderr,
			Exit: func(code int) { t.Errorf("exit(%d)", code) },
		},
		machine: testMachine(), agent: agent,
	}
	code := p.run(args)
	return result{code, stdout.String(), stderr.String()}
}

func noAgent(context.Context, config.Config, *zap.Logger, zap.AtomicLevel) error {
	return errors.New("the agent was started")
}

func TestBadArguments(t *testing.T) {
	for args, want := range map[string]string{
		"--nodename=x":        `unknown flag --nodename; did you mean "--node-name"?`,
		"--node_labels x=y":   `unknown flag --node_labels; did you mean "--node-labels"?`,
		"--unheard-of":        `unknown flag --unheard-of`,
		"-x":                  `unknown flag -x`,
		"--port":              `flag --port needs a value: --port=PORT`,
		"-p":                  `flag --port needs a value: --port=PORT`,
		"serve":               `unknown argument "serve"`,
		"rnu":                 `unknown argument "rnu"; did you mean "run"?`,
		"--port 1 -- x":       `unknown argument "x"`,
		"--help=perhaps":      `invalid argument "perhaps" for "-h, --help" flag`,
		"--port=1 --port=two": `flag --port: "two" is not a port`,
	} {
		t.Run(args, func(t *testing.T) {
			got := runHere(t, noAgent, strings.Fields(args)...)
			lines := strings.Split(strings.TrimSpace(got.stderr), "\n")
			if got.code != exit.Usage || got.stdout != "" || len(lines) != 2 || !strings.HasPrefix(lines[0], "krustlet-wasi: "+want) {
				t.Errorf("exit code %d, want %d, with one line that begins %q:\n%s%s", got.code, exit.Usage, want, got.stderr, got.stdout)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	for _, flag := range []string{"--version", "-V"} {
		version = "v1.2.3"
		t.Cleanup(func() { version = "" })
		got := runHere(t, noAgent, flag)
		if got.code != exit.OK || got.stderr != "" || !strings.HasPrefix(got.stdout, "krustlet-wasi v1.2.3 (") ||
			!strings.Contains(got.stdout, "kubernetes 1.36") || strings.Count(got.stdout, "\n") != 1 {
			t.Errorf("%s: %+v", flag, got)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, flag := range []string{"--help", "-h"} {
		got := runHere(t, noAgent, "--port=bad", flag)
		if got.code != exit.OK || got.stderr != "" {
			t.Fatalf("%s: exit code %d, %s", flag, got.code, got.stderr)
		}
		for _, f := range config.Flags() {
			for _, part := range []string{f.Name, f.Env, f.Arg} {
				if !strings.Contains(got.stdout, part) {
					t.Errorf("--help does not contain %q", part)
				}
			}
			if words := strings.Join(strings.Fields(got.stdout), " "); !strings.Contains(words, "default: "+f.Default) || !strings.Contains(words, f.Usage) {
				t.Errorf("--help does not give the meaning and default of %s", cmp.Or(f.Name, f.Env))
			}
		}
		if strings.Contains(got.stdout, "completion") {
			t.Errorf("--help names the command of cobra's that writes completions")
		}
		for line := range strings.Lines(got.stdout) {
			if len(line) > 100 || strings.HasSuffix(line, " \n") {
				t.Errorf("line of %d bytes: %q", len(line), line)
			}
		}
		for _, part := range []string{"Exit codes:", "Examples:", "Usage:", "SIGTERM", "\n  run ", "\n  image "} {
			if !strings.Contains(got.stdout, part) {
				t.Errorf("--help does not contain %q", part)
			}
		}
	}
}

func TestExitCodes(t *testing.T) {
	fails := func(err error) func(context.Context, config.Config, *zap.Logger, zap.AtomicLevel) error {
		return func(context.Context, config.Config, *zap.Logger, zap.AtomicLevel) error { return err }
	}
	for _, tc := range []struct {
		name  string
		agent error
		code  int
		line  string
	}{
		{"no error", nil, 0, ""},
		{"failure", errors.New("listen on port 3000: in use"), 1, "krustlet-wasi: listen on port 3000: in use"},
		{"failure of several lines", errors.New("one\ntwo"), 1, "krustlet-wasi: one; two"},
		{"several failures", errors.Join(errors.New("one"), errors.New("two")), 1, "krustlet-wasi: one\nkrustlet-wasi: two"},
		{"bad input found late", exit.BadUsage(errors.New("no CA")), 2, "krustlet-wasi: no CA\nRun 'krustlet-wasi --help' to see what can be set."},
		{"cancelled without a signal", context.Canceled, 1, "krustlet-wasi: context canceled"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := runHere(t, fails(tc.agent), "--log-format=console", "--log-level=error")
			if got.code != tc.code || strings.TrimSpace(got.stderr) != tc.line {
				t.Errorf("exit code %d, want %d, saying %q:\n%s", got.code, tc.code, tc.line, got.stderr)
			}
			got = runHere(t, fails(tc.agent), "--log-format=json", "--log-level=error")
			if got.code != tc.code || (tc.line != "") != strings.HasPrefix(got.stderr, `{"level":"error"`) || strings.Count(got.stderr, "\n") > 1 {
				t.Errorf("as JSON: exit code %d, want %d:\n%s", got.code, tc.code, got.stderr)
			}
		})
	}
}

// TestAgentGetsTheConfig runs the program with real flags, variables and file, up to the call of
// runAgent.
func TestAgentGetsTheConfig(t *testing.T) {
	var got config.Config
	res := runHere(t, func(_ context.Context, cfg config.Config, log *zap.Logger, _ zap.AtomicLevel) error {
		got = cfg
		log.Debug("debug is on")
		return nil
	}, "--node-ip", "127.0.0.1", "-p", "4000", "--x-allow-local-modules", "true", "--log-level=debug")
	if res.code != exit.OK || got.NodeIP.String() != "127.0.0.1" || got.Port != 4000 || !got.AllowLocalModules {
		t.Errorf("%+v, config %+v", res, got)
	}
	if !strings.Contains(res.stderr, "debug is on") || res.stdout != "" {
		t.Errorf("the log does not follow --log-level, or is not on standard error:\n%s", res.stderr)
	}
}

// TestBadInputWritesNothing: the program makes the data directory only after all settings are
// valid.
func TestBadInputWritesNothing(t *testing.T) {
	dir := t.TempDir() + "/data"
	if got := runHere(t, noAgent, "--data-dir="+dir, "--bootstrap-file=/nowhere/b.conf"); got.code != exit.Usage {
		t.Errorf("%+v", got)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the data directory was made: %v", err)
	}
}
