package p3

import (
	"context"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
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
	timers map[*timer]struct{}
	syncs  int // flushes that go on beside the turn

	// scratch holds what a stream moves while it moves it.
	scratch [piece]byte
	vector  [1][]byte
}

// New makes the host of a guest, which was made with wasi.Config.Confined. ctx has to end when the
// guest must end.
func New(ctx context.Context, g *wasi.Guest) *Host {
	h := &Host{guest: g, ctx: ctx, set: descriptor.NewSet(g), timers: map[*timer]struct{}{}}
	h.input.host = h
	h.bindings = bindings.Host{
		Environment: environment{h}, Exit: exit{},
		Stdin: stdin{h}, Stdout: stdout{h}, Stderr: stderr{h},
		TerminalStdin: terminal{}, TerminalStdout: terminal{}, TerminalStderr: terminal{},
		MonotonicClock: monotonic{h}, SystemClock: systemClock{}, Timezone: timezone{},
		Random: random{h}, Insecure: random{h}, InsecureSeed: random{h},
		Preopens:     preopens{h},
		IPNameLookup: network{}, Sockets: network{},
		HTTP: web{}, Handler: web{}, Client: web{},
	}
	return h
}

// Begin implements bindings.Guest.
func (h *Host) Begin(c *canon.Call) context.Context {
	h.x = instance.Of(c)
	return h.ctx
}

// WASIP3 implements bindings.Guest.
func (h *Host) WASIP3() *bindings.Host { return &h.bindings }

// Close ends what waits, and closes what the guest opened. The instance must be closed. It does not
// wait for slow calls. The wasi.Guest, and the objects that it has from its start, stay as they
// are.
func (h *Host) Close() error {
	for t := range h.timers {
		t.stop()
	}
	h.guest.Stdin().Notify(nil)
	return h.set.Close()
}

// list returns a list of one buffer, for a transfer. It must not be kept.
func (h *Host) list(p []byte) [][]byte {
	h.vector[0] = p
	return h.vector[:]
}

// timer has something done in the component's turn after a time.
type timer struct {
	host *Host
	of   *time.Timer
}

// after has f done in the turn after d.
func (h *Host) after(d time.Duration, f func()) *timer {
	t, x := &timer{host: h}, h.x
	h.timers[t] = struct{}{}
	t.of = time.AfterFunc(d, func() {
		x.Post(func() {
			if _, waits := h.timers[t]; waits {
				delete(h.timers, t)
				f()
			}
		})
	})
	return t
}

// stop has nothing done, and reports whether it would have been.
func (t *timer) stop() bool {
	_, waits := t.host.timers[t]
	delete(t.host.timers, t)
	t.of.Stop()
	return waits
}
