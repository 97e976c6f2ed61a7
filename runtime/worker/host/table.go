package host

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// server is a worker's side of the protocol.
type server struct {
	workerpb.UnimplementedWorkerServer
	cfg   Config
	dir   string         // the worker's folder
	over  chan struct{}  // closed when the worker is to end
	ended chan struct{}  // closed when its guests have ended, and nothing is to come any more
	work  sync.WaitGroup // what goes on beside the calls

	mu     sync.Mutex
	ending bool
	runs   map[string]*run
	watch  uint64   // number of the latest Watch
	agent  *watcher // the agent's; nil while there is none
	idle   *time.Timer
}

// run is a run of a pod or a session, from the beginning of its start until it is forgotten.
type run struct {
	id        string
	of        runtime.Origin
	mark      []byte             // the agent's
	session   bool               // belongs to the stream of an Exec, which removes it
	cancel    context.CancelFunc // gives the start up
	settled   chan struct{}      // closed when the start is over
	ended     chan struct{}      // closed when exit is set
	gone      chan struct{}      // closed when it is no run any more
	process   runtime.Process    // nil until the guest runs
	startedAt time.Time
	exit      *runtime.Exit // once it has ended
	unwanted  bool          // to be killed and forgotten
}

func newServer(cfg Config, dir string) *server {
	return &server{cfg: cfg, dir: dir, over: make(chan struct{}), ended: make(chan struct{}), runs: map[string]*run{}}
}

// begin notes a start. Its context ends with ctx, and when the start is given up.
func (s *server) begin(ctx context.Context, spec runtime.Spec, session bool, req *workerpb.StartRequest) (context.Context, *run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		// It was cancelled before it began. The Discard that follows a cancelled start may have been here already, and
		// found nothing to undo; the connection brings the cancellation first.
		return nil, nil, ctx.Err()
	case s.ending:
		return nil, nil, wire.ErrEnding
	case !session && req.GetWatch() != s.watch:
		return nil, nil, wire.ErrStale
	case s.runs[spec.ID] != nil:
		return nil, nil, fmt.Errorf("there is a run %s already", spec.ID)
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &run{
		id: spec.ID, of: spec.Of, mark: req.GetMark(), session: session, cancel: cancel,
		settled: make(chan struct{}), ended: make(chan struct{}), gone: make(chan struct{}),
	}
	s.runs[r.id] = r
	s.settleLocked()
	return ctx, r, nil
}

// begun notes how a start went. It must follow each begin, also where the start panicked: then process is nil.
func (s *server) begun(r *run, process runtime.Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(r.settled)
	defer r.cancel()
	if process == nil {
		s.drop(r)
		return
	}
	r.process, r.startedAt = process, time.Now()
	if r.unwanted {
		process.Stop(0)
	}
	s.work.Go(func() { s.await(r) })
}

// await notes the end of a run.
func (s *server) await(r *run) {
	<-r.process.Done()
	exit := r.process.Exit()
	s.mu.Lock()
	defer s.mu.Unlock()
	r.exit = &exit
	close(r.ended)
	switch {
	case r.session: // its Exec goes on
	case r.unwanted:
		r.process.Forget()
		s.drop(r)
	case s.agent != nil:
		s.agent.add(r.message())
	}
}

// drop removes a run from the registry.
func (s *server) drop(r *run) {
	delete(s.runs, r.id)
	close(r.gone)
	s.settleLocked()
}

// message is the run as the agent sees it.
func (r *run) message() *workerpb.Run {
	m := &workerpb.Run{Id: r.id, Of: wire.ToOrigin(r.of), StartedAt: wire.ToTime(r.startedAt), Mark: r.mark}
	if r.exit != nil {
		m.Exit, m.Stats = wire.ToExit(*r.exit), wire.ToStats(r.id, r.process.Stats())
	}
	return m
}

// settle looks whether the worker is idle.
func (s *server) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleLocked()
}

func (s *server) settleLocked() {
	switch {
	case len(s.runs) > 0 || s.agent != nil || s.ending:
		if s.idle != nil {
			s.idle.Stop()
			s.idle = nil
		}
	case s.idle == nil:
		s.idle = time.AfterFunc(s.cfg.Idle, s.expire)
	}
}

// expire ends a worker that nobody needs.
func (s *server) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.runs) == 0 && s.agent == nil {
		s.finish()
	}
}

// finish has the worker end. Nothing begins any more.
func (s *server) finish() {
	if !s.ending {
		s.ending = true
		close(s.over)
	}
}

// endRuns kills all guests and waits for them, for a while. It reports whether all have ended.
func (s *server) endRuns() bool {
	defer close(s.ended)
	s.mu.Lock()
	s.finish()
	s.settleLocked()
	all := slices.Collect(maps.Values(s.runs))
	for _, r := range all {
		r.cancel()
		if r.process != nil {
			r.process.Stop(0)
		}
	}
	s.mu.Unlock()
	patience := time.After(guestsPatience)
	for _, r := range all {
		select {
		case <-r.settled:
		case <-patience:
			return false
		}
		if r.process == nil {
			continue
		}
		r.process.Stop(0) // where its start succeeded all the same
		select {
		case <-r.ended:
		case <-patience:
			return false
		}
	}
	return true
}
