package pool_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/host"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/pool"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

// TestMain is also the main function of workers, and of agents in separate processes.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "stand":
			stand()
		case "worker":
			if len(os.Args) > 2 && os.Args[2] == "--liar" {
				os.Exit(liarMain(os.Args[3:]))
			}
			if len(os.Args) > 2 && os.Args[2] == "--stand" {
				stand()
			}
			os.Exit(workerMain(os.Args[2:]))
		case "agent":
			os.Exit(agentMain(os.Args[2:]))
		}
	}
	os.Exit(m.Run())
}

// stand is a process that does nothing.
func stand() {
	fmt.Println("here")
	select {}
}

func workerMain(args []string) int {
	flags := flag.NewFlagSet("worker", flag.ExitOnError)
	dir := flags.String("dir", "", "")
	ready := flags.Int("ready-fd", 0, "")
	build := flags.String("build", "", "")
	idle := flags.Duration("idle", time.Minute, "")
	fail := flags.Bool("fail", false, "")
	_ = flags.Parse(args)
	if *fail {
		fmt.Fprintln(os.Stderr, "no memory for the engine")
		return 3
	}
	if len(os.Environ()) > 0 {
		fmt.Fprintln(os.Stderr, "there is an environment", os.Environ())
		return 4
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log, _ := zap.NewDevelopment()
	bound, err := host.Bind(*dir)
	if err == nil {
		engine := newFakeEngine()
		err = bound.Serve(ctx, host.Config{
			Engine: engine, HostCalls: engine.HostCalls, Network: engine.cluster, Build: *build, Idle: *idle, Ready: os.NewFile(uintptr(*ready), "ready"), Log: log,
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// config is the configuration of an agent. Its workers run this program.
func config(tb testing.TB, dir string) pool.Config {
	return pool.Config{
		Dir: dir, Build: "b1", Argv: []string{"/proc/self/exe", "worker", "--build=b1"}, Shards: 1,
		Compiler: compilerFunc(func(context.Context, string, string, string) error { return nil }),
		Log:      zaptest.NewLogger(tb, zaptest.Level(zap.InfoLevel)),
	}
}

// open opens a pool. The workers in its folder exit at the end of the test.
func open(tb testing.TB, cfg pool.Config) *pool.Pool {
	tb.Helper()
	p, err := pool.Open(context.Background(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		p.Close()
		endWorkers(tb, cfg.Dir)
	})
	return p
}

// workers are the running workers in a folder.
func workers(dir string) map[string]wire.Info {
	all := map[string]wire.Info{}
	folders, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, folder := range folders {
		if info, err := wire.ReadInfo(folder); err == nil && info.PID != 0 && alive(info) {
			all[folder] = info
		}
	}
	return all
}

// alive reports whether the process of a worker runs.
func alive(info wire.Info) bool {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", info.PID))
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	return len(fields) > 19 && fields[0] != "Z" && fields[19] == fmt.Sprint(info.StartTime)
}

// standStill stops a process, with all its threads.
func standStill(tb testing.TB, pid int) {
	tb.Helper()
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		tb.Fatal(err)
	}
	eventually.True(tb, "all threads stand still", func() bool {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		for _, task := range tasks {
			stat, _ := os.ReadFile(task)
			if fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])); len(fields) == 0 || fields[0] != "T" {
				return false
			}
		}
		return len(tasks) > 0
	})
}

// endWorkers ends the workers in a folder as an administrator would, and waits for their exit.
func endWorkers(tb testing.TB, dir string) {
	tb.Helper()
	for _, info := range workers(dir) {
		if pidfd, err := unix.PidfdOpen(info.PID, 0); err == nil {
			if alive(info) {
				_ = unix.PidfdSendSignal(pidfd, unix.SIGTERM, nil, 0)
			}
			unix.Close(pidfd)
		}
	}
	eventually.True(tb, "all workers have ended", func() bool { return len(workers(dir)) == 0 })
	// Some workers do not write a file about themselves, but their arguments show what they are.
	for _, pid := range processesOf(dir) {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	eventually.True(tb, "all processes have ended", func() bool { return len(processesOf(dir)) == 0 })
}

// processesOf finds the processes of workers that were started for a folder in dir. It uses their
// arguments.
func processesOf(dir string) []int {
	var all []int
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range lines {
		line, _ := os.ReadFile(file) // empty if the process has exited
		if strings.Contains(string(line), "\x00--dir="+dir+"/") {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			all = append(all, pid)
		}
	}
	return all
}

// spec is the spec of a pod's container run, with a file that counts its starts.
func spec(tb testing.TB, id, pod string, args ...string) runtime.Spec {
	return runtime.Spec{
		ID: id, Of: runtime.Origin{Pod: pod, Container: "main", Attempt: 2, ImageID: "image"},
		Module: "/module.wasm", Digest: "sha256:00", Command: runtime.Command{Args: args}, Log: filepath.Join(tb.TempDir(), "starts"),
	}
}

func mustStart(tb testing.TB, p *pool.Pool, s runtime.Spec, streams runtime.Streams) runtime.Guest {
	tb.Helper()
	process, err := p.Start(tb.Context(), s, streams)
	if err != nil {
		tb.Fatal(err)
	}
	return process
}

func exitOf(tb testing.TB, p runtime.Guest) runtime.Exit {
	tb.Helper()
	select {
	case <-p.Done():
		return p.Exit()
	case <-time.After(20 * time.Second):
		tb.Fatal("the guest does not end")
		panic("unreachable")
	}
}

// starts returns how often a spec was started.
func starts(s runtime.Spec) int {
	text, _ := os.ReadFile(s.Log)
	n := 0
	for _, b := range text {
		if b == '\n' {
			n++
		}
	}
	return n
}
