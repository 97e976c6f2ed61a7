package p3

import (
	"errors"
	"io"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
)

// forward moves the body of a message that came from outside into one that goes outside: the guest
// sends a request on that it got, or answers with a response that it got. Nothing of the body comes
// to the guest.
type forward struct {
	from     arrivedBody
	to       deliveredBody
	met      func() // the instance goes on until then
	trailers []http.Field
	moved    int // since others had their turn
	ended    bool
}

// forward begins to move a body.
func (d *delivery) forward(from *arrival) {
	f := &forward{from: arrivedBody{from}, to: deliveredBody{d}, met: d.host.x.Expect()}
	d.forwarded = f
	switch {
	case from.over:
		f.end(errOver)
	case from.pipe == nil:
		f.end(nil)
	default:
		from.body.write = f.end // if it is cut
		f.step()
	}
}

// step moves what there is, and waits for more, or for room.
func (f *forward) step() {
	for !f.ended {
		bytes, err := f.from.next(piece)
		switch {
		case errors.Is(err, io.EOF):
			f.trailers = f.from.pipe.Trailers()
			f.end(nil)
			return
		case isWait(err):
			f.waits(f.from.wait)
			return
		case err != nil:
			f.end(err)
			return
		}
		n, err := f.to.room(len(bytes))
		if err == nil && n == 0 {
			f.waits(f.to.wait)
			return
		}
		if err == nil {
			err = f.to.put(bytes[:n])
		}
		if err != nil {
			f.end(err)
			return
		}
		f.from.took(n)
		if f.moved += n; f.moved >= turnBytes {
			f.from.host.pass(&f.moved, f.step)
			return
		}
	}
}

func (f *forward) waits(wait func(func()) (func(), error)) {
	if _, err := wait(f.step); err != nil {
		f.end(err)
	}
}

// end ends the forwarding: with the whole body, or with an error. Only the first call counts.
func (f *forward) end(err error) {
	if f.ended {
		return
	}
	f.ended = true
	f.met()
	if !f.from.over {
		f.from.leave()
	}
	if f.from.response {
		f.from.pipe.Close(nil) // who sent the request waits for it
	}
	f.to.finish(err)
}
