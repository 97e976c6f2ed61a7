package wasmtime

import "github.com/krustlet-go/krustlet-wasi/runtime"

// work is what a guest is asked to do, of one kind. A guest (guest.go) has what all kinds share:
// its log and streams, its account of memory, when it is killed, its exit. There is one kind so
// far, a command in a core module (command.go). Another kind may have several stores, and threads
// besides the guest's own.
//
// run is called once at most, on the guest's own thread. Any goroutine may call the others until
// close. close is the last call, also of a work that never ran.
type work interface {
	// run does the work, and returns when all of it has ended. It calls started once, as soon as
	// the guest runs. The error says why the guest could not be started; then started was not
	// called.
	run(pays payer, started func()) (ending, error)
	// kill makes run return soon. The context of its host calls has ended before.
	kill()
	// quiesce tells the guest that it is asked to end: no input and no connection comes any more.
	quiesce()
	// resize sets another limit of processor time, in thousandths of a processor, 0 for none.
	resize(cpu int64)
	// stats is what the guest has used so far.
	stats() runtime.Stats
	// close frees what the work holds, its code included.
	close() error
}

// payer says which account a work takes its memory from.
type payer struct {
	account *account
	beside  work // of the run that shares the account, or nil; it pays for code that both use
}

// ending is how a work ended.
type ending struct {
	err    error // of the engine, nil if the guest's function returned
	ended  error // what a host call left that ended the guest
	memory shortage
}

// shortage is whether a guest that ended badly ended for want of memory, and which bound it met.
type shortage int

const (
	enough    shortage = iota
	pastLimit          // of its container
	pastHeap           // of the heap of objects that any guest has
)
