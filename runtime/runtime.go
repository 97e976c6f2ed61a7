// Package runtime says what it means to run a container once, and names no engine.
//
// A Spec is plain data: it can be written to disk or sent to another process, and holds no function
// and no open file. An Engine turns a Spec into a Guest; a Guest ends with an Exit. A package
// that starts containers (podsync) knows only these types, so the engine may live in the same
// process or elsewhere.
package runtime

import (
	"context"
	"errors"
	"io"
	"time"
)

// DefaultMaxModule bounds a module where the node's settings do not, in bytes: when it is pulled,
// and when it is compiled.
const DefaultMaxModule = 256 << 20

// Spec is all that an engine needs to run a container once.
type Spec struct {
	// ID names this run; no two runs on a node share one. It is the part behind `wasmtime://` in a
	// container's status.
	ID string
	// Of says which container's run this is, for a caller that finds it again (Engine.Runs). Runs
	// of one pod are kept together where guests live in several processes. The zero value is a run
	// that belongs to its caller alone: it is not found again, and is killed when the caller's
	// process exits.
	Of Origin
	// Isolated asks for a process that hosts only this pod's guests. An engine that runs guests in
	// its caller's process ignores it.
	Isolated bool
	// Module is the absolute path of the WebAssembly binary.
	Module string
	// Digest is the binary's content digest, `sha256:` and 64 hexadecimal digits. It is the key
	// under which compiled code is kept.
	Digest string
	// Env is the guest's environment, each entry KEY=VALUE.
	Env []string
	// WorkDir is the guest path in which the guest starts; empty means "/".
	WorkDir string
	// Mounts are the files that the guest sees. Exactly one has Guest "/"; the others may nest.
	Mounts []Mount
	// Log is the absolute path of the container's log file (CRI format); its folder exists. Empty
	// discards what the guest writes.
	Log string
	// LogMaxSize is the size of the log file, in bytes, at which it is rotated; 0 never rotates.
	// LogMaxFiles bounds the files of one log, the one that is written included; 0 is 1.
	LogMaxSize  int64
	LogMaxFiles int
	// MemoryLimit bounds the guest's linear memory, in bytes; 0 means no bound of the pod's own.
	MemoryLimit int64
	// CPULimit bounds the guest's share of processor time, in thousandths of a core; 0 means no
	// bound.
	CPULimit int64
	// OutputRate bounds what the guest writes to its standard streams together, in bytes per
	// second, with as many at once; 0 means no bound. A guest that writes more waits.
	OutputRate int64
	// Command is what the guest is asked to do. It is the one kind of run so far. Another kind gets a
	// struct of its own beside it.
	Command
}

// Command is a run of a program that ends by itself: it has arguments and an input.
type Command struct {
	// Args is the guest's argument vector, argv[0] included.
	Args []string
	// Stdin keeps the guest's standard input open for Attach. Without it, the input is only what
	// Start is given. With StdinOnce, the input ends when the first client that was attached
	// leaves, or its input ends.
	Stdin, StdinOnce bool
	// Listen are TCP addresses, host:port, on which the guest finds listening sockets: descriptors
	// from 3 on, in this order. LISTEN_FDS in its environment says how many there are.
	Listen []string
	// ListenFree are TCP addresses that the guest may want. Behind the sockets of Listen it finds
	// sockets for those addresses that were free.
	ListenFree []string
}

// Limits are the bounds of a guest that may change while it runs.
type Limits struct {
	Memory int64 // as Spec.MemoryLimit
	CPU    int64 // as Spec.CPULimit
}

// Origin says which run of which container this is: plain words of its owner, which engines keep
// and give back.
type Origin struct {
	Pod       string // the pod's UID
	Container string // its name in the pod
	Attempt   int32  // from 0
	ImageID   string // as the container's status shows it
	// Beside is the ID of the container's run that a command is run beside: what the command uses
	// counts for that run.
	Beside string
}

// Streams are a client's streams, attached to a guest's standard streams. The zero value attaches
// nothing: stdin is empty, and output goes only to the Spec's log. Output that is attached goes to
// both.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Mount shows a directory or a file of the host at a path of the guest.
type Mount struct {
	Host     string // absolute path on the host; it exists and has no symbolic link in it
	Guest    string // absolute, clean path in the guest
	ReadOnly bool
}

// Engine starts containers. It may be used from any goroutine.
type Engine interface {
	// Start compiles the module unless its code is cached, makes an instance, and returns when the
	// guest runs. When ctx ends, a start under way ends; a guest that runs goes on. An error says
	// what is wrong with the module or the Spec; then nothing is left behind.
	Start(ctx context.Context, spec Spec, streams Streams) (Guest, error)
	// Runs returns the runs of pods (Spec.Of) that have not ended, or were not forgotten since. It
	// includes those that an earlier caller started: an engine may outlive its caller. They are in
	// no order.
	Runs() []Run
	// Stats returns Guest.Stats of all Runs that have not ended, by their IDs, asked for
	// together. If ctx ends before a run has answered, its Stats are those seen last; a run that
	// was never seen is left out.
	Stats(ctx context.Context) map[string]Stats
}

// Run is a container's run that was found again.
type Run struct {
	ID        string
	Of        Origin
	StartedAt time.Time
	Guest     Guest
}

// Guest is what was started of a Spec: a container or a command. It may be used from any goroutine.
type Guest interface {
	// Done is closed when the guest has ended and all that it wrote is in its log file.
	Done() <-chan struct{}
	// Exit returns how the guest ended. It must not be called before Done is closed.
	Exit() Exit
	// Stop kills the guest once grace has passed, unless the guest ends before. It does not wait. A
	// later call may bring the end forward, never put it off. After Done it does nothing.
	Stop(grace time.Duration)
	// Stats returns what the guest has used so far. It may be called at any time.
	Stats() Stats
	// Attach connects streams to the guest while it runs, beside those that are connected already.
	// From now on stdout and stderr also get what the guest writes, and the guest reads stdin if
	// its Spec has Stdin. Attach returns nil when the guest has ended and has given everything to
	// the streams, else the error of ctx or of a stream. A stream that is not read holds the guest
	// back until ctx ends. ErrStdin says that stdin cannot be connected.
	Attach(ctx context.Context, streams Streams) error
	// Resize gives the guest other limits while it runs; after Done it does nothing. The guest
	// keeps memory that it has already, even beyond the limit. The error says why the limits are as
	// they were.
	Resize(ctx context.Context, limits Limits) error
	// Forget tells the engine that its caller has noted the end and will not ask again: the engine
	// keeps nothing of the run any more. It does not wait. Before Done it does nothing.
	Forget()
}

// Errors of Start that say nothing of the module or the Spec: a later Start may succeed.
var (
	// ErrFull: the engine holds as many guests as the system can bear.
	ErrFull = errors.New("the engine is full")
	// ErrLost: the process that should host the guest has exited.
	ErrLost = errors.New("the process that hosts containers has ended")
)

// ErrNotCompiled is the error of Start for a module whose compiled code is missing, if the engine
// does not compile.
var ErrNotCompiled = errors.New("the module is not compiled")

// ErrStdin is the error of an Attach with a standard input that the guest cannot have: its Spec
// asks for none, or another client's is connected.
var ErrStdin = errors.New("the container's standard input cannot be attached")

// Stats are what a guest has used, with the commands beside it.
type Stats struct {
	CPU       time.Duration // processor time of the guest's thread, host calls included
	Throttled time.Duration // time that the guest was held back by its CPULimit
	Memory    int64         // bytes of linear memory and tables now
	Traffic   Traffic       // of the guest's connections
}

// Traffic is how many bytes connections have moved, and how many of their transfers the network has
// failed.
type Traffic struct {
	Received, Sent            int64
	ReceiveErrors, SendErrors int64
}

// Plus returns the sum of both.
func (t Traffic) Plus(more Traffic) Traffic {
	return Traffic{
		Received: t.Received + more.Received, ReceiveErrors: t.ReceiveErrors + more.ReceiveErrors,
		Sent: t.Sent + more.Sent, SendErrors: t.SendErrors + more.SendErrors,
	}
}

// Reason says in one word how a guest ended, as a container's terminated state has it.
type Reason string

// The reasons of an Exit.
const (
	Completed Reason = "Completed" // exit code 0
	Error     Reason = "Error"     // any other exit code, a trap, or a kill
	OOMKilled Reason = "OOMKilled" // ended at its memory limit
)

// Exit is how a guest ended.
type Exit struct {
	// Code is what the guest passed to proc_exit; 0 when its start function returned; 137 when it
	// was killed or ran out of memory; 134 when it trapped (like a native process that aborts).
	Code   int32
	Reason Reason
	// Message is for the user: empty when the guest ended by itself, else what ended it (the trap,
	// and where in the module), at most 4 KiB.
	Message    string
	StartedAt  time.Time
	FinishedAt time.Time
}
