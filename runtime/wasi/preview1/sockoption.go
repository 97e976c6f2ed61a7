package preview1

import (
	"context"
	"encoding/binary"
	"math"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Options of sockets: all have one level. Their values are numbers of 32 bits.
const (
	levelSocket = 0

	optionReuseAddress = 0
	optionType         = 1
	optionError        = 2
	optionBroadcast    = 4
	optionSendBuffer   = 5
	optionRecvBuffer   = 6
	optionKeepAlive    = 7
	optionAccepting    = 13
)

// hostOptions are those that the host has.
var hostOptions = map[uint32]wasi.Option{
	optionBroadcast: wasi.Broadcast, optionSendBuffer: wasi.SendBuffer, optionRecvBuffer: wasi.ReceiveBuffer, optionKeepAlive: wasi.KeepAlive,
}

// optioned is a socket with options.
type optioned interface {
	Option(o wasi.Option) (uint64, error)
	SetOption(o wasi.Option, v uint64) error
	TakeError() (wasi.Error, error)
}

func sockGetsockopt(_ context.Context, g *Guest, m memory, a arguments) error {
	d, err := g.socket(a.u32(0), 0)
	if err != nil {
		return err
	}
	size, err := m.bytes(a.u32(4), 4)
	if err != nil {
		return err
	}
	room := binary.LittleEndian.Uint32(size)
	b, err := m.bytes(a.u32(3), room)
	switch {
	case err != nil:
		return err
	case a.u32(1) != levelSocket:
		return ErrnoNoprotoopt
	case room < 4:
		return ErrnoInval
	}
	v, err := optionOf(d.object, a.u32(2))
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(b, v)
	binary.LittleEndian.PutUint32(size, 4)
	return nil
}

// optionOf is the value of an option.
func optionOf(o wasi.Object, option uint32) (uint32, error) {
	t, tcp := o.(*wasi.TCP)
	switch option {
	case optionReuseAddress:
		return number(tcp), nil // see setOption
	case optionType:
		if tcp {
			return socketStream, nil
		}
		return socketDatagram, nil
	case optionAccepting:
		return number(tcp && t.State() == wasi.Listening), nil
	case optionError:
		return errorOf(o)
	}
	of, ok := hostOptions[option]
	if !ok {
		return 0, ErrnoNoprotoopt
	}
	v, err := o.(optioned).Option(of)
	return uint32(min(v, math.MaxInt32)), err
}

func number(is bool) uint32 {
	if is {
		return 1
	}
	return 0
}

// errorOf is the error number of what went wrong with a socket since it was last asked for, or 0.
func errorOf(o wasi.Object) (uint32, error) {
	if t, ok := o.(*wasi.TCP); ok && t.State() == wasi.Connecting {
		err := t.FinishConnect()
		if err == nil || wasi.ErrorOf(err) == wasi.ErrWouldBlock {
			return 0, nil
		}
		errno, err := outcome(err)
		return uint32(errno), err
	}
	e, err := o.(optioned).TakeError()
	return uint32(errnos[e]), err
}

func sockSetsockopt(_ context.Context, g *Guest, m memory, a arguments) error {
	d, err := g.socket(a.u32(0), 0)
	if err != nil {
		return err
	}
	b, err := m.bytes(a.u32(3), a.u32(4))
	switch {
	case err != nil:
		return err
	case a.u32(1) != levelSocket:
		return ErrnoNoprotoopt
	case len(b) < 4:
		return ErrnoInval
	}
	v := int32(binary.LittleEndian.Uint32(b))
	if a.u32(2) == optionReuseAddress {
		// Sockets of TCP always have it. One of UDP never does, as others could take its datagrams.
		if _, tcp := d.object.(*wasi.TCP); tcp || v == 0 {
			return nil
		}
		return ErrnoNotsup
	}
	of, ok := hostOptions[a.u32(2)]
	if !ok {
		return ErrnoNoprotoopt
	}
	if of == wasi.SendBuffer || of == wasi.ReceiveBuffer {
		v = max(v, 1) // like the kernel's, the least
	}
	if v < 0 {
		v = 1
	}
	return d.object.(optioned).SetOption(of, uint64(v))
}
