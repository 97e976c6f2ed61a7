package wasi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"
)

// Config is what a guest is given.
type Config struct {
	// Args is the argument vector, argv[0] included. No entry holds a zero byte.
	Args []string
	// Env is the environment, each entry KEY=VALUE. No entry holds a zero byte.
	Env []string
	// WorkDir is the guest path in which the guest starts; empty leaves it to the guest. It is made if it is
	// missing. Preview 1 has no such thing, so it is passed as the variable PWD, unless Env has that: Go's
	// runtime looks there, wasi-libc starts in "/" whatever is there.
	WorkDir string
	// Mounts is the guest's file system. Exactly one has Guest "/".
	Mounts []Mount
	// Stdin is what descriptor 0 reads; nil is empty. Its Read may block: a goroutine of the guest calls it, from
	// the guest's first look at its input on, and is one buffer ahead. A Read that is under way when the
	// guest is closed is not waited for, and what it reads is lost: whoever owns the reader ends it.
	Stdin io.Reader
	// Stdout and Stderr are descriptors 1 and 2; nil discards. Both are written by the guest's thread only, which
	// is how a guest is held back: a write of the guest lasts as long as Write does. So does a kill.
	Stdout, Stderr io.Writer
	// OutputRate bounds what the guest writes to both together, in bytes per second, with as many at once; 0 is no
	// bound. A guest that writes more waits in its call.
	OutputRate int64
	// Listeners are listening sockets that the guest finds open as descriptors 3, 4, … in this order, non-blocking
	// or not as it sets them; the preopened directory follows after them. The guest owns them from New on, which
	// closes them where it fails; else Close does. The environment tells their number as LISTEN_FDS.
	Listeners []*net.TCPListener
	// MaxDescriptors bounds the guest's open descriptors; 0 is DefaultMaxDescriptors.
	MaxDescriptors int
	// Pace is asked in the middle of calls that take long, on the guest's thread, every 5 ms at most. It may hold the
	// guest back, as for its limit of processor time, and returns when ctx ends. Nil holds nobody back.
	Pace func(ctx context.Context)
	// Files is what the guest opens its files and connections from, with others; nil is no bound.
	Files *Files
}

// DefaultMaxDescriptors is Linux's usual soft limit of open files (RLIMIT_NOFILE).
const DefaultMaxDescriptors = 1024

// Guest is the state of one running guest. See the package documentation for who may use it when.
type Guest struct {
	args, env   vector
	ns          *namespace
	fds         *fdTable
	fileSystems fileSystems
	start       time.Time // what the monotonic clock counts from
	stdin       *input
	listeners   []*listener // as they were given
	waker       *waker
	pace        pace
	rate        rate
	received    traffic
	sent        traffic
	polling     polling // kept between calls for its memory
}

// New makes a guest. The mounts are looked at, and nothing is opened, until the guest uses them.
func New(cfg Config) (*Guest, error) {
	g, err := newGuest(cfg)
	if err != nil {
		closeListeners(cfg.Listeners)
	}
	return g, err
}

func newGuest(cfg Config) (*Guest, error) {
	args, err := newVector("argument", cfg.Args)
	if err != nil {
		return nil, err
	}
	env, err := newVector("environment variable", environment(cfg))
	if err != nil {
		return nil, err
	}
	for _, e := range cfg.Env {
		if !strings.Contains(e, "=") {
			return nil, fmt.Errorf("environment variable %q has no value: it must be KEY=VALUE", e)
		}
	}
	limit := cfg.MaxDescriptors
	if limit <= 0 {
		limit = DefaultMaxDescriptors
	}
	if n := len(cfg.Listeners); n > 0 && n+4 > limit {
		return nil, fmt.Errorf("%d listening sockets do not fit a table of %d descriptors", len(cfg.Listeners), limit)
	}
	g := &Guest{
		args: args, env: env, pace: pace{hold: cfg.Pace}, fds: newFDTable(limit, cfg.Files), fileSystems: fileSystems{},
		start: time.Now(), waker: newWaker(), rate: rate{perSecond: cfg.OutputRate},
	}
	ns, err := newNamespace(cfg.Mounts, &g.pace, cfg.Files)
	if err != nil {
		return nil, err
	}
	if cfg.WorkDir != "" {
		if err := ns.mkdirAll(cfg.WorkDir); err != nil {
			return nil, errors.Join(fmt.Errorf("working directory %s: %w", cfg.WorkDir, err), ns.close())
		}
	}
	listeners, err := takeListeners(cfg.Listeners)
	if err != nil {
		return nil, errors.Join(err, ns.close())
	}
	g.ns, g.listeners = ns, listeners
	g.stdin = newInput(cfg.Stdin, g.waker.ring)
	g.preopen(cfg)
	return g, nil
}

// preopen fills the table of descriptors with what a guest finds at its start.
func (g *Guest) preopen(cfg Config) {
	g.fds.put(0, &descriptor{object: g.stdin, rights: inputRights})
	g.fds.put(1, &descriptor{object: &output{w: cfg.Stdout}, rights: outputRights})
	g.fds.put(2, &descriptor{object: &output{w: cfg.Stderr}, rights: outputRights})
	fd := 3
	for _, l := range g.listeners {
		g.fds.put(fd, &descriptor{object: l, rights: listenerRights, inheriting: connectionRights, flags: flagNonblock, preopened: true})
		fd++
	}
	root := newDirectory(g.ns.locate("/"), -1)
	g.fds.put(fd, &descriptor{object: root, rights: dirRights, inheriting: dirRights | fileRights, preopened: true})
}

func environment(cfg Config) []string {
	env := listenEnvironment(cfg.Env, cfg.Listeners)
	hasPWD := slices.ContainsFunc(cfg.Env, func(e string) bool { return strings.HasPrefix(e, "PWD=") })
	if cfg.WorkDir == "" || hasPWD {
		return env
	}
	return append(slices.Clone(env), "PWD="+cfg.WorkDir)
}

// Close closes all that the guest had open. The guest must have ended.
func (g *Guest) Close() error {
	return errors.Join(g.fds.closeAll(), g.ns.close(), g.waker.close())
}

// vector is a list of strings as the guest reads it: each ends in a zero byte.
type vector struct {
	list []string
	size uint32 // bytes, the zero bytes included
}

// maxVector bounds arguments and environment, in bytes each. Linux's own bound is 2 MiB for both together.
const maxVector = 2 << 20

// stringsPerLook is how many strings are copied before the host looks whether the guest was killed.
const stringsPerLook = 4 << 10

func newVector(what string, list []string) (vector, error) {
	v := vector{list: list}
	for _, s := range list {
		if strings.IndexByte(s, 0) >= 0 {
			return vector{}, fmt.Errorf("%s %q holds a zero byte", what, s)
		}
		if v.size += uint32(len(s)) + 1; v.size > maxVector || len(s) > maxVector {
			return vector{}, fmt.Errorf("the %ss take more than %d bytes", what, maxVector)
		}
	}
	return v, nil
}

// sizes writes the number of entries and the size of them all.
func (v vector) sizes(m memory, count, size uint32) error {
	if err := m.putU32(count, uint32(len(v.list))); err != nil {
		return err
	}
	return m.putU32(size, v.size)
}

// write fills the pointers at ptrs and the bytes at buf.
func (v vector) write(ctx context.Context, pace *pace, m memory, ptrs, buf uint32) error {
	if _, err := m.bytes(ptrs, uint32(len(v.list))*4); err != nil {
		return err
	}
	b, err := m.bytes(buf, v.size)
	if err != nil {
		return err
	}
	at := uint32(0)
	for i, s := range v.list {
		if i%stringsPerLook == stringsPerLook-1 {
			if err := pace.look(ctx); err != nil {
				return err
			}
		}
		if err := m.putU32(ptrs+uint32(i)*4, buf+at); err != nil {
			return err
		}
		at += uint32(copy(b[at:], s))
		b[at] = 0
		at++
	}
	return nil
}
