package wasmtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	goruntime "runtime"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/logfile"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/preview1"
)

// process is one guest. It implements runtime.Process.
type process struct {
	engine  *Engine
	log     *zap.Logger
	module  *module
	hosted  *hosted
	output  containerLog
	out     *outlets
	stdin   *inlet      // nil if nothing can be attached to it
	account *account    // of its memory: its own, or that of the run that it is beside
	found   runtime.Run // as Engine.Runs shows it
	places  int         // of the engine's room

	started  chan struct{} // closed when the instance exists, or cannot
	startErr error         // set before started is closed
	done     chan struct{} // closed when all is over
	exit     runtime.Exit  // set before done is closed

	cancel context.CancelFunc // ends the host calls

	mu       sync.Mutex
	guest    *guest        // while it can be killed
	used     runtime.Stats // as last seen
	beside   beside
	limit    int64 // bytes of memory
	cpu      int64 // thousandths of a processor, 0 for none
	killed   bool
	ended    bool
	deadline time.Time   // when timer kills
	timer    *time.Timer // of the grace period, once Stop was called
}

// newProcess makes a process, of which nothing runs yet. It owns the module from here on if there is no error.
func (e *Engine) newProcess(spec runtime.Spec, streams runtime.Streams, m *module) (*process, error) {
	limit := e.memoryLimit(spec.MemoryLimit)
	if err := m.needs.check(limit); err != nil {
		return nil, err
	}
	own, err := newAccount(limit)
	if err != nil {
		return nil, err
	}
	output, err := e.open(spec)
	if err != nil {
		own.close()
		return nil, fmt.Errorf("open the log: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	out := newOutlets(ctx, output, spec.Log != "", streams)
	stdin, in := openStdin(ctx, spec, streams.Stdin)
	pace := newPace(e.turns, spec.CPULimit)
	g, err := e.newHost(spec, in, out, pace)
	if err != nil {
		cancel()
		out.close()
		stdin.close()
		own.close()
		return nil, errors.Join(err, output.Close())
	}
	p := &process{
		engine:  e,
		log:     e.cfg.Log.With(zap.String("run", spec.ID)),
		module:  m,
		hosted:  &hosted{ctx: ctx, wasi: g, pace: pace},
		output:  output,
		out:     out,
		stdin:   stdin,
		account: own,
		places:  m.places,
		limit:   limit,
		cpu:     spec.CPULimit,
		started: make(chan struct{}),
		done:    make(chan struct{}),
		cancel:  cancel,
		found:   runtime.Run{ID: spec.ID, Of: spec.Of},
	}
	p.found.Process = p
	return p, nil
}

// memoryLimit is a Spec's limit of memory, or the engine's own where it has none.
func (e *Engine) memoryLimit(limit int64) int64 {
	if limit == 0 {
		limit = e.cfg.MaxMemory
	}
	if limit == 0 {
		limit = maxMemory
	}
	return limit
}

// newHost makes the host side of a guest.
func (e *Engine) newHost(spec runtime.Spec, stdin io.Reader, out *outlets, pace *pace) (*preview1.Guest, error) {
	listeners, err := listen(spec)
	if err != nil {
		return nil, err
	}
	return preview1.New(wasi.Config{
		Args:       spec.Args,
		Env:        spec.Env,
		WorkDir:    spec.WorkDir,
		Mounts:     mounts(spec.Mounts),
		Stdin:      stdin,
		Stdout:     outlet{out, stdout},
		Stderr:     outlet{out, stderr},
		OutputRate: spec.OutputRate,
		Files:      e.files,
		Pace:       pace.between,
		Listeners:  listeners, // New owns them, even where it fails
	})
}

func (e *Engine) open(spec runtime.Spec) (containerLog, error) {
	if spec.Log == "" {
		return discarded{}, nil
	}
	log := e.cfg.Log.With(zap.String("run", spec.ID))
	return e.openLog(spec.Log, logfile.Rotation{MaxSize: spec.LogMaxSize, MaxFiles: spec.LogMaxFiles, Failed: func(err error) {
		log.Warn("the log of a guest does not rotate", zap.Error(err))
	}})
}

// discarded is the log of a guest that has none.
type discarded struct{}

func (discarded) Stdout() io.Writer { return io.Discard }
func (discarded) Stderr() io.Writer { return io.Discard }
func (discarded) Close() error      { return nil }

func mounts(list []runtime.Mount) []wasi.Mount {
	out := make([]wasi.Mount, 0, len(list))
	for _, m := range list {
		out = append(out, wasi.Mount(m))
	}
	return out
}

// Done implements runtime.Process.
func (p *process) Done() <-chan struct{} { return p.done }

// Exit implements runtime.Process.
func (p *process) Exit() runtime.Exit { return p.exit }

// sample looks at what the guest has used.
func (p *process) sample(g *guest) {
	p.used.CPU, p.used.Throttled = g.cpu(), p.hosted.pace.throttled()
	// A module without a memory has its instance all the same, and who reads nothing takes it for dead.
	p.used.Memory = max(g.memory(), wasmPage)
	p.used.Traffic = runtime.Traffic(p.hosted.wasi.Traffic())
}

// Stop implements runtime.Process.
func (p *process) Stop(grace time.Duration) {
	if grace <= 0 {
		p.kill()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	deadline := time.Now().Add(grace)
	if p.ended || p.killed || p.timer != nil && !deadline.Before(p.deadline) {
		return
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	p.deadline, p.timer = deadline, time.AfterFunc(grace, p.kill)
	if p.guest != nil {
		p.hosted.wasi.Quiesce()
	}
}

// Resize implements runtime.Process.
func (p *process) Resize(_ context.Context, limits runtime.Limits) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit, p.cpu = p.engine.memoryLimit(limits.Memory), limits.CPU
	if p.guest == nil {
		return nil // it has ended
	}
	p.account.resize(p.limit)
	p.hosted.pace.resize(p.cpu)
	p.guest.limit(p.cpu)
	p.engine.native.IncrementEpoch() // the engine lives as long as p has not ended
	return nil
}

// kill ends the guest now. It does not wait.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended || p.killed {
		return
	}
	p.killed = true
	p.cancel()
	if p.guest != nil {
		p.guest.kill()
		p.engine.hurry(p.guest.thread())
		p.engine.native.IncrementEpoch() // the engine lives as long as p has not ended
	}
}

// run is the guest's life, on a thread of its own, which ends with it: it has a priority that nobody can give back.
func (p *process) run() {
	goruntime.LockOSThread()
	p.engine.stepBack()
	p.engine.ticker.acquire()
	err := p.live()
	p.engine.ticker.release()
	p.endSessions()
	select {
	case <-p.started:
	default: // it ended before it ran
		p.startErr = err
		close(p.started)
	}
	if err := p.discard(); err != nil {
		p.log.Warn("closing what a guest had open", zap.Error(err))
	}
	p.mu.Lock()
	p.ended = true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.shed()
	p.mu.Unlock()
	p.leave()
	close(p.done)
	p.engine.remove(p)
}

// live runs the guest and sets its exit. The error is why it could not be started.
func (p *process) live() error {
	g, err := newGuest(p.engine.native, p.hosted, p.account, p.cpu)
	if err != nil {
		return err
	}
	defer g.close()
	p.engine.calls.begin(g)
	defer p.engine.calls.end(g)
	defer p.hosted.pace.end()
	p.arm(g)
	defer p.arm(nil)
	p.found.StartedAt = time.Now()
	paid := p.beside.run != nil && p.beside.run.module == p.module
	if err := g.instantiate(p.module, p.account, paid); err != nil {
		if p.hosted.ended == nil {
			return fmt.Errorf("instantiate: %w", err)
		}
		p.finish(g, err) // its start section ended it
		close(p.started)
		return nil
	}
	close(p.started)
	p.finish(g, g.start(p.module))
	return nil
}

// arm names the guest that a kill concerns.
func (p *process) arm(g *guest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g == nil {
		p.sample(p.guest)
	}
	p.guest = g
	if g != nil && p.killed {
		g.kill()
	}
}

// discard frees all that belongs to the process and not to its run.
func (p *process) discard() error {
	p.out.close()
	p.cancel()
	p.stdin.close()
	p.account.close()
	err := errors.Join(p.hosted.wasi.Close(), p.output.Close())
	p.engine.modules.release(p.module)
	return err
}

// finish sets the exit and, where the guest did not end by itself, tells why in its log.
func (p *process) finish(g *guest, err error) {
	p.mu.Lock()
	killed, limit := p.killed, p.limit
	p.mu.Unlock()
	p.out.bound(p.cancel)
	e := exitOf(err, p.hosted.ended, killed)
	if e.Reason == runtime.Error && !killed && outOfRoom(g, err) {
		e = outOfMemory(e, g, limit)
	}
	var panicked *panicError
	if errors.As(p.hosted.ended, &panicked) {
		p.log.Error("a host call panicked", zap.Error(panicked), zap.ByteString("stack", panicked.stack))
	}
	if e.Message != "" && !killed {
		if _, err := fmt.Fprintln(outlet{p.out, stderr}, e.Message); err != nil {
			p.log.Warn("writing the end of a guest to its log", zap.Error(err))
		}
	}
	e.StartedAt, e.FinishedAt = p.found.StartedAt, time.Now()
	p.exit = e
}

// outOfRoom reports whether a guest that ended badly ended for want of memory.
func outOfRoom(g *guest, err error) bool {
	memory, heap := g.refused()
	return memory || heap && endedByHeap(err)
}
