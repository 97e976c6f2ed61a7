package pool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/spans"
)

// fakeEngine runs Go functions as guests: Args[0] names the function. Each start that succeeds adds
// a line to the file Spec.Log, if it is set.
type fakeEngine struct {
	spans.Recorder
	cluster *fakeCluster

	mu     sync.Mutex
	runs   map[string]*fakeGuest
	starts uint64
}

type fakeGuest struct {
	engine    *fakeEngine
	spec      runtime.Spec
	startedAt time.Time
	killed    chan struct{}
	kill      func()
	done      chan struct{}
	exit      runtime.Exit

	mu       sync.Mutex
	attached []runtime.Streams
	limits   runtime.Limits
}

func newFakeEngine() *fakeEngine {
	return &fakeEngine{runs: map[string]*fakeGuest{}, cluster: newFakeCluster()}
}

func (e *fakeEngine) Start(ctx context.Context, spec runtime.Spec, streams runtime.Streams) (runtime.Guest, error) {
	if err := fakeStart(ctx, spec); err != nil {
		return nil, err
	}
	if spec.Log != "" {
		f, err := os.OpenFile(spec.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(f, "%s %d\n", spec.ID, os.Getpid())
		f.Close()
	}
	g := &fakeGuest{engine: e, spec: spec, startedAt: time.Now(), done: make(chan struct{}), killed: make(chan struct{})}
	g.kill = sync.OnceFunc(func() { close(g.killed) })
	e.mu.Lock()
	e.runs[spec.ID] = g
	e.starts++
	e.mu.Unlock()
	go g.run(streams)
	return g, nil
}

// fakeStart fails, or waits for a file, as Args say. "slow" stops waiting when it is cancelled;
// "stubborn" does not.
func fakeStart(ctx context.Context, spec runtime.Spec) error {
	switch spec.Args[0] {
	case "bad":
		return errors.New("start /module.wasm: magic header not detected \xff")
	case "full":
		return fmt.Errorf("start: %w: it holds 2 guests", runtime.ErrFull)
	case "compiled":
		if _, err := os.Stat(spec.Module); err != nil {
			return fmt.Errorf("start: no such code: %w", runtime.ErrNotCompiled)
		}
	case "panic":
		panic("on purpose")
	case "die":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "slow", "stubborn":
		for {
			if _, err := os.Stat(spec.Args[1]); err == nil {
				return nil
			}
			if spec.Args[0] == "slow" && ctx.Err() != nil {
				return ctx.Err()
			}
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

func (g *fakeGuest) run(streams runtime.Streams) {
	exit := runtime.Exit{Code: g.main(streams), Reason: runtime.Completed}
	if exit.Code != 0 {
		exit.Reason = runtime.Error
	}
	select {
	case <-g.killed:
		exit = runtime.Exit{Code: 137, Reason: runtime.Error, Message: "killed"}
	default:
	}
	exit.StartedAt, exit.FinishedAt = g.startedAt, time.Now()
	g.exit = exit
	if g.spec.Of.Container == "" {
		g.Forget()
	}
	close(g.done)
}

// main is the guest. It ends when it is killed, even if its function does not return.
func (g *fakeGuest) main(streams runtime.Streams) int32 {
	result := make(chan int32, 1)
	go func() { result <- g.program(streams) }()
	select {
	case code := <-result:
		return code
	case <-g.killed:
		return 137
	}
}

func (g *fakeGuest) program(streams runtime.Streams) int32 {
	switch g.spec.Args[0] {
	case "exit":
		code, _ := strconv.Atoi(g.spec.Args[1])
		return int32(code)
	case "exit-when": // when the file exists
		for {
			if _, err := os.Stat(g.spec.Args[1]); err == nil {
				return 3
			}
			time.Sleep(time.Millisecond)
		}
	case "cat":
		if _, err := io.Copy(streams.Stdout, streams.Stdin); err != nil {
			return 1
		}
		return 0
	case "count": // reads to the end and prints the number of bytes
		n, _ := io.Copy(io.Discard, streams.Stdin)
		fmt.Fprintf(streams.Stdout, "%d", n)
		return 0
	case "write": // N bytes
		n, _ := strconv.Atoi(g.spec.Args[1])
		buf := make([]byte, 64<<10)
		for ; n > 0; n -= len(buf) {
			if _, err := streams.Stdout.Write(buf[:min(n, len(buf))]); err != nil {
				return 1
			}
		}
		return 0
	case "both":
		fmt.Fprint(streams.Stdout, "out")
		fmt.Fprint(streams.Stderr, "err")
		return 7
	case "answer": // answers a request for itself and claims one of the run in Args[1], again and again
		for {
			for _, run := range []string{g.spec.ID, g.spec.Args[1]} {
				if span, kept := g.engine.Begin([]string{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}); kept {
					span.Run, span.Method, span.Path, span.Status, span.Server = run, "GET", "/a", 200, "127.0.0.1:80"
					g.engine.Add(span)
				}
			}
			time.Sleep(time.Millisecond)
		}
	case "sets": // ends with the number of address sets that the worker knows
		return int32(g.engine.cluster.known())
	case "refused": // the network refuses something to itself, and to the pod in Args[1]
		for _, pod := range []string{g.spec.Of.Pod, g.spec.Args[1]} {
			g.engine.cluster.refuse(pod)
		}
		return 0
	case "talk": // writes to all attached clients
		for i := 0; ; i++ {
			g.mu.Lock()
			for _, s := range g.attached {
				fmt.Fprintf(s.Stdout, "%d\n", i)
			}
			g.mu.Unlock()
			time.Sleep(time.Millisecond)
		}
	default:
		<-g.killed
		return 137
	}
}

func (e *fakeEngine) Runs() []runtime.Run {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []runtime.Run
	for _, g := range slices.Collect(maps.Values(e.runs)) {
		if g.spec.Of.Container != "" {
			out = append(out, runtime.Run{ID: g.spec.ID, Of: g.spec.Of, StartedAt: g.startedAt, Guest: g})
		}
	}
	return out
}

// HostCalls returns ten calls of one function for each start.
func (e *fakeEngine) HostCalls() map[string]uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return map[string]uint64{"fd_write": 10 * e.starts, "fd_read": 0}
}

func (e *fakeEngine) Stats(context.Context) map[string]runtime.Stats {
	all := map[string]runtime.Stats{}
	for _, r := range e.Runs() {
		all[r.ID] = r.Guest.Stats()
	}
	return all
}

func (g *fakeGuest) Done() <-chan struct{} { return g.done }
func (g *fakeGuest) Exit() runtime.Exit    { return g.exit }

func (g *fakeGuest) Stop(grace time.Duration) {
	if grace <= 0 {
		g.kill()
		return
	}
	time.AfterFunc(grace, g.kill)
}

// Stats returns the memory from the last Resize.
func (g *fakeGuest) Stats() runtime.Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	used := runtime.Stats{CPU: time.Second, Throttled: time.Millisecond, Memory: max(g.limits.Memory, 65536)}
	if g.spec.Args[0] == "answer" {
		used.HTTP = &runtime.HTTPStats{Answers: map[int]uint64{200: 7}, Instances: int64(g.spec.HTTP.Instances)}
	}
	return used
}

// Resize refuses a limit of one thousandth.
func (g *fakeGuest) Resize(_ context.Context, limits runtime.Limits) error {
	if limits.CPU == 1 {
		return errors.New("too little")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits = limits
	return nil
}

func (g *fakeGuest) Attach(ctx context.Context, streams runtime.Streams) error {
	if streams.Stdin != nil && !g.spec.Stdin {
		return fmt.Errorf("attach: %w", runtime.ErrStdin)
	}
	if streams.Stdin != nil {
		n, _ := io.Copy(io.Discard, streams.Stdin)
		fmt.Fprintf(streams.Stdout, "read %d", n)
		return nil
	}
	g.mu.Lock()
	g.attached = append(g.attached, streams)
	g.mu.Unlock()
	select {
	case <-g.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *fakeGuest) Forget() {
	g.engine.mu.Lock()
	defer g.engine.mu.Unlock()
	delete(g.engine.runs, g.spec.ID)
}

// compilerFunc makes a pool.Compiler from a function.
type compilerFunc func(ctx context.Context, pod, digest, file string) error

func (f compilerFunc) Compile(ctx context.Context, pod, digest, file string) error {
	return f(ctx, pod, digest, file)
}
