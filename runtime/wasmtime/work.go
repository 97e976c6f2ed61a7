package wasmtime

import "github.com/krustlet-go/krustlet-wasi/runtime"

// work is what a guest runs. A guest (guest.go) has what all kinds of work share: its log and
// streams, its account of memory, its kill, its exit. The kinds are a command in a core module
// (command.go), a command that is a component (componentcommand.go), and an HTTP handler
// (componenthandler.go).
//
// run is called at most once, on the guest's own thread if the work is resident. Any goroutine may
// call the other methods until close. close is the last call; it is called even if run was never
// called.
type work interface {
	// resident reports whether run needs a thread of its own from its start to its end.
	resident() bool
	// run does the work, and returns when everything of it has ended. It calls started once, as
	// soon as the guest runs. The error is the reason why the guest could not start; then run has
	// not called started.
	run(pays payer, started func()) (ending, error)
	// kill makes run return soon. The context of its host calls has already ended.
	kill()
	// quiesce asks the guest to end: it gets no more input and no more connections.
	quiesce()
	// resize sets another limit of processor time, in thousandths of a processor; 0 means no limit.
	resize(cpu int64)
	// stats returns what the guest has used so far.
	stats() runtime.Stats
	// close frees everything that the work holds, with its code.
	close() error
}

// payer says from which account a work takes its memory.
type payer struct {
	account *account
	beside  work // the work of the run that shares the account, or nil; it pays for code that both use
}

// ending is the result of a work.
type ending struct {
	err    error // from the engine; nil if the guest's function returned
	ended  error // the reason from a host call that ended the guest
	memory shortage
}

// shortage says whether a guest failed because it had no more memory, and which bound it reached.
type shortage int

const (
	enough    shortage = iota
	pastLimit          // the bound of its container
	pastHeap           // the bound of every guest's heap of objects
)
