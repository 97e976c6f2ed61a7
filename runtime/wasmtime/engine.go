package wasmtime

// #include "store.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	goruntime "runtime"
	"runtime/debug"
	"sync"
	"time"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"
	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/logfile"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Engine runs guests in this process. It implements runtime.Engine.
type Engine struct {
	cfg     Config
	native  *wasmtimego.Engine
	modules *modules
	ticker  *ticker
	turns   *turns
	nice    int         // of the process
	room    ceiling     // for guests
	files   *wasi.Files // that guests open
	openLog openLog     // logfile.Create, but in tests
	calls   *calls

	mu      sync.Mutex
	closed  bool
	running map[*guest]struct{}
	runs    map[*guest]struct{} // those of pods, until they are forgotten
	places  int                 // guests, and starts under way
	guests  sync.WaitGroup      // processes, and starts under way
}

type openLog func(path string, limits logfile.Rotation) (containerLog, error)

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
// It changes three things of the process: the ceiling of Go's threads, what the heap of the C library keeps, and the variables
// RUST_BACKTRACE and RUST_LIB_BACKTRACE, with which every trap of a guest would cost milliseconds.
func New(cfg Config) (*Engine, error) {
	if err := cfg.prepare(); err != nil {
		return nil, err
	}
	for _, name := range []string{"RUST_BACKTRACE", "RUST_LIB_BACKTRACE"} {
		if err := os.Unsetenv(name); err != nil {
			return nil, fmt.Errorf("wasmtime: %w", err)
		}
	}
	base, err := nice()
	if err != nil {
		return nil, fmt.Errorf("wasmtime: priority of the process: %w", err)
	}
	debug.SetMaxThreads(maxThreads)
	C.prepare_heap()
	disk := newDiskCache(cfg.CacheDir, cfg.CacheSize)
	disk.readOnly = cfg.LoadOnly
	var c *Compiler
	if !cfg.LoadOnly {
		c = newCompiler(cfg)
	}

	native := wasmtimego.NewEngineWithConfig(settings())
	linker, err := newLinker(native)
	if err != nil {
		native.Close()
		return nil, err
	}
	shared := &turns{slots: goruntime.GOMAXPROCS(0), runnable: runnable}
	e := &Engine{
		cfg:     cfg,
		turns:   shared,
		nice:    base,
		room:    thisHost().capacity(),
		files:   thisHost().guestFiles(),
		native:  native,
		modules: newModules(native, linker, disk, c, cfg.Log),
		ticker: &ticker{tick: func(now time.Time) {
			native.IncrementEpoch()
			shared.expire(now)
		}},
		openLog: func(path string, limits logfile.Rotation) (containerLog, error) { return logfile.Create(path, limits) },
		calls:   newCalls(),
		running: map[*guest]struct{}{},
		runs:    map[*guest]struct{}{},
	}
	if cfg.MaxGuests > 0 && cfg.MaxGuests < e.room.guests {
		e.room = ceiling{cfg.MaxGuests, "its setting"}
	}
	cfg.Log.Info("guests at a time are bounded", zap.Int("guests", e.room.guests), zap.String("by", e.room.of))
	return e, nil
}

// Start implements runtime.Engine. A module whose start section runs for long delays it; ctx ends that too.
func (e *Engine) Start(ctx context.Context, spec runtime.Spec, streams runtime.Streams) (runtime.Process, error) {
	g, err := e.start(ctx, spec, streams)
	if err != nil {
		return nil, fmt.Errorf("start the guest: %w", err)
	}
	return g, nil
}

func (e *Engine) start(ctx context.Context, spec runtime.Spec, streams runtime.Streams) (*guest, error) {
	if err := e.enter(); err != nil {
		return nil, err
	}
	places, kept := 1, false
	defer func() { e.leave(places, kept) }()
	m, err := e.modules.get(ctx, spec.Digest, spec.Module, e.memoryLimit(spec.MemoryLimit))
	if err != nil {
		return nil, err
	}
	var g *guest
	err = e.widen(&places, m.places)
	if err == nil {
		g, err = e.newGuest(spec, streams, m)
	}
	if err != nil {
		e.modules.release(m)
		return nil, err
	}
	if err := e.add(g); err != nil {
		return nil, errors.Join(err, g.discard())
	}
	kept = true
	go g.run()
	select {
	case <-g.started:
	case <-ctx.Done():
		g.kill()
		<-g.done
		return nil, ctx.Err()
	}
	if g.startErr != nil {
		<-g.done
		return nil, g.startErr
	}
	e.enlist(g)
	return g, nil
}

// enter takes a place for a guest and keeps Close waiting until leave, unless the engine is closed or full.
func (e *Engine) enter() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	if err := e.take(1); err != nil {
		return err
	}
	e.guests.Add(1)
	return nil
}

// take takes so many places. The mutex is held.
func (e *Engine) take(places int) error {
	if e.places+places > e.room.guests {
		return fmt.Errorf("%w: it holds %d guests, and %s allows no more", runtime.ErrFull, e.places, e.room.of)
	}
	e.places += places
	return nil
}

// widen takes the places that a guest of a module needs besides those that it has.
func (e *Engine) widen(has *int, needs int) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	err := e.take(needs - *has)
	if err == nil {
		*has = needs
	}
	return err
}

// leave ends what enter began. The places are given back unless a guest keeps them until its remove.
func (e *Engine) leave(places int, kept bool) {
	if !kept {
		e.mu.Lock()
		e.places -= places
		e.mu.Unlock()
	}
	e.guests.Done()
}

// add counts a guest in, unless the engine is closed, or the run that it is to be beside has ended.
func (e *Engine) add(g *guest) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	if err := g.join(e.running); err != nil {
		return err
	}
	e.running[g] = struct{}{}
	e.guests.Add(1)
	return nil
}

func (e *Engine) remove(g *guest) {
	e.mu.Lock()
	delete(e.running, g)
	e.places -= g.places
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
	all := make([]*guest, 0, len(e.running))
	for g := range e.running {
		all = append(all, g)
	}
	e.mu.Unlock()
	for _, g := range all {
		g.kill()
	}
	e.guests.Wait()
	e.ticker.wait()
	e.modules.close()
	e.native.Close()
	return nil
}
