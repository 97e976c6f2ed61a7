package pool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Config is what the agent's side needs.
type Config struct {
	// Dir is the folder of the workers' folders. It is made if it is missing, with mode 0700.
	Dir string
	// Build is this agent's build and the workers' settings. Workers of another one get no new guests.
	Build string
	// Command is the start of the argument vector of a worker process, whose main calls Bind and Bound.Serve. Behind these it gets
	// `--dir`, the worker's folder, `--ready-fd` and the number of the open file for ServerConfig.Ready. The first argument is what
	// workers of all versions are told from other processes by.
	Command []string
	// Name is what worker processes are called, in place of the program's path; empty is that path.
	Name string
	// Shards is the number of shared workers.
	Shards int
	// Compiler puts compiled code where the workers find it.
	Compiler Compiler
	// Patience bounds how long a worker that lives may take to say what it runs; 0 is 10 seconds. One that does not is of no use to
	// anybody, and killed, so that what it ran does not run twice.
	Patience time.Duration
	// Groups gives each worker a control group; nil leaves them all where the agent is.
	Groups Groups
	// Started is told of guests that were started, those of sessions among them, and how long that took once the module was
	// compiled. It may be nil, and must not block.
	Started func(session bool, took time.Duration)
	// Log gets what concerns the workers and not one guest's own output.
	Log *zap.Logger
}

// Groups has a control group for each worker, by the name of its folder.
type Groups interface {
	// Add makes the group, if it is not there, and moves the process into it.
	Add(name string, pid int) error
	// OutOfMemory reports whether the kernel has killed the process for want of memory.
	OutOfMemory(name string) bool
	// Remove removes it when the process has ended.
	Remove(name string) error
}

// Compiler makes sure that there is compiled code of a module on disk, for the pod of that UID; empty is no pod.
type Compiler interface {
	Compile(ctx context.Context, pod, digest, file string) error
}

func (cfg *Config) prepare() error {
	switch {
	case cfg.Log == nil || cfg.Compiler == nil:
		return errors.New("worker: no logger or no compiler")
	case !filepath.IsAbs(cfg.Dir):
		return fmt.Errorf("worker: the folder of workers must be an absolute path, got %q", cfg.Dir)
	case cfg.Shards < 1:
		return fmt.Errorf("worker: there must be at least one shared worker, not %d", cfg.Shards)
	case len(cfg.Command) == 0:
		return errors.New("worker: no command of a worker process")
	}
	if cfg.Patience == 0 {
		cfg.Patience = 10 * time.Second
	}
	if cfg.Name == "" {
		cfg.Name = cfg.Command[0]
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("worker: folder of workers: %w", err)
	}
	if err := os.Chmod(cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("worker: folder of workers: %w", err)
	}
	return nil
}

// ErrClosed is the error of a Start after Close.
var ErrClosed = errors.New("the pool of workers is closed")

// Pool is the agent's side of its workers. It implements runtime.Engine.
type Pool struct {
	cfg    Config
	launch func(func(context.Context)) // for begin
	cancel context.CancelFunc
	work   sync.WaitGroup

	clearing sync.Mutex // held while folders of dead workers are removed

	mu       sync.Mutex
	closed   bool
	workers  map[*remote]struct{} // those that live
	spawning map[slot]*spawn
	runs     map[string]*process // by ID, those that are starting and those not forgotten; no sessions
	called   map[string]uint64   // host calls of guests, in all workers, since the pool is open
	refused  map[string]struct{} // starts that were given up and that the worker may not know of yet
}

var _ runtime.Engine = (*Pool)(nil)

// Open adopts the workers that earlier agents left in the folder, and has the folders of those that have ended removed.
// When it returns, Runs has what they run. The error is of the folder itself or of ctx, and never of what is in there. There
// must be one Pool at a time for a folder.
func Open(ctx context.Context, cfg Config) (*Pool, error) {
	if err := cfg.prepare(); err != nil {
		return nil, err
	}
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &Pool{
		cfg:      cfg,
		cancel:   cancel,
		workers:  map[*remote]struct{}{},
		spawning: map[slot]*spawn{},
		runs:     map[string]*process{},
		called:   map[string]uint64{},
		refused:  map[string]struct{}{},
	}
	p.launch = func(f func(context.Context)) { p.work.Go(func() { f(base) }) }
	if err := errors.Join(p.adoptAll(ctx), ctx.Err()); err != nil {
		p.Close()
		return nil, fmt.Errorf("worker: adopt workers: %w", err)
	}
	return p, nil
}

// Close lets go of the workers, which go on with their guests for the next agent. Processes that were given out do not
// end any more.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.work.Wait()
}

// begin starts work that belongs to the pool, unless that is closed: its context ends with Close, which waits for it.
// The lock must be held.
func (p *Pool) begin(f func(context.Context)) error {
	if p.closed {
		return ErrClosed
	}
	p.launch(f)
	return nil
}

// Runs implements runtime.Engine.
func (p *Pool) Runs() []runtime.Run {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []runtime.Run
	for _, r := range p.runs {
		if r.running {
			out = append(out, runtime.Run{ID: r.id, Of: r.of, StartedAt: r.startedAt, Process: r})
		}
	}
	return out
}
