package wasi

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
)

// Config says what a guest gets.
type Config struct {
	// Args is the argument vector, with argv[0]. No entry has a zero byte.
	Args []string
	// Env is the environment, each entry KEY=VALUE. No entry has a zero byte.
	Env []string
	// WorkDir is the guest path of the working directory at the start. If it is empty, the guest
	// chooses. The directory is made if it is missing.
	WorkDir string
	// Mounts is the guest's file system. Exactly one has Guest "/".
	Mounts []Mount
	// Tree, if it is not nil, has the file system, and the working directory in it: then Mounts and
	// WorkDir are those that it was made of, and nothing is done for them.
	Tree *Tree
	// Stdin is the standard input; nil means an empty input. Its Read may block. A goroutine of the
	// guest calls it after the guest first uses its input, and reads one buffer ahead. Close does
	// not wait for a running Read, and the result of that Read is lost. The owner of the reader
	// must end it.
	Stdin io.Reader
	// Stdout and Stderr are the standard output and error; nil discards the output. Only the
	// guest's thread writes to them, so a slow Write delays the guest and also a kill: the guest's
	// write takes as long as Write does.
	Stdout, Stderr io.Writer
	// OutputRate bounds the output to both together, in bytes per second, with a burst of the same
	// size; 0 means no bound. A guest that writes more waits in its call.
	OutputRate int64
	// Rate, if it is not nil, is shared with other guests, and takes the place of OutputRate.
	Rate *Rate
	// ConfigFolders are folders of the host whose files a component finds by wasi:config/store.
	ConfigFolders []string
	// Listeners are listening sockets that the guest has from its start. New owns them, even if it
	// fails.
	Listeners []*net.TCPListener
	// Network is the network of the guest's sockets; nil means that it can make none.
	Network Network
	// Confined says that no path leads above the directory where it begins, by `..` or by a link:
	// then the error is ErrNotPermitted. WASI 0.2 and 0.3 want it. Without it only a `..` that the
	// guest wrote cannot, and at the root it stays there.
	Confined bool
	// MaxDescriptors bounds the guest's open descriptors; 0 means DefaultMaxDescriptors.
	MaxDescriptors int
	// Pace is called on the guest's thread in the middle of long calls, at most every 5 ms. It may
	// make the guest wait, for example for its limit of processor time, and returns when ctx ends.
	// If it is nil, guests never wait.
	Pace func(ctx context.Context)
	// Files is the stock of open files that the guest shares with others; nil means no bound.
	Files *Files
}

// DefaultMaxDescriptors is Linux's usual soft limit of open files (RLIMIT_NOFILE).
const DefaultMaxDescriptors = 1024

// MaxVector bounds the arguments and the environment, in bytes for each of them, with a zero byte
// for each string. Linux's own bound is 2 MiB for both together.
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

func (cfg *Config) rate() *Rate {
	if cfg.Rate != nil {
		return cfg.Rate
	}
	return NewRate(cfg.OutputRate)
}
