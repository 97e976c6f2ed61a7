package wasi

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Guest is the host's side of one running guest. The package documentation says from where it may
// be used.
type Guest struct {
	args, env      []string
	workDir        string
	ns             *namespace
	stdin          *Input
	stdout, stderr *Output
	listeners      []*TCP // in the given order
	listening      listening
	network        Network
	lookups        lookups
	flows          int // of all sockets of UDP: see flows
	root           *Directory
	room           room
	start          time.Time // when the monotonic clock started
	waker          *waker
	beforeWait     []func()
	pace           pace
	rate           *Rate
	received, sent traffic
	polled         []unix.PollFd // kept between polls to reuse its memory
	seed           [2]uint64     // see Seed; zero until it is first asked for
	scratch        scratch
}

// Object is something that a guest has open: an *Input, *Output, *File, *Directory, *TCP or *UDP.
// Its receiver owns it and must close it once.
type Object interface {
	Type() FileType
	Stat() (Stat, error)
	// Close waits while the kernel frees a large file, but not after ctx has ended.
	Close(ctx context.Context) error
}

// streamsAndRoot is the number of objects that each guest has from its start.
const streamsAndRoot = 4

// New makes a guest. It checks the mounts, and opens nothing until the guest uses them.
func New(cfg Config) (*Guest, error) {
	g, err := newGuest(cfg)
	if err != nil {
		closeListeners(cfg.Listeners)
	}
	return g, err
}

func newGuest(cfg Config) (*Guest, error) {
	limit, err := cfg.check()
	if err != nil {
		return nil, err
	}
	g := &Guest{
		args: cfg.Args, env: cfg.Env, workDir: cfg.WorkDir, start: time.Now(), waker: newWaker(),
		pace: pace{hold: cfg.Pace}, rate: cfg.rate(), network: cfg.Network,
		room: room{limit: limit, files: cfg.Files, open: streamsAndRoot + len(cfg.Listeners)},
	}
	ns, err := g.namespace(&cfg)
	if err != nil {
		return nil, err
	}
	listeners, err := g.takeListeners(cfg.Listeners)
	if err != nil {
		return nil, errors.Join(err, ns.close())
	}
	ns.confined = cfg.Confined // from now on: the host's own walks are not
	g.ns, g.listeners = ns, listeners
	g.stdin = newInput(g, cfg.Stdin)
	g.stdout, g.stderr = &Output{guest: g, w: cfg.Stdout}, &Output{guest: g, w: cfg.Stderr}
	g.root = newDirectory(ns.locate("/"), -1)
	return g, nil
}

func (g *Guest) namespace(cfg *Config) (*namespace, error) {
	if cfg.Tree != nil {
		return &namespace{Tree: cfg.Tree, guest: g}, nil
	}
	return newNamespace(g, cfg.Mounts, cfg.WorkDir)
}

// Args returns the argument vector.
func (g *Guest) Args() []string { return g.args }

// Env returns the environment, each entry KEY=VALUE.
func (g *Guest) Env() []string { return g.env }

// workDirVariable is where programs of preview 1 find their working directory. A component may have
// such a program in it.
const workDirVariable = "PWD"

// Variables returns the environment as names with their values, and with PWD, the working
// directory, unless it is there or the guest chooses that itself.
func (g *Guest) Variables(ctx context.Context) ([][2]string, error) {
	all, has := make([][2]string, len(g.env), len(g.env)+1), false
	for i, e := range g.env {
		if err := g.lookAt(ctx, i); err != nil {
			return nil, err
		}
		all[i][0], all[i][1], _ = strings.Cut(e, "=")
		has = has || all[i][0] == workDirVariable
	}
	if g.workDir != "" && !has {
		all = append(all, [2]string{workDirVariable, g.workDir})
	}
	return all, nil
}

// WorkDir returns the guest path of the working directory at the start, or "" if the guest chooses.
func (g *Guest) WorkDir() string { return g.workDir }

// Stdin returns the standard input.
func (g *Guest) Stdin() *Input { return g.stdin }

// Stdout returns the standard output.
func (g *Guest) Stdout() *Output { return g.stdout }

// Stderr returns the standard error.
func (g *Guest) Stderr() *Output { return g.stderr }

// Listeners returns the listening sockets, in the order of Config.Listeners.
func (g *Guest) Listeners() []*TCP { return g.listeners }

// Root returns the directory "/".
func (g *Guest) Root() *Directory { return g.root }

// Close frees the host's resources for the guest. The guest must have ended, and all of its objects
// must be closed, even those that it had from its start.
func (g *Guest) Close() error {
	g.lookups.close()
	return errors.Join(g.ns.close(), g.waker.close())
}

// Reserve takes the room of one descriptor for something else that the guest has open, or returns
// ErrTooManyOpen or ErrNoFiles. Release gives it back.
func (g *Guest) Reserve() error { return g.room.reserve() }

// Release gives back what Reserve took.
func (g *Guest) Release() { g.room.release() }

// CloseInitial closes the objects that the guest has from its start. A binding that shares them
// with other bindings does not close them itself. The guest must have ended.
func (g *Guest) CloseInitial() error {
	err := errors.Join(g.stdin.Close(Ended), g.stdout.Close(Ended), g.stderr.Close(Ended), g.root.Close(Ended))
	for _, l := range g.listeners {
		err = errors.Join(err, l.Close(Ended))
	}
	return err
}

// Ended is a context that has ended: that of a guest that has.
var Ended = func() context.Context {
	ctx, end := context.WithCancel(context.Background())
	end()
	return ctx
}()

// Look is called between two pieces of work of a long call. It returns ErrKilled for a guest that
// was killed, and lets Config.Pace make the guest wait.
func (g *Guest) Look(ctx context.Context) error { return g.pace.look(ctx) }

// Quiesce asks the guest to end by itself. Its standard input ends after the bytes that were
// already read, and its listening sockets accept no more connections. They poll as ready with a
// hang-up, and Accept returns ErrInvalid, as on Linux for a listening socket that was shut down.
// Accepted connections stay open.
//
// It may be called from any goroutine, any number of times, even after Close. It does not wait.
func (g *Guest) Quiesce() {
	g.stdin.finish()
	g.listening.shut()
}
