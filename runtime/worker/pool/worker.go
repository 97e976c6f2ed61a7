package pool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// worker is the agent's view of a worker process. It has six goroutines: one waits for the exit
// of its process, one keeps the Watch, one does errands, one takes requests for traces, one tells
// the worker what the cluster says of the network, and one takes what the network refuses.
type worker struct {
	pool    *Pool
	dir     string
	info    wire.Info
	marks   key // of its runs
	log     *zap.Logger
	process *process
	conn    *grpc.ClientConn
	client  workerpb.WorkerClient
	errands *errands
	link    *link
	account *account
	told    *callCounter
	news    *news

	unreached atomic.Pointer[error] // why the last attempt to connect failed, or nil

	exited chan struct{} // closed after the process has exited and its runs were ended
}

// newWorker makes a connection that is not used yet.
func newWorker(p *Pool, dir string, info wire.Info, marks key, process *process) (*worker, error) {
	errands := newErrands()
	// If this agent has fewer shared workers than the agent before, it does not need the others. A
	// worker without a key cannot prove which runs are its own, so it gets no more runs.
	draining := info.Build != p.cfg.Build || !info.Isolated && info.Shard >= p.cfg.Shards || marks == nil
	w := &worker{
		pool:    p,
		dir:     dir,
		info:    info,
		marks:   marks,
		log:     p.cfg.Log.With(zap.Int("worker", info.PID)),
		process: process,
		errands: errands,
		link:    newLink(),
		account: newAccount(info.Isolated, draining, errands),
		told:    &callCounter{},
		news:    newNews(),
		exited:  make(chan struct{}),
	}
	var err error
	if w.conn, err = w.dial(); err != nil {
		return nil, fmt.Errorf("worker process %d: %w", info.PID, err)
	}
	w.client = workerpb.NewWorkerClient(w.conn)
	return w, nil
}

// connect adds a worker to the pool. If there is no error, the pool then owns the process.
func (p *Pool) connect(dir string, info wire.Info, marks key, process *process) (*worker, error) {
	info.PID, info.StartTime = process.pid, process.began
	w, err := newWorker(p, dir, info, marks, process)
	if err != nil {
		return nil, err
	}
	p.workers.add(w)
	if err := p.tasks.start(w.run); err != nil {
		p.workers.remove(w)
		return nil, errors.Join(err, w.conn.Close())
	}
	return w, nil
}

// inTouch waits until the agent knows the worker's runs.
func (w *worker) inTouch(ctx context.Context) error {
	_, err := w.link.current(ctx, 0)
	return err
}

// run returns when the process has exited, or ctx ends.
func (w *worker) run(ctx context.Context) {
	defer w.process.close()
	live, cancel := context.WithCancel(ctx)
	defer cancel()
	var work sync.WaitGroup
	work.Go(func() { w.keepWatch(live) })
	work.Go(func() { w.doErrands(live) })
	work.Go(func() { w.feedSpans(live) })
	work.Go(func() { w.keepInformed(live) })
	work.Go(func() { w.takeDenials(live) })
	how, err := w.process.wait(ctx)
	if err == nil {
		// The Watch first has the messages that the worker sent before its exit, and then breaks.
		last, stop := context.WithTimeout(ctx, agentPatience)
		_ = w.link.await(last, func(watch uint64) bool { return watch == 0 })
		stop()
	}
	cancel()
	work.Wait()
	if closeErr := w.conn.Close(); closeErr != nil {
		w.log.Warn("closing the connection to a worker", zap.Error(closeErr))
	}
	switch {
	case err == nil:
		w.noteExit(how)
	case ctx.Err() == nil:
		w.log.Error("the exit of a worker process cannot be waited for", zap.Error(err))
	}
}

// noteExit ends all guests of the worker, and removes its folder.
func (w *worker) noteExit(how ending) {
	how = how.withCrash(w.dir)
	how.starved = w.pool.folders.outOfMemory(w.dir, how)
	cause := &exitError{pid: w.info.PID, how: how}
	expected := w.account.exited(cause) // this must come first: see guest.noteStarted
	w.pool.workers.remove(w)
	for _, g := range w.pool.runs.of(w) {
		g.noteExit(cause.exit(g), nil)
	}
	w.link.lose(cause)
	close(w.exited)
	if !expected {
		w.log.Error("a worker has exited", zap.Error(cause), zap.String("said", lastWords(w.dir)))
	}
	w.pool.folders.remove(w.dir)
}

// doErrands sends the worker its calls, and shuts it down when it is not needed any more.
func (w *worker) doErrands(ctx context.Context) {
	defer w.lastErrands(ctx)
	for {
		next := w.account.retireAt()
		var due <-chan time.Time
		if !next.IsZero() {
			due = time.After(time.Until(next))
		}
		select {
		case <-w.errands.wake:
		case <-due:
		case <-ctx.Done():
			return
		}
		if err := w.link.await(ctx, func(watch uint64) bool { return watch != 0 }); err != nil {
			return
		}
		err := w.errands.run(ctx, w.client)
		if err == nil {
			err = w.retire(ctx)
		}
		if err != nil && ctx.Err() == nil {
			w.log.Warn("a worker could not be told what it has to know; it will be", zap.Error(err))
			if pause.For(ctx, callPause) != nil {
				return
			}
		}
	}
}

// lastErrands sends the worker the remaining calls when the agent ends.
func (w *worker) lastErrands(ctx context.Context) {
	if !w.errands.pending() || w.process.exited() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), agentPatience)
	defer cancel()
	if err := w.errands.run(ctx, w.client); err != nil {
		w.log.Warn("a worker could not be told what it has to know; the next agent will tell it", zap.Error(err))
	}
}

// retire shuts the worker down if it is not needed any more.
func (w *worker) retire(ctx context.Context) error {
	if !w.account.close() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	resp, err := w.client.Shutdown(ctx, &workerpb.ShutdownRequest{})
	if err == nil && resp.GetRefused() {
		err = errors.New("it has runs")
	}
	if err != nil {
		w.account.reopen()
		return fmt.Errorf("shutting down the worker: %w", err)
	}
	w.pool.calls.add(w.told.since(resp.GetHostCalls()))
	w.log.Info("a worker without guests was shut down")
	return nil
}
