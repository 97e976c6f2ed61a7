package p3

import (
	"container/list"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
)

// waits has the calls that wait for a direction of a socket, in their order. Each keeps the socket
// open.
type waits struct {
	host   *Host
	of     *descriptor.Descriptor
	socket watched
	write  bool
	calls  list.List // of func() bool, which answers a call if it can, and reports whether it has
	stop   func()    // stops waiting, or nil
}

// later answers a call when try has a result. try returns wasi.ErrWouldBlock until then. over is
// called when the call has its answer, or was cancelled.
func later[T any](w *waits, async typed.Async[T], try func() (T, error), fail func(error) error, over func(cancelled bool)) error {
	var (
		done func(T, error)
		at   *list.Element
	)
	leave := func(cancelled bool) {
		w.calls.Remove(at)
		at = nil
		over(cancelled)
		_ = w.of.Done(w.host.ctx) // what goes wrong in closing, no function tells
	}
	w.of.Use()
	at = w.calls.PushBack(func() bool {
		v, err := try()
		if isWait(err) {
			return false
		}
		leave(false)
		done(v, fail(err))
		return true
	})
	done = async.Later(func() {
		if at == nil {
			return
		}
		leave(true)
		var none T
		done(none, typed.ErrCancelled)
		w.rest()
	})
	if err := w.watch(); err != nil {
		leave(true)
		var none T
		done(none, fail(err))
	}
	return typed.ErrLater
}

// watch waits for the socket.
func (w *waits) watch() (err error) {
	if w.stop == nil {
		w.stop, err = w.host.watch(w.socket, w.write, w.serve)
	}
	return err
}

// rest stops waiting if no call waits.
func (w *waits) rest() {
	if w.calls.Len() == 0 && w.stop != nil {
		w.stop()
		w.stop = nil
	}
}

// serve answers the calls that can be.
func (w *waits) serve() {
	w.stop = nil
	for n := 1; w.calls.Len() > 0; n++ {
		if !w.calls.Front().Value.(func() bool)() {
			break
		}
		if n%perLook == 0 && w.host.Look() != nil {
			return // the guest ends
		}
	}
	if w.calls.Len() > 0 {
		if err := w.watch(); err != nil { // there is no memory for it
			w.host.timers.after(wasi.PauseForRate, w.serve)
		}
	}
}
