package p2

import (
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
)

// kind is a kind of resources.
type kind uint8

const (
	rootHandles kind = iota
	pollables
	streams
	entryStreams
	failures
	networks

	kinds = iota
)

// bounds say how many resources of a kind a guest may hold. With the memory that each takes, beside
// some 300 bytes of its handle, they bound what a guest makes the host hold.
var bounds = [kinds]struct {
	most int
	what string
}{
	// A program asks for its directories once. Each module of a component may be a program.
	rootHandles: {1024, "handles of its first directory"},
	// A server with 10,000 connections waits for both directions of each. 64 bytes.
	pollables: {32 << 10, "pollables"},
	// A stream for each direction of each of the 1024 descriptors of a guest, and of as many
	// connections as a server has. 100 bytes.
	streams: {32 << 10, "streams"},
	// A walk through a tree lists one directory on each level. 64 bytes, and a path of a directory.
	entryStreams: {4096, "streams of directory entries"},
	// A program reads an error and drops it. 16 bytes.
	failures: {4096, "errors"},
	// There is only one network. 16 bytes.
	networks: {1024, "handles of the network"},
}

const (
	// maxRead is how many bytes a read returns, as in Linux's own pipes. The host copies them.
	maxRead = 64 << 10
	// maxWrite is how many bytes a write may have. The host does not copy them.
	maxWrite = 1 << 20
	// maxBlockingWrite is the specification's, for the writes that need no permit.
	maxBlockingWrite = 4096
	// maxPipeWrite is how many bytes a FIFO takes at once if it takes any (PIPE_BUF of Linux).
	maxPipeWrite = 4096
	// maxDatagrams is how many datagrams a call receives or sends. A call that receives ends after
	// maxDatagramBytes, so it has up to twice as much.
	maxDatagrams     = 16
	maxDatagramBytes = 64 << 10
	// maxEarly is how many bytes a body takes before its response is given: as many as a pipe holds.
	maxEarly = http.PipeSize
	// maxAllEarly is for all such bodies of a guest. It answers one request at a time.
	maxAllEarly = 4 * maxEarly
	// maxRandom is how many random bytes a call returns. WIT has no error for more, so such a guest
	// traps. Programs take a few dozen, and JavaScript's own bound is 64 KiB.
	maxRandom = 16 << 20
	// maxPoll is how many pollables one poll has, as in preview 1.
	maxPoll = 16 << 10
	// keptInterests is for how many pollables memory is kept until the next poll.
	keptInterests = 1 << 10
	// perLook is how many small steps a call makes between two checks whether the guest was killed.
	perLook = 256
)

// tooMany is the error of a guest that holds too many resources. It ends a guest whose function
// has no other error.
func tooMany(k kind) error {
	return fmt.Errorf("the guest holds more than %d %s", bounds[k].most, bounds[k].what)
}

// take counts a resource of a kind.
func (h *Host) take(k kind) error {
	if h.held[k] >= bounds[k].most {
		return tooMany(k)
	}
	h.held[k]++
	return nil
}

// give counts a resource that the guest dropped.
func (h *Host) give(k kind) { h.held[k]-- }
