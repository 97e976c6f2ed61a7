package command

import (
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/world"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	bindings2 "github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
	bindings3 "github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// handleOf returns the function that an HTTP handler exports.
func handleOf(exports *link.Instance, e world.Entry) (*link.Func, error) {
	table, iface := &bindings2.Table, "wasi:http/incoming-handler@0.2.0"
	if e.WASI == 3 {
		table, iface = &bindings3.Table, "wasi:http/handler@0.3.0"
	}
	i := exports.Instance(e.Name)
	if i == nil || i.Func("handle") == nil {
		return nil, fmt.Errorf("the component exports %s, and there is no function handle in it", e.Name)
	}
	f := i.Func("handle")
	if err := typed.Compare(table, iface, "handle", f.Type); err != nil {
		return nil, fmt.Errorf("the component exports %s, and the function handle in it is not that of WASI: %w", e.Name, err)
	}
	return f, nil
}

// Handler is an instance of a component that answers HTTP requests: one at a time of WASI 0.2,
// several of WASI 0.3.
type Handler struct {
	program  *Program
	host     *Host
	instance *instance.Instance
}

// NewHandler makes an instance, with the stores of an engine, on a goroutine that may use them. It
// may run code of the guest. The Handler does not own the host.
func (p *Program) NewHandler(engine instance.Engine, h *Host) (*Handler, error) {
	x, err := instance.New(p.program, engine, h)
	if err != nil {
		return nil, err
	}
	return &Handler{program: p, host: h, instance: x}, nil
}

// Instance is what has to be driven for the guest to run.
func (h *Handler) Instance() *instance.Instance { return h.instance }

// Begin has the guest answer an exchange: soon, by the goroutine that drives the instance. exited
// is called in the turn when the guest's function has ended; of WASI 0.3 the answer may have ended
// before, or may go on after it. It is not called if the instance has a fault: then the exchanges
// have to be ended with Fail.
func (h *Handler) Begin(e *http.Exchange, exited func()) error {
	if h.program.wasi == 3 {
		return h.begin3(e, exited)
	}
	return h.instance.Begin(h.program.handle, func(args canon.Place) {
		request, out, err := h.host.p2.Incoming(e)
		typed.Check(err)
		bindings2.LowerIncomingHandlerHandleArgs(args, request, out)
	}, nil, func() {
		e.Finish()
		exited()
	})
}

func (h *Handler) begin3(e *http.Exchange, exited func()) error {
	return h.instance.Begin(h.program.handle, func(args canon.Place) {
		request, err := h.host.p3.Request(h.instance, e)
		typed.Check(err)
		bindings3.LowerHandlerHandleArgs(args, request)
	}, func(result canon.Value) {
		response, err := bindings3.LiftHandlerHandleResult(result)
		if err != nil {
			h.host.p3.Fail(e, err)
			return
		}
		h.host.p3.Respond(e, response)
	}, exited)
}

// Fail ends an exchange that the instance has begun and that has taken too long. It is called in
// the turn.
func (h *Handler) Fail(e *http.Exchange, why error) {
	if h.program.wasi == 3 {
		h.host.p3.Fail(e, why)
		return
	}
	e.Fail(why)
}

// Close ends the instance. No goroutine drives it, or its engine was interrupted.
func (h *Handler) Close() { h.instance.Close() }
