package instance_test

import (
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
)

// lazy is a host that gives values only when the guest reads, as many as it reads.
type lazy struct {
	*streams
	w       *instance.StreamWriter[byte]
	wanted  []int // what the reads had room for
	dropped bool
}

func (l *lazy) give(c *canon.Call) {
	w, handle := instance.NewStream(instance.Of(c), c.Func.Result, byteCodec)
	l.w = w
	w.OnDrop(func() { l.dropped = true })
	l.offer()
	c.Result().Handle(handle)
}

func (l *lazy) offer() {
	if _, waits := l.w.Waits(); waits {
		panic("a guest waits that has not read")
	}
	l.w.Write(nil, func(_ int, dropped bool) {
		if dropped {
			l.dropped = true
			return
		}
		n, waits := l.w.Waits()
		if !waits {
			panic("a guest has read and does not wait")
		}
		l.wanted = append(l.wanted, n)
		if len(l.wanted) < 3 {
			l.w.Write(make([]byte, n), func(int, bool) { l.offer() })
		}
	})
}

func (l *lazy) functions() functions {
	all := l.streams.functions()
	all["give"] = l.give
	return all
}

// TestWaits has the host learn how many values a guest reads.
func TestWaits(t *testing.T) {
	host := &lazy{streams: &streams{}}
	x := start(t, withStreams(`
		(local.set $s (call $give))
		(local.set $sum (call $read (local.get $s) (i32.const 0) (i32.const 800)))
		(local.set $sum (i32.add (local.get $sum) (call $read (local.get $s) (i32.const 0) (i32.const 7))))
		(call $drop-readable (local.get $s))
		(i32.shr_u (local.get $sum) (i32.const 4))`), host.functions())
	mustReturn(t, x, 807, "run")
	if len(host.wanted) != 2 || host.wanted[0] != 800 || host.wanted[1] != 7 || !host.dropped {
		t.Errorf("the reads had room for %v, dropped %v", host.wanted, host.dropped)
	}
}

// silent is a host that gives a stream and writes nothing to it.
type silent struct {
	*streams
	w       *instance.StreamWriter[byte]
	dropped int
}

func (s *silent) give(c *canon.Call) {
	w, handle := instance.NewStream(instance.Of(c), c.Func.Result, byteCodec)
	s.w = w
	w.OnDrop(func() { s.dropped++ })
	c.Result().Handle(handle)
}

// TestOnDrop has a guest drop its end while the host writes nothing.
func TestOnDrop(t *testing.T) {
	host := &silent{streams: &streams{}}
	all := host.functions()
	all["give"] = host.give
	x := start(t, withStreams(`(call $drop-readable (call $give)) (i32.const 1)`), all)
	mustReturn(t, x, 1, "run")
	host.w.Close()
	if host.dropped != 1 {
		t.Errorf("the host heard %d times that the guest dropped its end", host.dropped)
	}
}
