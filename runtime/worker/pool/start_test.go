package pool_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

func TestContainerRunsAndStops(t *testing.T) {
	p := open(t, config(t, t.TempDir()))
	s := spec(t, "r1", "pod1", "sleep")
	process := mustStart(t, p, s, runtime.Streams{})
	if runs := p.Runs(); len(runs) != 1 || runs[0].ID != "r1" || runs[0].Of != s.Of || runs[0].StartedAt.IsZero() {
		t.Fatalf("runs: %+v", runs)
	}
	if got := process.Stats(); got != (runtime.Stats{CPU: time.Second, Throttled: time.Millisecond, Memory: 65536}) {
		t.Errorf("stats: %+v", got)
	}
	process.Stop(time.Hour)
	process.Stop(0)
	if e := exitOf(t, process); e.Code != 137 || e.Reason != runtime.Error || e.Message != "killed" || e.StartedAt.IsZero() || e.FinishedAt.Before(e.StartedAt) {
		t.Errorf("exit: %+v", e)
	}
	if len(p.Runs()) != 1 {
		t.Error("a run that ended was forgotten too early")
	}
	process.Forget()
	if len(p.Runs()) != 0 {
		t.Error("a run was not forgotten")
	}
}

func TestExitCodeComesBack(t *testing.T) {
	cfg := config(t, t.TempDir())
	p := open(t, cfg)
	for i := range 50 {
		process := mustStart(t, p, spec(t, fmt.Sprint("r", i), "pod1", "exit", "5"), runtime.Streams{})
		if e := exitOf(t, process); e.Code != 5 || e.Reason != runtime.Error {
			t.Fatalf("exit: %+v", e)
		}
		process.Forget()
	}
	if n := len(workers(cfg.Dir)); n != 1 {
		t.Errorf("%d workers for one shard", n)
	}
}

func TestStartErrorsKeepTextAndClass(t *testing.T) {
	dir := t.TempDir()
	compiles := 0
	cfg := config(t, dir)
	cfg.Compiler = compilerFunc(func(_ context.Context, pod, _, file string) error {
		if pod != "pod1" {
			t.Errorf("compiled on the account of %q", pod)
		}
		if compiles++; compiles > 1 && filepath.IsAbs(file) && strings.HasPrefix(file, dir) {
			return os.WriteFile(file, nil, 0o600)
		}
		return nil
	})
	p := open(t, cfg)
	fails := func(want string, args ...string) error {
		t.Helper()
		_, err := p.Start(t.Context(), spec(t, "r1", "pod1", args...), runtime.Streams{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("%v: error %v, want %q", args, err, want)
		}
		return err
	}
	fails("start /module.wasm: magic header not detected", "bad")
	if err := fails("start: the engine is full: it holds 2 guests", "full"); !errors.Is(err, runtime.ErrFull) {
		t.Errorf("not ErrFull: %v", err)
	}
	fails("on purpose", "panic")

	compiles = 0
	if err := fails("start: no such code: the module is not compiled", "compiled"); !errors.Is(err, runtime.ErrNotCompiled) || compiles != 2 {
		t.Errorf("error %v after %d compilations", err, compiles)
	}
	compiles = 0
	s := spec(t, "r2", "pod1", "compiled")
	s.Module = filepath.Join(t.TempDir(), "module")
	cfg.Compiler = nil
	dir = filepath.Dir(s.Module)
	mustStart(t, p, s, runtime.Streams{})
	if len(p.Runs()) != 1 {
		t.Errorf("failed starts are runs: %+v", p.Runs())
	}
}

func TestCancelledStartLeavesNothing(t *testing.T) {
	for _, kind := range []string{"slow", "stubborn"} {
		t.Run(kind, func(t *testing.T) {
			cfg := config(t, t.TempDir())
			p := open(t, cfg)
			mustStart(t, p, spec(t, "r0", "pod1", "sleep"), runtime.Streams{})
			gate := filepath.Join(t.TempDir(), "gate")
			s := spec(t, "r1", "pod1", kind, gate)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			time.AfterFunc(100*time.Millisecond, func() { _ = os.WriteFile(gate, nil, 0o600) })
			if _, err := p.Start(ctx, s, runtime.Streams{}); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("error: %v", err)
			}
			p.Close()
			if runs := open(t, cfg).Runs(); len(runs) != 1 || runs[0].ID != "r0" {
				t.Errorf("the worker has runs: %+v", runs)
			}
		})
	}
}
