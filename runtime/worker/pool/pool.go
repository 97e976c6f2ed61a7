package pool

import (
	"context"
	"errors"
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// ErrClosed is the error of a Start after Close.
var ErrClosed = errors.New("the pool of workers is closed")

// Pool runs guests in worker processes. It implements runtime.Engine.
type Pool struct {
	cfg     Config
	tasks   *tasks
	folders *folders
	workers *workers
	runs    *book
	calls   *callSum
	spans   *spanFeed
}

var (
	_ runtime.Engine     = (*Pool)(nil)
	_ runtime.HTTPTracer = (*Pool)(nil)
)

// Open adopts the workers that earlier agents left in the folder, and starts to remove the folders
// of those that have exited. When it returns, Runs has the runs of the adopted workers. Its error
// is one of the folder itself or of ctx, and never of the folder's content. Only one Pool may use a
// folder at a time.
func Open(ctx context.Context, cfg Config) (*Pool, error) {
	if err := cfg.prepare(); err != nil {
		return nil, err
	}
	tasks := newTasks(ctx)
	p := &Pool{
		cfg:     cfg,
		tasks:   tasks,
		folders: &folders{cfg: cfg, tasks: tasks},
		workers: newWorkers(),
		runs:    newBook(),
		calls:   newCallSum(),
		spans:   newSpanFeed(),
	}
	if err := errors.Join((&adopter{p}).adoptAll(ctx), ctx.Err()); err != nil {
		p.Close()
		return nil, fmt.Errorf("adopting workers: %w", err)
	}
	return p, nil
}

// Close disconnects from the workers, which continue their runs for the next agent. Done of a guest
// that the pool has returned may never be closed after that.
func (p *Pool) Close() { p.tasks.close() }

// Runs implements runtime.Engine.
func (p *Pool) Runs() []runtime.Run { return p.runs.list() }
