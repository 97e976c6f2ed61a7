package p3

import (
	"io"
	"math"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// user is the use of a descriptor by a stream, which keeps it open.
type user struct {
	host *Host
	of   *descriptor.Descriptor
	file *wasi.File
}

func (h *Host) use(d *descriptor.Descriptor, f *wasi.File) user {
	d.Use()
	return user{h, d, f}
}

// close ends the use. What goes wrong in closing, no function of WASI 0.3 tells; if the guest was
// killed, it ends anyway.
func (u user) close() { _ = u.of.Done(u.host.ctx) }

// watch has ready done in the turn when a FIFO can be read from, or written to.
func (u user) watch(write bool, ready func()) (stop func(), err error) {
	return u.host.watch(u.file, write, ready)
}

// watched is what can be waited for beside the turn: a file or socket.
type watched interface {
	Watch(write bool, ready func()) (*wasi.Watch, error)
}

// watch has ready done in the turn when something can be read from, or written to.
func (h *Host) watch(of watched, write bool, ready func()) (stop func(), err error) {
	x := h.x
	stopped := false
	w, err := of.Watch(write, func() {
		x.Post(func() {
			if !stopped {
				ready()
			}
		})
	})
	if err != nil {
		return nil, err
	}
	return func() {
		stopped = true
		w.Stop()
	}, nil
}

// fileSource is a source of the bytes of a file from an offset on. A FIFO has no offset.
type fileSource struct {
	user
	offset int64
	left   []byte // read from a FIFO, and not taken
}

func (s *fileSource) next(n int) ([]byte, error) {
	if err := s.host.guest.Look(s.host.ctx); err != nil {
		return nil, err
	}
	b := s.host.guest.Scratch(min(n, piece))
	if !descriptor.IsPipe(s.file) {
		n, err := s.file.ReadAt(s.host.ctx, s.host.guest.One(b), s.offset)
		return ended(b, n, err)
	}
	if len(s.left) > 0 {
		return s.left[:min(n, len(s.left))], nil
	}
	n, err := s.file.Read(s.host.ctx, s.host.guest.One(b[:min(n, pipePiece)]), true)
	s.left = append(s.left[:0], b[:n]...)
	return ended(s.left, n, err)
}

func ended(b []byte, n int, err error) ([]byte, error) {
	if err == nil && n == 0 {
		err = io.EOF
	}
	return b[:n], err
}

func (s *fileSource) took(n int) {
	s.offset += int64(n)
	s.left = s.left[min(n, len(s.left)):]
}

func (s *fileSource) wait(ready func()) (stop func(), err error) { return s.watch(false, ready) }

// fileSink writes to a file, from an offset on or at its end.
type fileSink struct {
	user
	offset int64
	append bool
}

func (*fileSink) open() int               { return piece }
func (*fileSink) room(n int) (int, error) { return n, nil }

func (s *fileSink) put(b []byte) error {
	defer s.host.guest.One(nil) // b is the guest's memory, which may be freed
	if err := s.host.guest.Look(s.host.ctx); err != nil {
		return err
	}
	for len(b) > 0 {
		n, err := s.write(b)
		if err == nil && n == 0 {
			err = wasi.ErrIO
		}
		if err != nil {
			return err
		}
		b, s.offset = b[n:], s.offset+int64(n)
	}
	return nil
}

func (s *fileSink) write(b []byte) (int, error) {
	switch {
	case s.append:
		return s.file.Append(s.host.ctx, s.host.guest.One(b))
	case s.offset > math.MaxInt64-int64(len(b)):
		return 0, wasi.ErrFileTooLarge
	}
	return s.file.WriteAt(s.host.ctx, s.host.guest.One(b), s.offset)
}

func (*fileSink) wait(func()) (stop func(), err error) { return nil, wasi.ErrIO } // it never waits
func (*fileSink) rest() bool                           { return false }

// pipeSink writes to a FIFO. What does not fit is held until it does.
type pipeSink struct {
	user
	held []byte
}

func (*pipeSink) open() int { return 0 }

func (s *pipeSink) room(n int) (int, error) {
	if err := s.host.guest.Look(s.host.ctx); err != nil {
		return 0, err
	}
	if err := s.push(); err != nil || len(s.held) > 0 {
		return 0, err
	}
	return min(n, pipePiece), nil
}

func (s *pipeSink) put(b []byte) error {
	s.held = append(s.held[:0], b...)
	return s.push()
}

// push writes what is held, as far as the FIFO takes it.
func (s *pipeSink) push() error {
	if len(s.held) == 0 {
		return nil
	}
	n, err := s.file.Write(s.host.ctx, s.host.guest.One(s.held), true)
	s.held = s.held[n:]
	if isWait(err) {
		return nil
	}
	return err
}

func (s *pipeSink) wait(ready func()) (stop func(), err error) { return s.watch(true, ready) }
func (s *pipeSink) rest() bool                                 { return len(s.held) > 0 }

// sinkOf is the sink for a file.
func (h *Host) sinkOf(d *descriptor.Descriptor, f *wasi.File, offset int64, append bool) sink {
	if descriptor.IsPipe(f) {
		return &pipeSink{user: h.use(d, f)}
	}
	return &fileSink{user: h.use(d, f), offset: offset, append: append}
}

// writeFile drains a stream into a file.
func (h *Host) writeFile(d *descriptor.Descriptor, data typed.Stream[uint8], offset uint64, append bool) *promise {
	p := &promise{}
	f, err := d.File(descriptor.Write)
	if err == nil && offset > math.MaxInt64 {
		err = wasi.ErrInvalid
	}
	if err != nil {
		h.refuse(data, err, p)
		return p
	}
	h.drain(data, h.sinkOf(d, f, int64(offset), append), p)
	return p
}

// readFile is a stream of the bytes of a file.
func (h *Host) readFile(d *descriptor.Descriptor, offset uint64, p *promise) byteStream {
	f, err := d.File(descriptor.Read)
	if err == nil && offset > math.MaxInt64 {
		err = wasi.ErrInvalid
	}
	if err != nil {
		return failedStream(h, err, p, bindings.ElementU8)
	}
	return stream(h, &fileSource{user: h.use(d, f), offset: int64(offset)}, probeBytes, p, bindings.ElementU8)
}
