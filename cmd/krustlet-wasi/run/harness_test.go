package run

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime"
)

// asProgram names a variable. With it, this test binary is a krustlet-wasi that has only the
// command run. So each run has its own process.
const asProgram = "KRUSTLET_WASI_TEST_RUN"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == wasmtime.CompileCommand { // an engine starts its own program as the compiler
		os.Exit(wasmtime.CompileMain(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	cmdline.PrepareProcess()
	os.Exit(runProgram(cmdline.Process{
		Env: os.LookupEnv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Exit: os.Exit,
	}, os.Args[1:]))
}

func runProgram(p cmdline.Process, args []string) int {
	root := &cobra.Command{Use: "krustlet-wasi"}
	root.AddCommand(Program{Process: p, Version: "test", Compiler: []string{"/proc/self/exe", wasmtime.CompileCommand}}.Command())
	return cmdline.Execute(root, args, p.Stderr)
}

// result is what a user sees of a run.
type result struct {
	code           int
	stdout, stderr string
}

// runHere runs the program in this process.
func runHere(t *testing.T, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := runProgram(cmdline.Process{
		Env: os.LookupEnv, Stdout: &stdout, Stderr: &stderr, Exit: func(code int) { t.Errorf("exit(%d)", code) },
	}, args)
	return result{code, stdout.String(), stderr.String()}
}

// Modules of a few bytes, written by hand.
var (
	emptyModule = []byte("\x00asm\x01\x00\x00\x00")
	component   = []byte("\x00asm\x0d\x00\x01\x00")
	// (module (func (export "_start") unreachable))
	trapModule = []byte("\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00" +
		"\x07\x0a\x01\x06_start\x00\x00" + "\x0a\x05\x01\x03\x00\x00\x0b")
)

// runner has what the user of a run has: a home, and an own folder for temporary files. All tests
// share one cache of compiled code.
type runner struct {
	t     testing.TB
	tmp   string
	cache string // empty: the default in home
	home  string
	dir   string // the working directory
	env   []string
	stdin io.Reader
	shell string // a shell command; its "$@" is the program and its arguments
}

func newRunner(t testing.TB) *runner {
	return &runner{t: t, tmp: t.TempDir(), home: t.TempDir(), dir: t.TempDir(), cache: filepath.Dir(guests.CacheDir(t))}
}

// kitchen is the path of the guest that most tests run.
func kitchen(t testing.TB) string { return guests.Build(t, "kitchen") }

// file writes a file into the working directory and returns its absolute path.
func (r *runner) file(name string, content []byte) string {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		r.t.Fatal(err)
	}
	return path
}

func (r *runner) command(ctx context.Context, args ...string) *exec.Cmd {
	all := []string{"run"}
	if r.cache != "" {
		all = append(all, "--cache-dir="+r.cache)
	}
	all = append(all, args...)
	cmd := exec.CommandContext(ctx, os.Args[0], all...)
	if r.shell != "" {
		cmd = exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", r.shell, os.Args[0], os.Args[0]}, all...)...)
	}
	cmd.Dir = r.dir
	cmd.Env = append([]string{asProgram + "=1", "TMPDIR=" + r.tmp, "PATH=" + os.Getenv("PATH"), "GOCOVERDIR=" + r.tmp}, r.env...)
	if r.home != "" {
		cmd.Env = append(cmd.Env, "HOME="+r.home)
	}
	cmd.Stdin = r.stdin
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// run runs the program to its end. It checks that nothing stays in the folder for temporary files.
func (r *runner) run(args ...string) result {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := r.command(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatalf("run %q: %v\n%s", args, err, &stderr)
	}
	r.checkClean()
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// ok runs the program. The program must succeed, and print only what the guest prints.
func (r *runner) ok(args ...string) (stdout string) {
	r.t.Helper()
	got := r.run(args...)
	if got.code != 0 || got.stderr != "" {
		r.t.Fatalf("run %q: exit code %d, standard error:\n%s", args, got.code, got.stderr)
	}
	return got.stdout
}

func (r *runner) checkClean() {
	r.t.Helper()
	left, err := os.ReadDir(r.tmp)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, entry := range left {
		r.t.Errorf("%s is left behind in the folder for temporary files", entry.Name())
	}
}

// running is the running program.
type running struct {
	*runner
	cmd    *exec.Cmd
	stdin  *os.File // nil if the runner has its own stdin
	stdout *bufio.Reader
	pipe   *os.File // the reading end of stdout
	stderr *bytes.Buffer
}

func (r *runner) start(args ...string) *running {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	p := &running{runner: r, cmd: r.command(ctx, args...), stderr: &bytes.Buffer{}}
	in, stdin, err := os.Pipe()
	if err != nil {
		r.t.Fatal(err)
	}
	stdout, out, err := os.Pipe()
	if err != nil {
		r.t.Fatal(err)
	}
	p.stdin, p.pipe, p.stdout = stdin, stdout, bufio.NewReader(stdout)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = in, out, p.stderr
	err = p.cmd.Start()
	_, _ = in.Close(), out.Close() // the child has its own descriptors
	r.t.Cleanup(func() {
		cancel()
		_ = p.cmd.Wait() // in most tests the program has been waited for
		_, _ = stdin.Close(), stdout.Close()
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// await waits for a line of standard output.
func (p *running) await(line string) {
	p.t.Helper()
	got, err := p.stdout.ReadString('\n')
	if err != nil {
		code := p.wait() // after that, its messages are complete
		p.t.Fatalf("after %q: %v; exit code %d, standard error:\n%s", got, err, code, p.stderr)
	}
	if got != line+"\n" {
		p.t.Fatalf("got the line %q, want %q", got, line)
	}
}

func (p *running) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait returns the exit code.
func (p *running) wait() int {
	p.t.Helper()
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	p.checkClean()
	return p.cmd.ProcessState.ExitCode()
}

// ended waits for the exit code. The program must exit soon.
func (p *running) ended(code int) {
	p.t.Helper()
	begin := time.Now()
	if got := p.wait(); got != code {
		p.t.Errorf("exit code %d, want %d; standard error:\n%s", got, code, p.stderr)
	}
	// The limit is much longer than needed, because the machine may be busy.
	if took := time.Since(begin); took > killPatience || strings.Contains(p.stderr.String(), "left behind") {
		p.t.Errorf("it took %v to end; standard error:\n%s", took, p.stderr)
	}
}

func lines(all ...string) string { return strings.Join(all, "\n") + "\n" }
