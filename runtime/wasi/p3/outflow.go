package p3

import (
	"errors"
	"io"
	"slices"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// source has the values of a stream that the host writes.
type source[T any] interface {
	// next returns up to n values, at least one, which hold until the turn ends. They stay in the
	// source. The error is io.EOF at the end, and wasi.ErrWouldBlock if values come later.
	next(n int) ([]T, error)
	// took takes n of the values that next returned last.
	took(n int)
	// wait has ready done in the turn when next may have values, or an end. stop stops that.
	wait(ready func()) (stop func(), err error)
	close()
}

// keeper is a source whose values, of the last next, hold only until the turn ends unless it keeps
// them.
type keeper interface{ keep() }

// outflow is a stream that the host writes. Values are taken from the source only when the guest
// reads, and only as many as it reads: nothing is kept for it. The exception are few values for a
// guest that asks by a read of none whether there are any.
type outflow[T any] struct {
	host    *Host
	w       *instance.StreamWriter[T]
	from    source[T]
	promise *promise
	probe   int    // how many values are offered to a guest that reads none
	moved   int    // since others had their turn
	stop    func() // stops waiting, or nil
	free    bool   // it takes no room: that of its socket is for it, too
	ended   bool

	// What each write has done, made once.
	wants, gave func(n int, dropped bool)
}

// stream is the stream for the guest, with values of a source. The promise is kept when the stream
// ends. The stream takes the room of a descriptor.
func stream[T any](h *Host, from source[T], probe int, p *promise, element typed.Element[T]) typed.Stream[T] {
	return (&outflow[T]{host: h, from: from, probe: probe, promise: p}).stream(element)
}

// stream is the stream for the guest.
func (o *outflow[T]) stream(element typed.Element[T]) typed.Stream[T] {
	var err error
	if !o.free {
		err = o.host.reserve()
	}
	return typed.Stream[T]{Make: func(t *types.Type) canon.Handle {
		w, handle := instance.NewStream(o.host.x, t, instance.Codec[T](element))
		o.w = w
		if err != nil {
			o.ended = true
			o.w.Close()
			o.promise.end(err)
			o.from.close()
			return handle
		}
		w.OnDrop(func() { o.end(nil) })
		o.wants, o.gave = o.isWanted, o.hasGiven
		o.offer()
		return handle
	}}
}

// failedStream is a stream that has ended with an error.
func failedStream[T any](h *Host, err error, p *promise, element typed.Element[T]) typed.Stream[T] {
	return typed.Stream[T]{Make: func(t *types.Type) canon.Handle {
		w, handle := instance.NewStream(h.x, t, instance.Codec[T](element))
		w.Close()
		p.end(err)
		return handle
	}}
}

// offer waits until the guest reads.
func (o *outflow[T]) offer() { o.w.Write(nil, o.wants) }

func (o *outflow[T]) isWanted(_ int, dropped bool) {
	if dropped {
		o.end(nil)
		return
	}
	o.give()
}

// give gives the guest what it reads.
func (o *outflow[T]) give() {
	n, reads := o.w.Waits()
	if !reads {
		o.offer() // the guest has cancelled its read
		return
	}
	vs, err := o.from.next(o.wanted(n))
	switch {
	case err == nil && n == 0:
		// The guest only asks whether there is something. That is offered until it reads again.
		vs = slices.Clone(vs)
		if k, ok := o.from.(keeper); ok {
			k.keep()
		}
	case errors.Is(err, io.EOF):
		o.end(nil)
		return
	case isWait(err):
		o.wait()
		return
	case err != nil:
		o.end(err)
		return
	}
	o.w.Write(vs, o.gave)
}

func (o *outflow[T]) hasGiven(n int, dropped bool) {
	o.from.took(n)
	if dropped {
		o.end(nil)
		return
	}
	if o.moved += n; o.moved < turnBytes {
		o.goOn()
		return
	}
	o.host.pass(&o.moved, o.goOn)
}

// isWait reports whether an error says that something comes later.
func isWait(err error) bool { return err != nil && wasi.ErrorOf(err) == wasi.ErrWouldBlock }

// wanted is how many values are taken from the source for a read of n.
func (o *outflow[T]) wanted(n int) int {
	if n > 0 {
		return n
	}
	return o.probe
}

func (o *outflow[T]) goOn() {
	if !o.ended {
		o.offer()
	}
}

func (o *outflow[T]) wait() {
	stop, err := o.from.wait(func() {
		if !o.ended {
			o.stop = nil
			o.give()
		}
	})
	if err != nil {
		o.end(err)
		return
	}
	o.stop = stop
}

// end ends the stream.
func (o *outflow[T]) end(err error) {
	if o.ended {
		return
	}
	o.ended = true
	if o.stop != nil {
		o.stop()
	}
	o.w.Close()
	if !o.free {
		o.host.release()
	}
	o.from.close()
	o.promise.end(err)
}

// pass does next in a later turn, as much was moved. A stream between two parts of the host would
// keep others from their turns.
func (h *Host) pass(moved *int, next func()) {
	*moved = 0
	go h.x.Post(next) // from outside, so that what is ready runs before it
}
