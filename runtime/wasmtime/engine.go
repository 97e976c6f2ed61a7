package wasmtime

// #include "store.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"time"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"
	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/logfile"
	"github.com/krustlet-go/krustlet-wasi/runtime/network"
	"github.com/krustlet-go/krustlet-wasi/runtime/spans"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http/client"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/admission"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/processor"
)

// Engine runs guests in this process. It implements runtime.Engine.
type Engine struct {
	cfg            Config
	native         *wasmtimego.Engine
	pool           *memoryPool
	modules        *modules
	ticker         *processor.Ticker
	turns          *processor.Turns
	priority       processor.Priority // of the process
	slots          *admission.Slots   // for guests, and for running starts
	files          *wasi.Files        // for files that guests open
	requests       *client.Stock      // of HTTP that guests send
	network        *network.Cluster   // decides what guests may in the network
	openLog        openLog            // logfile.Create, except in tests
	calls          *calls
	spans.Recorder // of requests that handlers have answered

	mu      sync.Mutex
	closed  bool
	running map[*guest]struct{}
	runs    map[*guest]struct{} // runs of pods, until Forget
	guests  sync.WaitGroup      // guests, and running starts
}

type openLog func(path string, limits logfile.Rotation) (containerLog, error)

// containerLog receives a guest's output.
type containerLog interface {
	Stdout() io.Writer
	Stderr() io.Writer
	Close() error
}

var (
	// ErrClosed is the error of a Start after Close.
	ErrClosed = errors.New("the engine is closed")

	_ runtime.Engine     = (*Engine)(nil)
	_ runtime.HTTPTracer = (*Engine)(nil)
)

// New makes an engine. It runs no guest until Start is called.
//
// It changes three things of the process: the maximum of Go's threads; how much the heap of the C
// library keeps; and it removes the variables RUST_BACKTRACE and RUST_LIB_BACKTRACE, because with
// them every trap of a guest would cost milliseconds.
func New(cfg Config) (*Engine, error) {
	if err := cfg.prepare(); err != nil {
		return nil, err
	}
	for _, name := range []string{"RUST_BACKTRACE", "RUST_LIB_BACKTRACE"} {
		if err := os.Unsetenv(name); err != nil {
			return nil, fmt.Errorf("making the engine: %w", err)
		}
	}
	priority, err := processor.Current()
	if err != nil {
		return nil, fmt.Errorf("reading the priority of the process: %w", err)
	}
	debug.SetMaxThreads(admission.MaxThreads)
	C.prepare_heap()
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
	turns, pool := processor.NewTurns(), newMemoryPool(cfg.Log)
	if cfg.Network == nil {
		cfg.Network = network.NewCluster(nil)
	}
	return &Engine{
		cfg:      cfg,
		turns:    turns,
		priority: priority,
		slots:    newSlots(cfg),
		files:    guestFiles(),
		requests: client.NewStock(maxRequests),
		network:  cfg.Network,
		native:   native,
		pool:     pool,
		modules:  newModules(native, pool, linker, cfg.cache(), c, cfg.Log),
		ticker: processor.NewTicker(func(now time.Time) {
			native.IncrementEpoch()
			pool.incrementEpoch()
			turns.Expire(now)
		}),
		openLog: func(path string, limits logfile.Rotation) (containerLog, error) { return logfile.Create(path, limits) },
		calls:   newCalls(),
		running: map[*guest]struct{}{},
		runs:    map[*guest]struct{}{},
	}, nil
}

// newSlots makes the slots for guests, as many as the system and the settings allow.
func newSlots(cfg Config) *admission.Slots {
	ceiling := admission.Capacity()
	if cfg.MaxGuests > 0 && cfg.MaxGuests < ceiling.Guests {
		ceiling = admission.Ceiling{Guests: cfg.MaxGuests, Of: "its setting"}
	}
	cfg.Log.Info("guests at a time are bounded", zap.Int("guests", ceiling.Guests), zap.String("by", ceiling.Of))
	return admission.NewSlots(ceiling)
}

// guestFiles is the stock of files that all guests together may open; nil means no bound.
func guestFiles() *wasi.Files {
	if n, ok := admission.GuestFiles(); ok {
		return wasi.NewFiles(n)
	}
	return nil
}

// Start implements runtime.Engine. A module's start section may run for long and delay it; the end
// of ctx ends the start section, too.
func (e *Engine) Start(ctx context.Context, spec runtime.Spec, streams runtime.Streams) (runtime.Guest, error) {
	g, err := e.start(ctx, spec, streams)
	if err != nil {
		return nil, fmt.Errorf("starting the guest: %w", err)
	}
	return g, nil
}

// Prepare compiles and checks what a spec names, as Start does, so that a Start soon after it finds
// it ready.
func (e *Engine) Prepare(ctx context.Context, spec runtime.Spec) error {
	if err := e.enter(); err != nil {
		return err
	}
	defer e.leave(1, false)
	u, err := e.modules.getUnit(ctx, e.wanted(spec), e.memoryLimit(spec.MemoryLimit))
	if err != nil {
		return err
	}
	e.modules.release(u)
	return nil
}

func (e *Engine) start(ctx context.Context, spec runtime.Spec, streams runtime.Streams) (*guest, error) {
	if err := e.enter(); err != nil {
		return nil, err
	}
	slots, kept := 1, false
	defer func() { e.leave(slots, kept) }()
	u, err := e.modules.getUnit(ctx, e.wanted(spec), e.memoryLimit(spec.MemoryLimit))
	if err != nil {
		return nil, err
	}
	var g *guest
	err = e.slots.Take(u.takes(spec) - slots)
	if err == nil {
		slots = u.takes(spec)
		g, err = e.newGuest(spec, streams, u)
	}
	if err != nil {
		e.modules.release(u)
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

// wanted is what a spec names. An engine that never compiles does not look at the file: what the
// compiler made of it is all that it needs.
func (e *Engine) wanted(spec runtime.Spec) wanted {
	if e.cfg.LoadOnly {
		return wantedCommand(spec.Digest, spec.Module)
	}
	return wantedFile(spec.Digest, spec.Module)
}

// enter takes a slot for a guest, and makes Close wait until leave. It fails if the engine is
// closed or full.
func (e *Engine) enter() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	if err := e.slots.Take(1); err != nil {
		return err
	}
	e.guests.Add(1)
	return nil
}

// leave reverts enter. It returns the slots, unless a guest keeps them until its remove.
func (e *Engine) leave(slots int, kept bool) {
	if !kept {
		e.slots.Give(slots)
	}
	e.guests.Done()
}

// add adds a guest to the running ones. It fails if the engine is closed, or if the guest is a
// command whose run has ended.
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
	e.mu.Unlock()
	e.slots.Give(g.slots)
	e.guests.Done()
}

// Close kills every guest, waits for the guests and for running compilations, and frees the engine.
// A second call has no effect.
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
	e.ticker.Wait()
	e.network.Close()
	e.modules.close()
	e.pool.close()
	e.native.Close()
	return nil
}
