package wasmtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	goruntime "runtime"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/logfile"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/listen"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/processor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/stdio"
)

// guest has what all kinds of guests share. It implements runtime.Guest.
type guest struct {
	engine  *Engine
	log     *zap.Logger
	work    work
	output  containerLog
	out     *stdio.Output
	stdin   *stdio.Input // nil if no client can be its input
	account *account     // for its memory: its own, or that of the run beside which it runs
	network *joined      // its own, or that of the run beside which it runs
	found   runtime.Run  // the result of Engine.Runs for it
	slots   int          // number of the engine's slots that it uses

	started  chan struct{} // closed when the guest runs, or cannot start
	startErr error         // set before started is closed
	done     chan struct{} // closed when everything has ended
	exit     runtime.Exit  // set before done is closed

	cancel context.CancelFunc // ends the host calls

	mu       sync.Mutex
	closed   bool          // work and account are closed, or will be at once
	used     runtime.Stats // of work, when that is closed
	beside   beside
	limit    int64 // bytes of memory
	killed   bool
	ended    bool
	deadline time.Time   // when timer kills the guest
	timer    *time.Timer // of the grace period, after a call of Stop
}

// newGuest makes a guest that will run a unit. No code of it runs yet. If there is no error, the
// guest owns the unit.
func (e *Engine) newGuest(spec runtime.Spec, streams runtime.Streams, u unit) (*guest, error) {
	limit := e.memoryLimit(spec.MemoryLimit)
	if err := u.check(limit); err != nil {
		return nil, err
	}
	own, err := newAccount(limit)
	if err != nil {
		return nil, err
	}
	output, err := e.open(spec)
	if err != nil {
		own.close()
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	joins, err := e.joinNetwork(spec)
	if err != nil {
		own.close()
		return nil, errors.Join(err, output.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	out := stdio.NewOutput(ctx, output, spec.Log != "", streams)
	stdin, in := stdio.OpenInput(ctx, spec, streams.Stdin)
	h := &hosted{ctx: ctx, pace: processor.NewPace(e.turns, spec.CPULimit), requests: joins.requests, owns: joins.own}
	w, err := e.newWork(u, spec, in, out, h, joins)
	if err != nil {
		cancel()
		out.Close()
		stdin.Close()
		joins.endRequests()
		joins.leave()
		own.close()
		return nil, errors.Join(err, output.Close())
	}
	g := &guest{
		engine:  e,
		log:     e.cfg.Log.With(zap.String("run", spec.ID)),
		work:    w,
		output:  output,
		out:     out,
		stdin:   stdin,
		account: own,
		network: joins,
		slots:   u.takes(spec),
		limit:   limit,
		started: make(chan struct{}),
		done:    make(chan struct{}),
		cancel:  cancel,
		found:   runtime.Run{ID: spec.ID, Of: spec.Of},
	}
	g.found.Guest = g
	return g, nil
}

// memoryLimit returns the memory limit of a Spec, or the engine's own limit if it has none.
func (e *Engine) memoryLimit(limit int64) int64 {
	if limit == 0 {
		limit = e.cfg.MaxMemory
	}
	if limit == 0 {
		limit = maxMemory
	}
	return limit
}

// newWork makes the work of a guest.
func (e *Engine) newWork(u unit, spec runtime.Spec, stdin io.Reader, out *stdio.Output, h *hosted, joins *joined) (work, error) {
	var listeners []*net.TCPListener
	if u.listens() {
		var err error
		if listeners, err = listen.Open(spec); err != nil {
			return nil, err
		}
	}
	return u.work(e, spec, wasi.Config{
		Args:          spec.Args,
		Env:           spec.Env,
		WorkDir:       spec.WorkDir,
		Mounts:        mounts(spec.Mounts),
		Stdin:         stdin,
		Stdout:        out.Stdout(),
		Stderr:        out.Stderr(),
		OutputRate:    spec.OutputRate,
		Files:         e.files,
		ConfigFolders: spec.ConfigFolders,
		Pace:          h.pace.Between,
		Network:       joins.Network,
		Listeners:     listeners, // the host owns them, even if it cannot be made
	}, out, h)
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

// discarded is the log of a guest without a log.
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

// Attach implements runtime.Guest. If a Read of streams.Stdin or a Write still runs when Attach
// returns, the owner of the streams must end it.
func (g *guest) Attach(ctx context.Context, streams runtime.Streams) error {
	g.mu.Lock()
	out, stdin, ended := g.out, g.stdin, g.ended
	g.mu.Unlock()
	if ended {
		return nil
	}
	return stdio.Attach(ctx, out, stdin, streams)
}

// Done implements runtime.Guest.
func (g *guest) Done() <-chan struct{} { return g.done }

// Exit implements runtime.Guest.
func (g *guest) Exit() runtime.Exit { return g.exit }

// Stop implements runtime.Guest.
func (g *guest) Stop(grace time.Duration) {
	if grace <= 0 {
		g.kill()
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	deadline := time.Now().Add(grace)
	if g.ended || g.killed || g.timer != nil && !deadline.Before(g.deadline) {
		return
	}
	if g.timer != nil {
		g.timer.Stop()
	}
	g.deadline, g.timer = deadline, time.AfterFunc(grace, g.kill)
	if !g.closed {
		g.work.quiesce()
	}
}

// Resize implements runtime.Guest.
func (g *guest) Resize(_ context.Context, limits runtime.Limits) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	g.limit = g.engine.memoryLimit(limits.Memory)
	g.account.resize(g.limit)
	g.work.resize(limits.CPU)
	return nil
}

// kill ends the guest at once. It does not wait.
func (g *guest) kill() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended || g.killed {
		return
	}
	g.killed = true
	g.cancel()
	if !g.closed {
		g.work.kill()
	}
}

// run runs the guest from its start to its end.
func (g *guest) run() {
	err := g.reside()
	g.endCommands()
	select {
	case <-g.started:
	default: // it ended before it started to run
		g.startErr = err
		close(g.started)
	}
	g.mu.Lock()
	g.used, g.closed = g.work.stats(), true
	g.mu.Unlock()
	if err := g.discard(); err != nil { // a kill may end its wait for readers
		g.log.Warn("closing what a guest had open", zap.Error(err))
	}
	g.mu.Lock()
	g.ended = true
	if g.timer != nil {
		g.timer.Stop()
	}
	g.shed()
	g.mu.Unlock()
	g.leave()
	close(g.done)
	g.engine.remove(g)
}

// reside runs the guest, on a thread of its own if it needs one. The thread ends with the guest,
// because its priority cannot be restored.
func (g *guest) reside() error {
	if !g.work.resident() {
		return g.live()
	}
	goruntime.LockOSThread()
	g.engine.stepBack()
	g.engine.ticker.Acquire()
	defer g.engine.ticker.Release()
	return g.live()
}

// stepBack gives the calling thread, which will run a guest, a lower priority than the agent's.
func (e *Engine) stepBack() {
	if err := e.priority.Lower(0, processor.GuestNice); err != nil {
		e.cfg.Log.Warn("a guest's thread keeps the priority of the agent", zap.Error(err))
	}
}

// live runs the guest and sets its exit. The error is the reason why it could not start.
func (g *guest) live() error {
	pays := payer{account: g.account}
	if run := g.beside.run; run != nil {
		pays.beside = run.work
	}
	g.found.StartedAt = time.Now()
	end, err := g.work.run(pays, func() { close(g.started) })
	if err == nil {
		g.setExit(end)
	}
	return err
}

// discard frees everything that the guest has opened and taken.
func (g *guest) discard() error {
	g.out.Close()
	g.cancel()
	g.stdin.Close()
	g.network.endRequests()
	g.account.close()
	err := errors.Join(g.work.close(), g.output.Close())
	g.network.leave()
	return err
}

// setExit sets the exit. If the guest did not end by itself, it also writes the reason to the
// guest's log.
func (g *guest) setExit(end ending) {
	g.mu.Lock()
	killed, limit := g.killed, g.limit
	g.mu.Unlock()
	g.out.Bound(g.cancel)
	e := exitOf(end.err, end.ended, killed)
	if e.Reason == runtime.Error && !killed && end.memory != enough {
		e = outOfMemory(e, end.memory, limit)
	}
	if p := panicked(end.ended); p != nil {
		g.log.Error("a host call panicked", zap.Error(p), zap.ByteString("stack", p.stack))
	}
	if e.Message != "" && !killed {
		if _, err := fmt.Fprintln(g.out.Stderr(), e.Message); err != nil {
			g.log.Warn("writing the end of a guest to its log", zap.Error(err))
		}
	}
	e.StartedAt, e.FinishedAt = g.found.StartedAt, time.Now()
	g.exit = e
}
