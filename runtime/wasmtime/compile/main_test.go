package compile

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/codecache"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/processor"
)

// engine makes as many bytes of code as the module has.
var engine = Engine{Key: "test", Compile: func(wasm []byte, _ Form) (code, info []byte, err error) {
	if len(wasm) == 0 {
		return nil, nil, errors.New("no\n  module")
	}
	return wasm, nil, nil
}}

// TestMain lets the test binary act as the process that compiles.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Command {
		os.Exit(Main(engine, os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

var digest = "sha256:" + strings.Repeat("a", 64)

func TestCompileMainIsToldWhatItMayTake(t *testing.T) {
	good := arguments(job{digest: digest, form: AsPart, size: 1, code: 1}, bounds{memory: 1}, 1)
	if _, _, _, err := parseArguments(good); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, good[:6], append(good[1:], "1"), append(good[:6:6], "-1"), append(good[:6:6], "x"), append(good, "1"), append([]string{"other"}, good[1:]...)} {
		var out, errs bytes.Buffer
		if code := Main(engine, args, strings.NewReader(""), &out, &errs); code != exitMisused || errs.Len() == 0 || out.Len() != 0 {
			t.Errorf("%v: code %d, %q", args, code, errs.String())
		}
	}
}

// TestProcessIsBound: when the process waits for its module, all its threads have the priority of
// guests, and the kernel limits its output.
func TestProcessIsBound(t *testing.T) {
	j := job{digest: digest, form: AsCommand, size: 1, code: 1 << 20}
	args := arguments(j, bounds{memory: 1 << 30, nice: processor.GuestNice}, 60)
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", append([]string{Command}, args...)...)
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	own, err := processor.Current()
	if err != nil {
		t.Fatal(err)
	}
	low := func() bool {
		tasks, err := filepath.Glob("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/task/*")
		if err != nil || len(tasks) == 0 {
			t.Fatalf("no threads: %v", err)
		}
		return !slices.ContainsFunc(tasks, func(task string) bool {
			thread, _ := strconv.Atoi(filepath.Base(task)) // the names are the kernel's numbers
			is, err := unix.Getpriority(unix.PRIO_PROCESS, thread)
			return err == nil && 20-is != min(int(own)+processor.GuestNice, 19)
		})
	}
	for end := time.Now().Add(2 * time.Minute); !low(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not all threads have the priority")
		}
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/limits")
	if err != nil {
		t.Fatal(err)
	}
	limits := strings.Join(strings.Fields(string(text)), " ")
	for _, limit := range []string{"Max file size 1048576 1048576", "Max core file size 0 0", "Max cpu time 60 60"} {
		if !strings.Contains(limits, limit) {
			t.Errorf("no %q in %s", limit, limits)
		}
	}
	_ = stdin.Close()
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInput {
		t.Errorf("nothing is not the module: %v", err)
	}
}

// TestJob: the size of the compiled code is limited, too. TestProcessIsBound tests the kernel's
// limit.
func TestJob(t *testing.T) {
	wasm := bytes.Repeat([]byte("x"), 1000)
	most := codecache.FileSize(wasm, nil)
	run := func(wasm []byte, code int64) error {
		j := job{digest: codecache.DigestOf(wasm), size: int64(len(wasm)), code: code}
		return j.run(engine, bytes.NewReader(wasm), &bytes.Buffer{})
	}
	if err := run(wasm, most); err != nil {
		t.Errorf("as much as it may: %v", err)
	}
	var refused *RefusedError
	if err := run(wasm, most-1); !errors.As(err, &refused) {
		t.Errorf("more than it may: %v", err)
	}
	if err := run(nil, most); !errors.As(err, &refused) || err.Error() != "no module" {
		t.Errorf("refused by the engine: %v", err)
	}
	other := job{digest: digest, size: int64(len(wasm)), code: most}
	if err := other.run(engine, bytes.NewReader(wasm), &bytes.Buffer{}); !errors.Is(err, errInput) {
		t.Errorf("another module: %v", err)
	}
}
