package instance

// A guest decides how much of these it makes. All of them hold for one Instance, with all of its
// component instances.
const (
	// maxHandles is how many entries the handle tables have. A server with 10,000 connections needs
	// four for each. An entry and what it stands for takes up to 700 bytes of the host.
	maxHandles = 1 << 16
	// maxTasks is how many calls between components and by the host have not ended. One takes up to
	// 1 KiB, without its goroutine.
	maxTasks = 1 << 14
	// maxFibers is how many goroutines calls have. A call that waits for a callback needs none.
	// Those that wait within a guest keep a thread of the operating system, of which a process may
	// have 10,000.
	maxFibers = 64
	// idleFibers is how many goroutines are kept for the next calls. Each keeps a thread of the
	// operating system.
	idleFibers = 1
	// idleValues is how many tasks' values are kept for the next tasks.
	idleValues = 8
	// idleResources is how many handles' memory is kept for the next ones.
	idleResources = 32
	// maxDepth is how many stores have frames above each other on one thread. Each may use as much
	// stack as the engine allows it, and a thread has 8 MiB.
	maxDepth = 10
	// maxBackpressure is the specification's.
	maxBackpressure = 1 << 16
	// maxStreams is how many ends of streams and futures the host holds. One takes up to 1 KiB, with
	// what a guest has of it. Guests hold theirs in tables.
	maxStreams = 1 << 14
	// maxMessage is how many bytes of an error context's message are kept.
	maxMessage = 256
	// maxPosted is how many completions of the host wait for their turn. There are at most as many
	// as calls that the host answers later, and ends of streams that it holds.
	maxLater = 1 << 14
	// eager is how often waits may be answered at once, one after another, before others get a
	// turn.
	eager = 64
)

// maxBuffer is the specification's bound of the elements that one read or write has.
const maxBuffer = 1<<28 - 1
