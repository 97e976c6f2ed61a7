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

// Config is the configuration of a Pool.
type Config struct {
	// Dir is the folder that contains the workers' folders. It is made with mode 0700 if it is
	// missing.
	Dir string
	// Build identifies this agent's build and the workers' settings. Workers of another build get
	// no new runs.
	Build string
	// Argv is the beginning of the arguments of a worker process, whose main function calls
	// host.Bind and Bound.Serve. The pool adds wire.DirFlag with the worker's folder, and
	// wire.ReadyFlag with the number of the open file for host.Config.Ready. Argv[1] distinguishes
	// workers of all versions from other processes.
	Argv []string
	// Name is the name of worker processes instead of the program's path; empty means that path.
	Name string
	// Shards is the number of shared workers.
	Shards int
	// Compiler puts compiled code into the folder where the workers look for it.
	Compiler Compiler
	// Patience bounds how long a worker may take to list its runs; 0 means 10 seconds. After that
	// the pool kills the worker, so that its pods do not run twice.
	Patience time.Duration
	// Groups gives each worker a control group. If it is nil, all workers stay in the agent's
	// group.
	Groups Groups
	// Network knows what the cluster says of the network. A worker knows its state before a guest
	// starts there. If it is nil, workers are told nothing.
	Network Network
	// Started is called for each started guest, with the duration of the start after the
	// compilation. It may be nil, and must not block.
	Started func(command bool, took time.Duration)
	// Log gets messages about the workers, but not the output of guests.
	Log *zap.Logger
}

// Groups has a control group for each worker. Its name is that of the worker's folder.
type Groups interface {
	// Add makes the group if it is missing, and moves the process into it.
	Add(name string, pid int) error
	// OutOfMemory reports whether the kernel has killed the process because of too little memory.
	OutOfMemory(name string) bool
	// Remove removes the group after the process has exited.
	Remove(name string) error
}

// Compiler makes sure that a module's compiled code is on disk. pod is the UID of the pod that
// needs it, or empty.
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
