// Package runtime defines what it means to run a container once. It depends on no engine.
//
// A Spec is plain data: it can be written to disk or sent to another process, and holds no function
// and no open file. An Engine makes a Guest from a Spec; a Guest ends with an Exit. The package
// that starts containers (podsync) knows only these types, so the engine may run in the same
// process or in another.
package runtime

import (
	"context"
	"errors"
	"io"
	"time"
)

// DefaultMaxModule bounds a module, in bytes, if the node's settings do not: when it is pulled, and
// when it is compiled.
const DefaultMaxModule = 256 << 20

// Spec is everything that an engine needs to run a container once.
type Spec struct {
	// ID names this run. Two runs on a node never have the same ID. In a container's status it
	// follows `wasmtime://`.
	ID string
	// Of says which container this run belongs to, so that a later caller can find it again
	// (Engine.Runs). If guests live in several processes, the runs of one pod are in the same
	// process. With the zero value, the run belongs only to its caller: a later caller cannot find
	// it, and it is killed when the caller's process exits.
	Of Origin
	// Isolated asks for a process that hosts only this pod's guests. An engine that runs guests in
	// its caller's process ignores it.
	Isolated bool
	// Module is the absolute path of the WebAssembly binary.
	Module string
	// Digest is the binary's content digest, `sha256:` and 64 hexadecimal digits. It is the key for
	// compiled code.
	Digest string
	// Env is the guest's environment, each entry KEY=VALUE.
	Env []string
	// WorkDir is the guest path of the working directory at the start; empty means "/".
	WorkDir string
	// Mounts are the files that the guest sees. Exactly one has Guest "/"; the others may nest.
	Mounts []Mount
	// Log is the absolute path of the container's log file (CRI format); its folder exists. If it
	// is empty, the guest's output is discarded.
	Log string
	// LogMaxSize is the size of the log file, in bytes, at which it is rotated; 0 means never.
	// LogMaxFiles bounds the number of files of one log, with the current one; 0 means 1.
	LogMaxSize  int64
	LogMaxFiles int
	// MemoryLimit bounds the guest's linear memory, in bytes; 0 means that the pod sets no bound.
	MemoryLimit int64
	// CPULimit bounds the guest's share of processor time, in thousandths of a core; 0 means no
	// bound.
	CPULimit int64
	// OutputRate bounds the output to both standard streams together, in bytes per second, with a
	// burst of the same size; 0 means no bound. A guest that writes more must wait.
	OutputRate int64
	// ConfigFolders are folders of the host whose files wasi:config/store shows, by their names.
	ConfigFolders []string
	// Network is what the guest has of the network.
	Network Network
	// Command is what the guest runs if it is a command.
	Command
	// HTTP is how the guest is served if it is an HTTP handler.
	HTTP HTTP
}

// Command is a run of a program that ends by itself. It has arguments and an input.
type Command struct {
	// Args is the guest's argument vector, argv[0] included.
	Args []string
	// Stdin keeps the guest's standard input open for Attach. Without Stdin, the input is only the
	// one given to Start. With StdinOnce, the input ends when the first attached client
	// disconnects, or when its input ends.
	Stdin, StdinOnce bool
	// Listen are TCP addresses, host:port, for which the guest gets listening sockets. Their
	// descriptors start at 3, in this order. LISTEN_FDS in the guest's environment is their number.
	Listen []string
	// ListenFree are TCP addresses that the guest may want. The guest gets sockets for those that
	// are free, after the sockets of Listen.
	ListenFree []string
}

// Limits are the limits of a guest that may change while it runs.
type Limits struct {
	Memory int64 // as Spec.MemoryLimit
	CPU    int64 // as Spec.CPULimit
}

// Origin says which run of which container this is. Its owner chooses these texts; engines keep
// them and return them.
type Origin struct {
	Pod       string // the pod's UID
	Container string // its name in the pod
	Attempt   int32  // from 0
	ImageID   string // as the container's status shows it
	// Beside is set for a command: the ID of the container's run beside which it runs. The
	// command's usage counts for that run.
	Beside string
}

// Streams are a client's streams, which are attached to a guest's standard streams. With the zero
// value, stdin is empty, and output goes only to the Spec's log. Attached output goes to both the
// client and the log.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Mount shows a directory or a file of the host to the guest at a guest path.
type Mount struct {
	Host     string // absolute path on the host; it exists and contains no symbolic link
	Guest    string // absolute, clean path for the guest
	ReadOnly bool
}

// Engine starts containers. It may be used from any goroutine.
type Engine interface {
	// Start compiles the module unless its code is cached, makes an instance, and returns when the
	// guest runs. If ctx ends during Start, Start fails; a running guest is not affected. An error
	// says what is wrong with the module or the Spec; then nothing is left behind.
	Start(ctx context.Context, spec Spec, streams Streams) (Guest, error)
	// Runs returns the runs of pods (Spec.Of) that have not ended, and those that have ended but
	// were not forgotten since. It includes runs that an earlier caller started, because an engine
	// may live longer than its caller. They are in no order.
	Runs() []Run
	// Stats returns Guest.Stats of all Runs that have not ended, by their IDs. It asks for all of
	// them together. If ctx ends before a run has answered, the result has the last known Stats of
	// that run, or nothing for it if none are known.
	Stats(ctx context.Context) map[string]Stats
}

// Run is a container's run that was found again.
type Run struct {
	ID        string
	Of        Origin
	StartedAt time.Time
	Guest     Guest
}

// Guest is a running Spec: a container or a command. It may be used from any goroutine.
type Guest interface {
	// Done is closed when the guest has ended and all its output is in its log file.
	Done() <-chan struct{}
	// Exit returns how the guest ended. It must not be called before Done is closed.
	Exit() Exit
	// Stop kills the guest after grace, unless the guest ends before. It does not wait. A later
	// call can make the end earlier, but never later. After Done it has no effect.
	Stop(grace time.Duration)
	// Stats returns what the guest has used so far. It may be called at any time.
	Stats() Stats
	// Attach connects streams to the guest while it runs, in addition to those that are already
	// connected. From now on stdout and stderr also get the guest's output, and the guest reads
	// stdin if its Spec has Stdin. Attach returns nil when the guest has ended and all its output
	// was written to the streams. Otherwise it returns the error of ctx or of a stream. If a stream
	// is not read, the guest must wait until ctx ends. ErrStdin means that stdin cannot be
	// connected.
	Attach(ctx context.Context, streams Streams) error
	// Resize gives the guest other limits while it runs; after Done it has no effect. The guest
	// keeps the memory that it already has, even above the limit. The error says why the limits did
	// not change.
	Resize(ctx context.Context, limits Limits) error
	// Forget tells the engine that its caller has recorded the end and will not ask again. The
	// engine then keeps no data about the run. Forget does not wait. Before Done it has no effect.
	Forget()
}

// Errors of Start that are not caused by the module or the Spec: a later Start may succeed.
var (
	// ErrFull: the engine has as many guests as the system allows.
	ErrFull = errors.New("the engine is full")
	// ErrLost: the process that should host the guest has exited.
	ErrLost = errors.New("the process that hosts containers has ended")
)

// ErrNotCompiled is the error of Start if the module's compiled code is missing and the engine does
// not compile.
var ErrNotCompiled = errors.New("the module is not compiled")

// ErrStdin is the error of an Attach with a standard input, if the guest's Spec has no Stdin or
// another client's input is connected.
var ErrStdin = errors.New("the container's standard input cannot be attached")

// Stats are what a guest and the commands beside it have used.
type Stats struct {
	CPU       time.Duration // processor time of the guest's thread, with host calls
	Throttled time.Duration // time that the guest had to wait because of its CPULimit
	Memory    int64         // current bytes of linear memory and tables
	Traffic   Traffic       // of the guest's connections
	HTTP      *HTTPStats    // of an HTTP handler, else nil
}

// Traffic is the number of bytes that connections have transferred, and the number of transfers
// that failed because of the network.
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

// Reason says in one word how a guest ended. It goes into a container's terminated state.
type Reason string

// The reasons of an Exit.
const (
	Completed Reason = "Completed" // exit code 0
	Error     Reason = "Error"     // any other exit code, a trap, or a kill
	OOMKilled Reason = "OOMKilled" // the guest reached its memory limit
)

// Exit is how a guest ended.
type Exit struct {
	// Code is the argument of proc_exit; 0 when the start function returned; 137 when the guest was
	// killed or ran out of memory; 134 when it trapped (like a native process that aborts).
	Code   int32
	Reason Reason
	// Message is for the user. It is empty when the guest ended by itself. Otherwise it says what
	// ended the guest (the trap, and its position in the module). It has at most 4 KiB.
	Message    string
	StartedAt  time.Time
	FinishedAt time.Time
}
