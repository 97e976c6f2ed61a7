package p3

import "time"

// What a guest makes the host hold is bounded by these, by the bounds of package instance (calls
// that are answered later, ends of streams and futures that the host holds), and by the guest's
// number of descriptors, of which each stream that is open takes one.
const (
	// piece is how many bytes a stream moves at once. It takes some 20 µs; the host has memory for
	// one piece, not one for each stream.
	piece = 64 << 10
	// pipePiece is how many bytes a FIFO takes at once if it takes any (PIPE_BUF of Linux). A
	// stream to a FIFO holds up to that many.
	pipePiece = 4 << 10
	// probeBytes and probeEntries are how many values wait for a guest that reads none, to learn
	// whether there are any.
	probeBytes   = 4 << 10
	probeEntries = 16
	// turnBytes is how many bytes a stream moves, without the guest doing something, before others
	// get their turn. Some 300 µs.
	turnBytes = 1 << 20
	// maxAccepted is how many connections are accepted at once.
	maxAccepted = 16
	// maxUnsent is how many bytes of datagrams wait for room in the kernel.
	maxUnsent = 1 << 20
	// acceptAgain is after what time a listening socket tries again to accept a connection for
	// which there was no room.
	acceptAgain = 100 * time.Millisecond
	// maxEntries is how many entries of a directory are in memory at once: up to 100 KiB.
	maxEntries = 256
	// maxSyncs is how many flushes go on beside the turn. Each has a thread. More are made in the
	// turn.
	maxSyncs = 16
	// maxRandom is how many random bytes a call returns. The guest may ask again.
	maxRandom = 64 << 10
	// perLook is how many fields a call adds between two checks whether the guest was killed.
	perLook = 256
	// maxReason is how many bytes of a guest the text of an error has while the host holds it.
	maxReason = 256
	// longest is the longest time that a timer waits for.
	longest = time.Duration(1<<63 - 1)
)
