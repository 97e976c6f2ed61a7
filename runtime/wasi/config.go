package wasi

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
)

// Config is what a guest is given.
type Config struct {
	// Args is the argument vector, argv[0] included. No entry holds a zero byte.
	Args []string
	// Env is the environment, each entry KEY=VALUE. No entry holds a zero byte.
	Env []string
	// WorkDir is the guest path in which the guest starts; empty leaves it to the guest. It is made
	// if it is missing.
	WorkDir string
	// Mounts is the guest's file system. Exactly one has Guest "/".
	Mounts []Mount
	// Stdin is the standard input; nil is empty. Its Read may block: a goroutine of the guest calls
	// it, from the guest's first look at its input on, and is one buffer ahead. Close does not wait
	// for a Read that is under way, and what that reads is lost: the owner of the reader ends it.
	Stdin io.Reader
	// Stdout and Stderr are the standard output and error; nil discards. Only the guest's thread
	// writes to them, so a slow Write holds the guest back, and a kill too: the guest's write lasts
	// as long as Write does.
	Stdout, Stderr io.Writer
	// OutputRate bounds what the guest writes to both together, in bytes per second, with as many
	// at once; 0 is no bound. A guest that writes more waits in its call.
	OutputRate int64
	// Listeners are listening sockets that the guest has from its start. New owns them, even where
	// it fails.
	Listeners []*net.TCPListener
	// MaxDescriptors bounds what the guest has open; 0 is DefaultMaxDescriptors.
	MaxDescriptors int
	// Pace is asked in the middle of calls that take long, on the guest's thread, at most every 5
	// ms. It may hold the guest back, as for its limit of processor time, and returns when ctx
	// ends. Nil holds no guest back.
	Pace func(ctx context.Context)
	// Files is the stock of open files that the guest shares with others; nil is no bound.
	Files *Files
}

// DefaultMaxDescriptors is Linux's usual soft limit of open files (RLIMIT_NOFILE).
const DefaultMaxDescriptors = 1024

// MaxVector bounds arguments and environment, in bytes each, with a zero byte for each string.
// Linux's own bound is 2 MiB for both together.
const MaxVector = 2 << 20

// check returns the number of descriptors that the guest may have open.
func (cfg *Config) check() (limit int, err error) {
	if err := checkVector("argument", cfg.Args); err != nil {
		return 0, err
	}
	if err := checkVector("environment variable", cfg.Env); err != nil {
		return 0, err
	}
	for _, e := range cfg.Env {
		if !strings.Contains(e, "=") {
			return 0, fmt.Errorf("environment variable %q has no value: it must be KEY=VALUE", e)
		}
	}
	limit = cfg.MaxDescriptors
	if limit <= 0 {
		limit = DefaultMaxDescriptors
	}
	if n := len(cfg.Listeners); n > 0 && n+streamsAndRoot > limit {
		return 0, fmt.Errorf("%d listening sockets do not fit a table of %d descriptors", n, limit)
	}
	return max(limit, streamsAndRoot), nil
}

func checkVector(what string, list []string) error {
	size := 0
	for i, s := range list {
		if strings.IndexByte(s, 0) >= 0 {
			return fmt.Errorf("%s %d holds a zero byte", what, i)
		}
		if size += len(s) + 1; size > MaxVector {
			return fmt.Errorf("the %ss take more than %d bytes", what, MaxVector)
		}
	}
	return nil
}
