package wasi

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Traffic is the number of bytes that a guest's connections have transferred, and the number of
// transfers that failed because of the network.
type Traffic struct {
	Received, Sent            int64
	ReceiveErrors, SendErrors int64
}

// traffic counts one direction. The guest's thread writes it, and any goroutine may read it.
type traffic struct{ bytes, errors atomic.Int64 }

// add counts a transfer, and returns its result. It does not count an error if no bytes can be
// moved yet, if the guest made a mistake, or if the guest was killed.
func (t *traffic) add(moved int, err error) (int, error) {
	t.bytes.Add(int64(moved))
	if number, ok := err.(unix.Errno); ok && number != unix.EAGAIN { //nolint:errorlint // it is never wrapped
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
