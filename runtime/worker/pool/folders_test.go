package pool_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/host"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/pool"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

// twoWorkers starts a shared worker with the run r1, and the isolated worker of pod2 with r2. After
// that their agent has ended.
func twoWorkers(t *testing.T, cfg pool.Config) (shared, isolated string) {
	t.Helper()
	p := open(t, cfg)
	mustStart(t, p, spec(t, "r1", "pod1", "sleep"), runtime.Streams{})
	own := spec(t, "r2", "pod2", "sleep")
	own.Isolated = true
	mustStart(t, p, own, runtime.Streams{})
	p.Close()
	for dir, info := range workers(cfg.Dir) {
		if info.Isolated {
			isolated = dir
		} else {
			shared = dir
		}
	}
	if shared == "" || isolated == "" {
		t.Fatalf("workers: %+v", workers(cfg.Dir))
	}
	return shared, isolated
}

// goesOn fails the test unless the pool has the run, unchanged and running.
func goesOn(t *testing.T, p *pool.Pool, id, pod string) {
	t.Helper()
	r := run(t, p, id)
	if r.Of.Pod != pod || r.Of.Container != "main" || r.Of.Attempt != 2 {
		t.Errorf("run %s: %+v", id, r.Of)
	}
	select {
	case <-r.Guest.Done():
		t.Errorf("run %s has ended: %+v", id, r.Guest.Exit())
	default:
	}
}

// adoptQuickly opens a pool. This must be faster than with a worker that does not answer.
func adoptQuickly(t *testing.T, cfg pool.Config) *pool.Pool {
	t.Helper()
	began := time.Now()
	p := open(t, cfg)
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("it took %v", took)
	}
	return p
}

// TestWhatAWorkerWritesOfItself: whatever a worker writes into its folder, its pods and those of
// others continue.
func TestWhatAWorkerWritesOfItself(t *testing.T) {
	const name = "worker.json"
	write := func(text string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(text), 0o600) }
	}
	for what, leave := range map[string]func(path string) error{
		"nothing":         func(string) error { return nil },
		"empty":           write(""),
		"truncated":       write(`{"pid":12`),
		"lies":            write(fmt.Sprintf(`{"pid":%d,"startTime":1,"build":"b9","shard":7,"isolated":true,"pod":"pod2"}`, os.Getpid())),
		"pid 1":           write(`{"pid":1,"startTime":5,"build":"b1"}`),
		"negative":        write(`{"pid":-1,"build":"b1"}`),
		"nested":          write(strings.Repeat("[", 1<<20)),
		"a FIFO":          func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a folder":        func(path string) error { return os.Mkdir(path, 0o700) },
		"an endless link": func(path string) error { return os.Symlink("/dev/zero", path) },
		"a link to itself": func(path string) error {
			return os.Symlink(name, path)
		},
		"huge": func(path string) error {
			if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
				return err
			}
			return os.Truncate(path, 1<<40)
		},
	} {
		t.Run(what, func(t *testing.T) {
			cfg := config(t, t.TempDir())
			shared, _ := twoWorkers(t, cfg)
			before := workers(cfg.Dir)
			path := filepath.Join(shared, name)
			for _, path := range []string{path, path + ".new"} {
				if err := os.RemoveAll(path); err != nil {
					t.Fatal(err)
				}
				if err := leave(path); err != nil {
					t.Fatal(err)
				}
			}
			p := adoptQuickly(t, cfg)
			goesOn(t, p, "r1", "pod1")
			goesOn(t, p, "r2", "pod2")
			if after := workers(cfg.Dir); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("workers %v, before %v", after, before)
			}
			mustStart(t, p, spec(t, "r3", "pod1", "sleep"), runtime.Streams{}) // in the same worker
			if n := len(workers(cfg.Dir)); n != 2 {
				t.Errorf("%d workers", n)
			}
		})
	}
}

// TestWorkerWithoutItsSocket: a worker that cannot be reached at its own socket is killed, and no
// other process is killed.
func TestWorkerWithoutItsSocket(t *testing.T) {
	for what, leave := range map[string]func(t *testing.T, socket, other string) error{
		"missing":           func(*testing.T, string, string) error { return nil },
		"a file":            func(_ *testing.T, socket, _ string) error { return os.WriteFile(socket, []byte("text"), 0o600) },
		"a FIFO":            func(_ *testing.T, socket, _ string) error { return unix.Mkfifo(socket, 0o600) },
		"a folder":          func(_ *testing.T, socket, _ string) error { return os.Mkdir(socket, 0o700) },
		"a link to another": func(_ *testing.T, socket, other string) error { return os.Symlink(other, socket) },
		"another's":         func(_ *testing.T, socket, other string) error { return os.Link(other, socket) },
		"a stranger's": func(t *testing.T, socket, _ string) error {
			l, err := net.Listen("unix", socket)
			if err == nil {
				l.(*net.UnixListener).SetUnlinkOnClose(false)
				t.Cleanup(func() { l.Close() })
			}
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			cfg := config(t, t.TempDir())
			cfg.Patience = 3 * time.Second
			shared, isolated := twoWorkers(t, cfg)
			pid := workers(cfg.Dir)[shared].PID
			socket := filepath.Join(shared, "socket")
			if err := os.Remove(socket); err != nil {
				t.Fatal(err)
			}
			if err := leave(t, socket, filepath.Join(isolated, "socket")); err != nil {
				t.Fatal(err)
			}
			p := open(t, cfg)
			goesOn(t, p, "r2", "pod2")
			if n := len(p.Runs()); n != 1 {
				t.Errorf("%d runs", n)
			}
			eventually.True(t, "the worker has ended", func() bool { return unix.Kill(pid, 0) != nil })
			mustStart(t, p, spec(t, "r1", "pod1", "sleep"), runtime.Streams{}) // in a new worker
		})
	}
}

// TestFoldersOfNoWorker: the agent starts with any files beside the workers' folders, and kills no
// process that is not its own.
func TestFoldersOfNoWorker(t *testing.T) {
	hold := func(t *testing.T, dir string) {
		t.Helper()
		f, err := os.Open(dir)
		if err == nil {
			err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
	}
	for what, leave := range map[string]func(t *testing.T, dir string) error{
		"odd names": func(_ *testing.T, dir string) error {
			for _, name := range []string{"a\nb", "-", "...", ".json", "x.json", "shard0-", "pod-", "\xff", strings.Repeat("n", 255)} {
				if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
					return err
				}
			}
			return nil
		},
		"links": func(_ *testing.T, dir string) error {
			if err := os.Symlink("/", filepath.Join(dir, "root")); err != nil {
				return err
			}
			return os.Symlink("nowhere", filepath.Join(dir, "shard0-1.json"))
		},
		"files": func(_ *testing.T, dir string) error {
			for name, text := range map[string]string{"shard0-1.json": "{", "shard0-2.json": "", "pod-1.json": `{"isolated":true,"pod":"pod2"}`, "note": "x"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					return err
				}
			}
			return unix.Mkfifo(filepath.Join(dir, "shard0-3.json"), 0o600)
		},
		"thousands": func(_ *testing.T, dir string) error {
			for i := range 5000 {
				if err := os.Mkdir(filepath.Join(dir, fmt.Sprint("shard0-", i)), 0o700); err != nil {
					return err
				}
			}
			return nil
		},
		"held by this process": func(t *testing.T, dir string) error {
			for i := range 300 {
				folder := filepath.Join(dir, fmt.Sprint("shard0-", i))
				if err := os.Mkdir(folder, 0o700); err != nil {
					return err
				}
				hold(t, folder)
			}
			return nil
		},
		"with a record that this process holds": func(t *testing.T, dir string) error {
			folder := filepath.Join(dir, "shard0-1")
			if err := os.Mkdir(folder, 0o700); err != nil {
				return err
			}
			if err := os.WriteFile(folder+".json", []byte(`{"build":"b1"}`), 0o600); err != nil {
				return err
			}
			f, err := os.Open(folder + ".json")
			if err != nil {
				return err
			}
			t.Cleanup(func() { f.Close() })
			// The agent is this process, and does not see its own lock. So the record looks like
			// that of a worker that has exited.
			return unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_RDLCK})
		},
	} {
		t.Run(what, func(t *testing.T) {
			cfg := config(t, t.TempDir())
			twoWorkers(t, cfg)
			if err := leave(t, cfg.Dir); err != nil {
				t.Fatal(err)
			}
			p := adoptQuickly(t, cfg)
			goesOn(t, p, "r1", "pod1")
			goesOn(t, p, "r2", "pod2")
			if n := len(p.Runs()); n != 2 {
				t.Errorf("%d runs: %+v", n, p.Runs())
			}
			mustStart(t, p, spec(t, "r3", "pod1", "sleep"), runtime.Streams{})
			if n := len(workers(cfg.Dir)); n != 2 {
				t.Errorf("%d workers", n)
			}
		})
	}
}

// TestFolderLockedByAnother: any process of the user can lock a new worker's folder. The worker
// starts anyway. It does not start if a process holds the record.
func TestFolderLockedByAnother(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shard0-1")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+".json", []byte(`{"build":"b1","shard":3}`), 0o600); err != nil {
		t.Fatal(err)
	}
	other, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := unix.Flock(int(other.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	held := exec.Command("/proc/self/exe", "worker", "--dir="+dir, "--build=b1", "--ready-fd=3")
	held.Env, held.Stderr = []string{}, os.Stderr
	ready, told, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	held.ExtraFiles = []*os.File{told}
	if err := held.Start(); err != nil {
		t.Fatal(err)
	}
	defer held.Wait()
	defer held.Process.Kill()
	told.Close()
	if word, _ := io.ReadAll(ready); string(word) != "ready\n" {
		t.Fatalf("the worker says %q", word)
	}
	if info, err := wire.ReadInfo(dir); err != nil || info.PID != held.Process.Pid || info.Shard != 3 || info.Build != "b1" {
		t.Errorf("the worker is %+v, %v", info, err)
	}
	if _, err := host.Bind(dir); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("is held by process %d", held.Process.Pid)) {
		t.Errorf("a second worker of the folder: %v", err)
	}
}

// TestSilentWorkerKeepsNothing: the agent starts although one worker does not answer, and the pods
// of the other workers continue.
func TestSilentWorkerKeepsNothing(t *testing.T) {
	t.Parallel()
	cfg := config(t, t.TempDir())
	cfg.Patience = 3 * time.Second
	shared, _ := twoWorkers(t, cfg)
	pid := workers(cfg.Dir)[shared].PID
	standStill(t, pid)
	p, err := pool.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	goesOn(t, p, "r2", "pod2")
	if n := len(p.Runs()); n != 1 {
		t.Errorf("%d runs", n)
	}
}
