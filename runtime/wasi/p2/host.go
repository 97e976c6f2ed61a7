package p2

import (
	"context"
	"errors"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// Host gives one guest the functions of WASI 0.2. It is a bindings.Guest, so it can be what the guest
// of an instance.Instance finds as its host. A type that embeds it, and has WASIP3 too, serves both
// versions.
type Host struct {
	guest *wasi.Guest
	// ctx ends when the guest has to end. It is kept because a call and the drop of a resource come
	// without a context.
	ctx      context.Context //nolint:containedctx // see above
	bindings bindings.Host

	root    *shared
	objects map[*shared]struct{} // what the guest opened, and Close closes
	held    [kinds]int           // resources of each kind
	fields  int                  // bytes of all HTTP fields

	// These are kept to reuse their memory in the next call.
	data      []byte
	vector    [1][]byte
	interests []wasi.Interest
	ready     []uint32
}

// New makes the host of a guest. Every call, and every drop of a resource, gets ctx, which has to end
// when the guest must end.
func New(ctx context.Context, g *wasi.Guest) *Host {
	h := &Host{guest: g, ctx: ctx, objects: map[*shared]struct{}{}}
	h.root = &shared{host: h, object: g.Root(), uses: 1} // and never 0: Close does not close it
	h.bindings = bindings.Host{
		Environment: environment{h}, Exit: exit{}, Stdin: stdin{h}, Stdout: stdout{h}, Stderr: stderr{h},
		TerminalStdin: terminal{}, TerminalStdout: terminal{}, TerminalStderr: terminal{},
		MonotonicClock: monotonic{h}, WallClock: wallClock{}, Timezone: timezone{},
		Random: random{h}, Insecure: random{h}, InsecureSeed: random{h},
		Poll: polls{h}, Preopens: preopens{h}, Filesystem: filesystem{},
		InstanceNetwork: network{h}, Network: network{h}, IPNameLookup: network{h},
		TCPCreateSocket: network{h}, UDPCreateSocket: network{h},
		OutgoingHandler: outgoing{}, HTTP: web{h},
	}
	return h
}

// Begin implements bindings.Guest.
func (h *Host) Begin(*canon.Call) context.Context { return h.ctx }

// WASIP2 implements bindings.Guest.
func (h *Host) WASIP2() *bindings.Host { return &h.bindings }

// Close closes what the guest opened. The guest must have ended. It does not wait for slow calls. The
// wasi.Guest, and the objects that it has from its start, stay as they are.
func (h *Host) Close() error {
	ended, end := context.WithCancel(context.Background())
	end()
	var errs []error
	for s := range h.objects {
		if err := s.object.Close(ended); !errors.Is(err, wasi.ErrKilled) {
			errs = append(errs, err)
		}
	}
	h.objects = nil
	return errors.Join(errs...)
}

// shared is an object that resources of the guest use: a descriptor, its streams, their pollables.
// The guest may drop them in any order. The last one closes the object.
type shared struct {
	host   *Host
	object wasi.Object
	uses   int
}

// share makes a shared object of one that was opened, with one use.
func (h *Host) share(o wasi.Object) *shared {
	s := &shared{host: h, object: o, uses: 1}
	h.objects[s] = struct{}{}
	return s
}

// use adds a use.
func (s *shared) use() *shared {
	if s != nil {
		s.uses++
	}
	return s
}

// release ends a use.
func (s *shared) release() {
	if s == nil {
		return
	}
	if s.uses--; s.uses > 0 {
		return
	}
	h := s.host
	delete(h.objects, s)
	// A drop cannot fail in WASI 0.2. If the guest was killed, its next call ends it.
	_ = s.object.Close(h.ctx)
}

// keptData is how many bytes of memory for data are kept between calls.
const keptData = 64 << 10

// buffer returns n bytes that hold until the next call.
func (h *Host) buffer(n int) []byte {
	if n > keptData {
		return make([]byte, n)
	}
	if n > cap(h.data) {
		h.data = make([]byte, max(n, min(2*cap(h.data), keptData)))
	}
	return h.data[:n]
}

// list returns a list of one buffer, for a transfer. It must not be kept.
func (h *Host) list(p []byte) [][]byte {
	h.vector[0] = p
	return h.vector[:]
}
