package wasmtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	goruntime "runtime"
	"runtime/debug"
	"sync"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"
	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/logfile"
)

// Config is what an engine needs.
type Config struct {
	// CacheDir is the folder for compiled code. It is made, with mode 0700, if it is missing.
	CacheDir string
	// Log gets what concerns the engine and not one guest's own output.
	Log *zap.Logger
	// MaxMemory bounds the linear memory of a guest whose Spec has no limit, in bytes; 0 leaves it to
	// WebAssembly's own bound of 4 GiB.
	MaxMemory int64
}

// Engine runs guests in this process. It implements runtime.Engine.
type Engine struct {
	cfg     Config
	native  *wasmtimego.Engine
	modules *modules
	ticker  *ticker
	openLog func(path string) (containerLog, error) // logfile.Create, but in tests

	mu      sync.Mutex
	closed  bool
	running map[*process]struct{}
	guests  sync.WaitGroup // processes, and starts under way
}

// containerLog is where a guest's output goes.
type containerLog interface {
	Stdout() io.Writer
	Stderr() io.Writer
	Close() error
}

var (
	// ErrClosed is the error of a Start after Close.
	ErrClosed = errors.New("the engine is closed")

	_ runtime.Engine = (*Engine)(nil)
)

// maxThreads is the ceiling of threads of the process. Go's default of 10,000, past which the process dies, is
// less than the guests that a large node can hold; the kernel's own limits come before this.
const maxThreads = 60_000

// New makes an engine. It runs nothing until Start is called.
//
// It changes two things of the process: the ceiling of Go's threads, and the variables RUST_BACKTRACE and
// RUST_LIB_BACKTRACE, with which every trap of a guest would cost milliseconds.
func New(cfg Config) (*Engine, error) {
	if cfg.Log == nil {
		return nil, errors.New("wasmtime: no logger")
	}
	if !filepath.IsAbs(cfg.CacheDir) {
		return nil, fmt.Errorf("wasmtime: the folder for compiled code must be an absolute path, got %q", cfg.CacheDir)
	}
	if err := os.MkdirAll(cfg.CacheDir, 0o700); err != nil {
		return nil, fmt.Errorf("wasmtime: folder for compiled code: %w", err)
	}
	for _, name := range []string{"RUST_BACKTRACE", "RUST_LIB_BACKTRACE"} {
		if err := os.Unsetenv(name); err != nil {
			return nil, fmt.Errorf("wasmtime: %w", err)
		}
	}
	debug.SetMaxThreads(maxThreads)

	native := wasmtimego.NewEngineWithConfig(settings())
	linker, err := newLinker(native)
	if err != nil {
		native.Close()
		return nil, err
	}
	e := &Engine{
		cfg:     cfg,
		native:  native,
		modules: newModules(native, linker, newDiskCache(cfg.CacheDir), cfg.Log, goruntime.GOMAXPROCS(0)),
		ticker:  &ticker{tick: native.IncrementEpoch},
		openLog: func(path string) (containerLog, error) { return logfile.Create(path) },
		running: map[*process]struct{}{},
	}
	return e, nil
}

// Start implements runtime.Engine. A module whose start section runs for long delays it; ctx ends that too.
func (e *Engine) Start(ctx context.Context, spec runtime.Spec) (runtime.Process, error) {
	p, err := e.start(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Module, err)
	}
	return p, nil
}

func (e *Engine) start(ctx context.Context, spec runtime.Spec) (*process, error) {
	if !e.enter() {
		return nil, ErrClosed
	}
	defer e.guests.Done()
	m, err := e.modules.get(ctx, spec.Digest, spec.Module)
	if err != nil {
		return nil, err
	}
	p, err := e.newProcess(spec, m)
	if err != nil {
		e.modules.release(m)
		return nil, err
	}
	if !e.add(p) {
		return nil, errors.Join(ErrClosed, p.discard())
	}
	go p.run()
	select {
	case <-p.started:
	case <-ctx.Done():
		p.kill()
		<-p.done
		return nil, ctx.Err()
	}
	if p.startErr != nil {
		<-p.done
		return nil, p.startErr
	}
	return p, nil
}

// enter keeps Close waiting until guests.Done, unless the engine is closed.
func (e *Engine) enter() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.guests.Add(1)
	return true
}

// add counts a process in, unless the engine is closed.
func (e *Engine) add(p *process) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.running[p] = struct{}{}
	e.guests.Add(1)
	return true
}

func (e *Engine) remove(p *process) {
	e.mu.Lock()
	delete(e.running, p)
	e.mu.Unlock()
	e.guests.Done()
}

// Close kills every guest, waits for them and for compilations under way, and frees the engine. A second call
// does nothing.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	all := make([]*process, 0, len(e.running))
	for p := range e.running {
		all = append(all, p)
	}
	e.mu.Unlock()
	for _, p := range all {
		p.kill()
	}
	e.guests.Wait()
	e.ticker.wait()
	e.modules.close()
	e.native.Close()
	return nil
}
