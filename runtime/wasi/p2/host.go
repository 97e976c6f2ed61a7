package p2

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// Host gives one guest the functions of WASI 0.2. It is a bindings.Guest, so it can be what the
// guest of an instance.Instance finds as its host. A type that embeds it, and has WASIP3 too,
// serves both versions.
type Host struct {
	guest *wasi.Guest
	// ctx ends when the guest has to end. It is kept because a call and the drop of a resource come
	// without a context.
	ctx      context.Context //nolint:containedctx // see above
	bindings bindings.Host

	set  *descriptor.Set
	held [kinds]int // resources of each kind
	web  http.Room

	sender *http.Sender // nil if the guest can send no request

	exchange *http.Exchange // that the guest answers, or answered last
	early    int            // bytes of bodies whose response is not given yet

	// These are kept to reuse their memory in the next call.
	interests []wasi.Interest
	ready     []uint32
}

// New makes the host of a guest, which was made with wasi.Config.Confined. ctx has to end when the
// guest must end.
func New(ctx context.Context, g *wasi.Guest) *Host {
	h := &Host{guest: g, ctx: ctx, set: descriptor.NewSet(g)}
	h.bindings = bindings.Host{
		Environment: environment{h}, Exit: exit{}, Stdin: stdin{h}, Stdout: stdout{h}, Stderr: stderr{h},
		TerminalStdin: terminal{}, TerminalStdout: terminal{}, TerminalStderr: terminal{},
		MonotonicClock: monotonic{h}, WallClock: wallClock{}, Timezone: timezone{},
		Random: random{h}, Insecure: random{h}, InsecureSeed: random{h},
		Poll: polls{h}, Preopens: preopens{h}, Filesystem: filesystem{},
		InstanceNetwork: network{h}, Network: networkErrors{}, IPNameLookup: network{h},
		TCPCreateSocket: network{h}, UDPCreateSocket: network{h},
		OutgoingHandler: web{h}, HTTP: web{h},
	}
	return h
}

// SendBy has the guest's HTTP requests sent. Without it they are denied. It is called before the
// guest runs.
func (h *Host) SendBy(s *http.Sender) { h.sender = s }

// Begin implements bindings.Guest.
func (h *Host) Begin(*canon.Call) context.Context { return h.ctx }

// WASIP2 implements bindings.Guest.
func (h *Host) WASIP2() *bindings.Host { return &h.bindings }

// Close closes what the guest opened. The guest must have ended. It does not wait for slow calls.
// The wasi.Guest, and the objects that it has from its start, stay as they are.
func (h *Host) Close() error { return h.set.Close() }

// use keeps what a resource uses open, until done. It may be nil.
func use(d *descriptor.Descriptor) *descriptor.Descriptor {
	if d != nil {
		d.Use()
	}
	return d
}

// done ends a use of a dropped resource. The last one closes the file.
func (h *Host) done(d *descriptor.Descriptor) {
	if d != nil {
		// A drop cannot fail in WASI 0.2. If the guest was killed, its next call ends it.
		_ = d.Done(h.ctx)
	}
}
