package pool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"
)

// Config is what the agent's side needs.
type Config struct {
	// Dir is the folder of the workers' folders. It is made if it is missing, with mode 0700.
	Dir string
	// Build is this agent's build and the workers' settings. Workers of another build get no new
	// runs.
	Build string
	// Argv is the start of the arguments of a worker process, whose main calls host.Bind and
	// Bound.Serve. After these it gets wire.DirFlag with the worker's folder, and wire.ReadyFlag
	// with the number of the open file for host.Config.Ready. Argv[1] tells workers of all versions
	// from other processes.
	Argv []string
	// Name is what worker processes are called, instead of the program's path; empty is that path.
	Name string
	// Shards is the number of shared workers.
	Shards int
	// Compiler puts compiled code where the workers find it.
	Compiler Compiler
	// Patience bounds how long a worker may take to say what it runs; 0 is 10 seconds. After that
	// the pool kills the worker, so that its pods do not run twice.
	Patience time.Duration
	// Groups gives each worker a control group; nil leaves them all in the agent's.
	Groups Groups
	// Started is told of guests that were started, and how long that took after the module was
	// compiled. It may be nil, and must not block.
	Started func(command bool, took time.Duration)
	// Log gets what concerns the workers and not the output of one guest.
	Log *zap.Logger
}

// Groups has a control group for each worker, by the name of its folder.
type Groups interface {
	// Add makes the group, if it is missing, and moves the process into it.
	Add(name string, pid int) error
	// OutOfMemory reports whether the kernel has killed the process for want of memory.
	OutOfMemory(name string) bool
	// Remove removes the group after the process has exited.
	Remove(name string) error
}

// Compiler makes sure that there is compiled code of a module on disk, for the pod of that UID;
// empty is no pod.
type Compiler interface {
	Compile(ctx context.Context, pod, digest, file string) error
}

func (cfg *Config) prepare() error {
	switch {
	case cfg.Log == nil || cfg.Compiler == nil:
		return errors.New("no logger or no compiler")
	case !filepath.IsAbs(cfg.Dir):
		return fmt.Errorf("the folder of workers must be an absolute path, got %q", cfg.Dir)
	case cfg.Shards < 1:
		return fmt.Errorf("there must be at least one shared worker, not %d", cfg.Shards)
	case len(cfg.Argv) == 0:
		return errors.New("no arguments of a worker process")
	}
	if cfg.Patience == 0 {
		cfg.Patience = 10 * time.Second
	}
	if cfg.Name == "" {
		cfg.Name = cfg.Argv[0]
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of workers: %w", err)
	}
	if err := os.Chmod(cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of workers: %w", err)
	}
	return nil
}
