package p3

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// Host gives one guest the functions of WASI 0.3. It is a bindings.Guest, so it can be what the
// guest of an instance.Instance finds as its host. A type that embeds it, and has WASIP2 too,
// serves both versions: its Begin has to call the Host's.
type Host struct {
	guest *wasi.Guest
	// ctx ends when the guest has to end. It is kept because what comes later, and the drop of a
	// resource, come without a context.
	ctx      context.Context //nolint:containedctx // see above
	x        *instance.Instance
	bindings bindings.Host

	set    *descriptor.Set
	input  input
	timers timers
	syncs  int // flushes that go on beside the turn
	room   int // that streams took of the guest's descriptors
	unsent int // bytes of datagrams that wait to be sent
	web    http.Room

	sender    *http.Sender                 // nil if the guest can send no request
	exchanges map[*http.Exchange]*exchange // that have no end
	// unpublished are exchanges with something that their servers were not told of. tell publishes
	// it.
	unpublished []*exchange
	tell        func()
}

// New makes the host of a guest, which was made with wasi.Config.Confined. ctx has to end when the
// guest must end.
func New(ctx context.Context, g *wasi.Guest) *Host {
	h := &Host{guest: g, ctx: ctx, set: descriptor.NewSet(g)}
	h.input.host, h.timers.host, h.tell = h, h, h.publish
	h.bindings = bindings.Host{
		Environment: environment{h}, Exit: exit{},
		Stdin: stdin{h}, Stdout: stdout{h}, Stderr: stderr{h},
		TerminalStdin: terminal{}, TerminalStdout: terminal{}, TerminalStderr: terminal{},
		MonotonicClock: monotonic{h}, SystemClock: systemClock{}, Timezone: timezone{},
		Random: random{h}, Insecure: random{h}, InsecureSeed: random{h},
		Preopens:     preopens{h},
		IPNameLookup: network{h}, Sockets: network{h},
		HTTP: web{h}, Handler: web{h}, Client: web{h},
	}
	return h
}

// SendBy has the guest's HTTP requests sent. Without it they are denied. It is called before the
// guest runs.
func (h *Host) SendBy(s *http.Sender) { h.sender = s }

// Begin implements bindings.Guest.
func (h *Host) Begin(c *canon.Call) context.Context {
	h.x = instance.Of(c)
	return h.ctx
}

// Look implements instance.Looker.
func (h *Host) Look() error { return h.guest.Look(h.ctx) }

// WASIP3 implements bindings.Guest.
func (h *Host) WASIP3() *bindings.Host { return &h.bindings }

// Close ends what waits, and closes what the guest opened. The instance must be closed. It does not
// wait for slow calls. The wasi.Guest, and the objects that it has from its start, stay as they
// are.
func (h *Host) Close() error {
	h.timers.close()
	h.guest.Stdin().Notify(nil)
	for _, x := range h.exchanges {
		x.detach()
	}
	for h.room > 0 {
		h.release()
	}
	return h.set.Close()
}

// reserve takes the room of a descriptor for a stream.
func (h *Host) reserve() error {
	err := h.guest.Reserve()
	if err == nil {
		h.room++
	}
	return err
}

// release gives the room of a stream back.
func (h *Host) release() {
	h.room--
	h.guest.Release()
}
