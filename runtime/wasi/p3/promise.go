package p3

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// promise is a future that says how something ended.
type promise struct {
	ended bool
	err   error
	write func(err error) // set when the guest has the future
}

// end gives the future its value: that all went well, or an error. Only the first call counts.
func (p *promise) end(err error) {
	if p.ended {
		return
	}
	p.ended, p.err = true, err
	if p.write != nil {
		p.write(err)
	}
}

// result is the value of a future. E is the type of error codes of an interface.
type result[E any] = typed.Result[typed.None, E]

// future is the future for the guest. code makes a code of an error of the host.
func future[E any](h *Host, p *promise, element typed.Element[result[E]], code func(error) E) typed.Future[result[E]] {
	return typed.Future[result[E]]{Make: func(t *types.Type) canon.Handle {
		w, handle := instance.NewFuture(h.x, t, instance.Codec[result[E]](element))
		p.write = func(err error) {
			if err == nil {
				w.Write(result[E]{})
				return
			}
			w.Write(typed.Fail[typed.None](code(err)))
		}
		if p.ended {
			p.write(p.err)
		}
		return handle
	}}
}

// fileFuture is a future with codes of wasi:filesystem.
func (h *Host) fileFuture(p *promise) typed.Future[result[bindings.FilesystemErrorCode]] {
	return future(h, p, bindings.ElementResultNoneFilesystemErrorCode, fileCode)
}

// cliFuture is a future with codes of wasi:cli.
func (h *Host) cliFuture(p *promise) typed.Future[result[bindings.CLIErrorCode]] {
	return future(h, p, bindings.ElementResultNoneCLIErrorCode, cliCode)
}
