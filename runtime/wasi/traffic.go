package wasi

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Traffic is what a guest's connections have moved, in bytes, and how many transfers the network has failed.
type Traffic struct {
	Received, Sent            int64
	ReceiveErrors, SendErrors int64
}

// traffic counts one direction. The guest's thread writes, anybody may read.
type traffic struct{ bytes, errors atomic.Int64 }

// add counts a transfer, and gives back how it went. That there is nothing to move yet is no error, nor is what the guest or a
// kill did wrong.
func (t *traffic) add(done uint32, err error) (uint32, error) {
	t.bytes.Add(int64(done))
	if errno, ok := err.(unix.Errno); ok && errno != unix.EAGAIN {
		t.errors.Add(1)
	}
	return done, err
}

// Traffic may be asked for at any time, by anybody.
func (g *Guest) Traffic() Traffic {
	return Traffic{
		Received: g.received.bytes.Load(), ReceiveErrors: g.received.errors.Load(),
		Sent: g.sent.bytes.Load(), SendErrors: g.sent.errors.Load(),
	}
}
