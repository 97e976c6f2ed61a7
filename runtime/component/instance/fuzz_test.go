package instance_test

import (
	"context"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
)

// scriptTime is more than a script takes that does not wait for ever.
const scriptTime = 20 * time.Millisecond

// whim is an engine whose guests do what a script says: each of their functions calls some
// functions of the host, with some numbers, and returns some.
type whim struct {
	linked *link.Component
	script []byte
	end    func() // is called when the script is at its end
}

func (w *whim) next() byte {
	if len(w.script) == 0 {
		w.end()
		return 0
	}
	b := w.script[0]
	w.script = w.script[1:]
	return b
}

func (w *whim) NewStore(number int, host instance.Calls) (instance.Store, error) {
	return &whimStore{whim: w, plan: &w.linked.Plan.Stores[number], host: host, mem: make([]byte, 1<<16)}, nil
}

func (*whim) Go(f func()) error {
	go f()
	return nil
}

type whimStore struct {
	*whim
	plan *plan.Store
	host instance.Calls
	mem  []byte
	at   uint32
}

func (*whimStore) Run() error            { return nil }
func (*whimStore) Close()                {}
func (s *whimStore) Memory(int32) []byte { return s.mem }

func (s *whimStore) Realloc(_, _ int32, _, _, align, size uint32) (uint32, []byte, error) {
	s.at = (s.at + align - 1) &^ (align - 1)
	at := s.at
	s.at += size
	return at, s.mem, nil
}

func (s *whimStore) Call(_ int32, values []plan.Value) error {
	for range s.next() % 8 {
		if len(s.plan.Functions) == 0 {
			break
		}
		function := int(s.next()) % len(s.plan.Functions)
		f := &s.plan.Functions[function]
		var v [plan.MaxValues]plan.Value
		for i := range f.Params {
			v[i].Bits = uint64(s.next() % 16)
			if i > 0 && len(f.Params) > 1 {
				v[i].Bits *= 4
			}
		}
		var memory []byte
		if f.Memory >= 0 {
			memory = s.mem
		}
		if err := s.host.Call(int32(function), &v, memory); err != nil {
			return err
		}
	}
	values[0].Bits = uint64(s.next())
	return nil
}

// FuzzInstance has guests do what no compiler makes of a program. Each script has to end, with a
// trap or without one.
func FuzzInstance(f *testing.F) {
	f.Add([]byte{}, byte(0))
	f.Add([]byte{3, 30, 35, 1, 0, 4, 36, 1, 2, 3, 40, 0}, byte(1))
	texts := []string{
		withBuiltins(callback, run(n("0"))), withBuiltins(blocking, run(n("0"))), withBuiltins(plain, run(n("0"))),
		bargeIn(n("0")), cancelling("", n("0")),
	}
	guests := make([]*guest, len(texts))
	for i, text := range texts {
		guests[i] = load(f, text, functions{"later": whimsical})
	}
	f.Fuzz(func(t *testing.T, script []byte, which byte) {
		g := guests[int(which)%len(guests)]
		w := &whim{linked: g.program.Linked, script: script}
		var x *instance.Instance
		w.end = func() {
			if x != nil {
				x.Kill(errTest)
			}
		}
		x, err := instance.New(g.program, w, w)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			// A guest may wait for a call of the host that ends only if it is cancelled.
			ctx, cancel := context.WithTimeout(t.Context(), scriptTime)
			_ = x.Call(ctx, x.Exports().Func("run"), nil, func(v canon.Value) { v.U32() })
			cancel()
		}
		w.end()
		x.Close()
	})
}

// whimsical answers as the script says: at once, later, or never but when it is cancelled.
func whimsical(c *canon.Call) {
	w := c.Host.(*whim)
	switch w.next() % 4 {
	case 0:
		c.Result().U32(1)
	case 1:
		soon(c)
	case 2:
		slow(c)
	default:
		never(c)
	}
}
