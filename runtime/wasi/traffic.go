package wasi

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Traffic is what a guest's connections have moved, in bytes, and how many transfers the network
// has failed.
type Traffic struct {
	Received, Sent            int64
	ReceiveErrors, SendErrors int64
}

// traffic counts one direction. The guest's thread writes, and any goroutine may read.
type traffic struct{ bytes, errors atomic.Int64 }

// add counts a transfer, and returns its result. It counts no error where nothing can be moved yet,
// where the guest made a mistake, and where the guest was killed.
func (t *traffic) add(moved int, err error) (int, error) {
	t.bytes.Add(int64(moved))
	if number, ok := err.(unix.Errno); ok && number != unix.EAGAIN { //nolint:errorlint // never wrapped
		t.errors.Add(1)
	}
	return moved, err
}

// Traffic may be called at any time, from any goroutine.
func (g *Guest) Traffic() Traffic {
	return Traffic{
		Received: g.received.bytes.Load(), ReceiveErrors: g.received.errors.Load(),
		Sent: g.sent.bytes.Load(), SendErrors: g.sent.errors.Load(),
	}
}
