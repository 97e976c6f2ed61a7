package pool_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// sockets are this process's connections to a worker.
func sockets(pid int) []int {
	var found []int
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, entry := range entries {
		fd, _ := strconv.Atoi(entry.Name())
		if peer, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil && int(peer.Pid) == pid {
			found = append(found, fd)
		}
	}
	return found
}

// breakConnection breaks the connections to a worker. In production only a bug would do so.
func breakConnection(tb testing.TB, pid int) {
	tb.Helper()
	all := sockets(pid)
	if len(all) == 0 {
		tb.Fatal("there is no connection")
	}
	for _, fd := range all {
		if err := unix.Shutdown(fd, unix.SHUT_RDWR); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestBrokenConnectionLosesNothing(t *testing.T) {
	dir, files := t.TempDir(), t.TempDir()
	p := open(t, config(t, dir))
	flag := filepath.Join(files, "flag")
	stays := mustStart(t, p, spec(t, "stays", "pod1", "sleep"), runtime.Streams{})
	var ends []runtime.Guest
	for i := range 20 {
		ends = append(ends, mustStart(t, p, spec(t, fmt.Sprint("ends", i), "pod1", "exit-when", flag), runtime.Streams{}))
	}
	pid := pidOf(t, dir)
	_ = os.WriteFile(flag, nil, 0o600)
	breakConnection(t, pid)
	stays.Stop(time.Minute) // while there is no connection
	stays.Stop(0)
	for _, process := range ends {
		if e := exitOf(t, process); e.Code != 3 {
			t.Errorf("exit: %+v", e)
		}
		process.Forget()
	}
	if e := exitOf(t, stays); e.Message != "killed" {
		t.Errorf("exit: %+v", e)
	}
	if n := len(p.Runs()); n != 1 {
		t.Errorf("%d runs", n)
	}
}

func TestStartGoesOnOverABrokenConnection(t *testing.T) {
	for _, kind := range []string{"slow", "stubborn"} {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			p := open(t, config(t, dir))
			mustStart(t, p, spec(t, "r0", "pod1", "sleep"), runtime.Streams{})
			flag := filepath.Join(t.TempDir(), "flag")
			s := spec(t, "r1", "pod1", kind, flag)
			type result struct {
				process runtime.Guest
				err     error
			}
			started := make(chan result, 1)
			go func() {
				process, err := p.Start(context.Background(), s, runtime.Streams{})
				started <- result{process, err}
			}()
			time.Sleep(20 * time.Millisecond) // most likely the worker has got the request by then
			breakConnection(t, pidOf(t, dir))
			time.Sleep(20 * time.Millisecond)
			_ = os.WriteFile(flag, nil, 0o600)
			r := <-started
			if r.err != nil {
				t.Fatal(r.err)
			}
			if n := starts(s); n != 1 {
				t.Errorf("%d guests of one start", n)
			}
			r.process.Stop(0)
			if e := exitOf(t, r.process); e.Message != "killed" {
				t.Errorf("exit: %+v", e)
			}
		})
	}
}

func TestPoolLeavesNothingBehind(t *testing.T) {
	cfg := config(t, t.TempDir())
	round := func(i int) {
		p := open(t, cfg)
		for _, r := range p.Runs() {
			r.Guest.Stop(0)
			exitOf(t, r.Guest)
			r.Guest.Forget()
		}
		id := fmt.Sprint("r", i)
		mustStart(t, p, spec(t, id, "pod1", "sleep"), runtime.Streams{})
		exitOf(t, mustStart(t, p, commandSpec("s"+id, "cat"), runtime.Streams{Stdin: zeros(1 << 20), Stdout: &counter{}}))
		s := spec(t, "i"+id, id, "exit", "0")
		s.Isolated = true
		process := mustStart(t, p, s, runtime.Streams{})
		exitOf(t, process)
		process.Forget()
		p.Close()
	}
	files := func() int {
		entries, _ := os.ReadDir("/proc/self/fd")
		return len(entries)
	}
	round(0)
	goroutines, open := goruntime.NumGoroutine(), files()
	for i := range 5 {
		round(i + 1)
	}
	eventually.True(t, "no more goroutines and open files than before", func() bool {
		return goruntime.NumGoroutine() <= goroutines && files() <= open
	})
}

func TestOneAgentAtATime(t *testing.T) {
	cfg := config(t, t.TempDir())
	first := open(t, cfg)
	mustStart(t, first, spec(t, "r1", "pod1", "sleep"), runtime.Streams{})
	second := open(t, cfg)
	late := spec(t, "r2", "pod1", "sleep")
	if _, err := first.Start(t.Context(), late, runtime.Streams{}); err == nil || !strings.Contains(err.Error(), "another agent has taken over the worker") {
		t.Errorf("error: %v", err)
	}
	if n := starts(late); n != 0 {
		t.Error("a guest that the new agent does not know of was started")
	}
	mustStart(t, second, spec(t, "r3", "pod1", "sleep"), runtime.Streams{})
	if n := len(second.Runs()); n != 2 {
		t.Errorf("%d runs", n)
	}
}
