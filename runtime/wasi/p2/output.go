package p2

import (
	"context"
	"errors"
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// outputStream is the resource output-stream of wasi:io: standard output or error, a file from an
// offset on or at its end, a body, or a connection. What is written goes on at once: the stream
// holds no bytes. Only a body has something to do at a flush: it tells the server.
type outputStream struct {
	host     *Host
	standard *wasi.Output           // nil for others
	of       *descriptor.Descriptor // the file or connection; nil for others
	file     *wasi.File             // the same; nil for others
	tcp      *wasi.TCP              // likewise
	offset   int64                  // in a file that is no FIFO
	append   bool                   // write at the end of the file
	body     *outflow               // nil for others
	permit   uint64                 // how many bytes the guest may still write
	closed   bool                   // a write failed
}

var (
	errNoPermit = errors.New("the guest writes more bytes to a stream than check-write permitted")
	errBlocking = fmt.Errorf("the guest writes more than %d bytes to a stream in one blocking call", maxBlockingWrite)
)

// Drop implements typed.Resource.
func (s *outputStream) Drop() {
	if s.tcp != nil {
		_ = s.tcp.Shutdown(wasi.ShutdownSend) // it fails only if the connection has ended
	}
	s.host.done(s.of)
	s.host.give(streams)
}

// CheckWrite implements bindings.OutputStream.
func (s *outputStream) CheckWrite(ctx context.Context) (n uint64, err error) {
	s.permit, err = s.room(ctx)
	return s.permit, err
}

// room is how many bytes can be written without a wait.
func (s *outputStream) room(ctx context.Context) (uint64, error) {
	switch {
	case s.closed:
		return 0, errClosed
	case s.body != nil:
		n, err := s.body.room()
		if err != nil {
			return 0, s.failed(err)
		}
		return uint64(n), nil
	case s.tcp != nil:
		n, err := sendRoom(s.tcp)
		if err != nil {
			return 0, s.failed(err)
		}
		return uint64(n), nil
	case s.file == nil || !descriptor.IsPipe(s.file):
		return maxWrite, nil
	}
	p := pollable{host: s.host, object: s.file, write: true}
	ready, err := p.Ready(ctx)
	if err != nil || !ready {
		return 0, err
	}
	return maxPipeWrite, nil
}

// spend takes n bytes of the permit.
func (s *outputStream) spend(n uint64) error {
	switch {
	case s.closed:
		return errClosed
	case n > s.permit:
		return errNoPermit
	}
	s.permit -= n
	return nil
}

// Write implements bindings.OutputStream.
func (s *outputStream) Write(ctx context.Context, p []byte) error {
	if err := s.spend(uint64(len(p))); err != nil {
		return err
	}
	return s.put(ctx, p)
}

// BlockingWriteAndFlush implements bindings.OutputStream.
func (s *outputStream) BlockingWriteAndFlush(ctx context.Context, p []byte) error {
	if len(p) > maxBlockingWrite {
		return errBlocking
	}
	if err := s.put(ctx, p); err != nil {
		return err
	}
	return s.Flush(ctx)
}

// put writes all bytes.
func (s *outputStream) put(ctx context.Context, p []byte) error {
	if s.closed {
		return errClosed
	}
	for len(p) > 0 {
		n, err := s.some(ctx, p)
		if err == nil && n == 0 {
			err = wasi.ErrIO
		}
		if err != nil {
			return s.failed(err)
		}
		p = p[n:]
	}
	return nil
}

// failed closes the stream, and returns the error as its functions do.
func (s *outputStream) failed(err error) error {
	s.closed, s.permit = true, 0
	if s.body != nil {
		return s.host.failedBody(err, bindings.HTTPErrorCodeConnectionWriteTimeout)
	}
	if s.tcp != nil && wasi.ErrorOf(err) == wasi.ErrPipe {
		return errClosed
	}
	return s.host.failed(err, originOf(s.file, s.tcp))
}

// some writes some of the bytes.
func (s *outputStream) some(ctx context.Context, p []byte) (n int, err error) {
	if s.body != nil {
		return s.body.write(ctx, p)
	}
	list := s.host.guest.One(p)
	defer s.host.guest.One(nil) // p is the guest's memory, which may be freed
	switch {
	case s.standard != nil:
		return s.standard.Write(ctx, list)
	case s.tcp != nil:
		return s.tcp.Send(ctx, list, false)
	case descriptor.IsPipe(s.file):
		return s.file.Write(ctx, list, false)
	case s.append:
		return s.file.Append(ctx, list)
	}
	n, err = s.file.WriteAt(ctx, list, s.offset)
	s.offset += int64(n)
	return n, err
}

// Flush implements bindings.OutputStream.
func (s *outputStream) Flush(context.Context) error {
	switch {
	case s.closed:
		return errClosed
	case s.body == nil:
		return nil
	}
	if err := s.body.flush(); err != nil {
		return s.failed(err)
	}
	return nil
}

// BlockingFlush implements bindings.OutputStream. It waits until there is room for more, but not
// for the other end.
func (s *outputStream) BlockingFlush(ctx context.Context) error {
	if err := s.Flush(ctx); err != nil {
		return err
	}
	switch {
	case s.tcp != nil:
		p := pollable{host: s.host, object: s.tcp, write: true}
		return p.Block(ctx)
	case s.body == nil:
		return nil
	}
	if err := s.body.waitForRoom(ctx); err != nil {
		return s.failed(err)
	}
	return nil
}

// Subscribe implements bindings.OutputStream.
func (s *outputStream) Subscribe(context.Context) (bindings.Pollable, error) {
	switch {
	case s.closed:
	case s.body != nil:
		return s.host.pollable(pollable{signal: s.body})
	case s.tcp != nil:
		return s.host.pollable(pollable{object: s.tcp, write: true, of: s.of})
	case s.file != nil && descriptor.IsPipe(s.file):
		return s.host.pollable(pollable{object: s.file, write: true, of: s.of})
	}
	return s.host.pollable(pollable{})
}

var zeroes [64 << 10]byte

// WriteZeroes implements bindings.OutputStream.
func (s *outputStream) WriteZeroes(ctx context.Context, n uint64) error {
	if err := s.spend(n); err != nil {
		return err
	}
	return s.putZeroes(ctx, n)
}

// BlockingWriteZeroesAndFlush implements bindings.OutputStream.
func (s *outputStream) BlockingWriteZeroesAndFlush(ctx context.Context, n uint64) error {
	if n > maxBlockingWrite {
		return errBlocking
	}
	if err := s.putZeroes(ctx, n); err != nil {
		return err
	}
	return s.Flush(ctx)
}

func (s *outputStream) putZeroes(ctx context.Context, n uint64) error {
	if s.closed {
		return errClosed
	}
	for n > 0 {
		piece := min(n, uint64(len(zeroes)))
		if err := s.put(ctx, zeroes[:piece]); err != nil {
			return err
		}
		n -= piece
		if err := s.host.guest.Look(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Splice implements bindings.OutputStream.
func (s *outputStream) Splice(ctx context.Context, from bindings.InputStream, n uint64) (uint64, error) {
	room, err := s.room(ctx)
	if err != nil {
		return 0, err
	}
	return s.splice(ctx, from, min(n, room), true)
}

// BlockingSplice implements bindings.OutputStream.
func (s *outputStream) BlockingSplice(ctx context.Context, from bindings.InputStream, n uint64) (uint64, error) {
	if s.closed {
		return 0, errClosed
	}
	return s.splice(ctx, from, min(n, maxRead), false)
}

func (s *outputStream) splice(ctx context.Context, from bindings.InputStream, n uint64, nonblock bool) (uint64, error) {
	b, err := from.(*inputStream).read(ctx, n, nonblock)
	if err != nil {
		return 0, err
	}
	return uint64(len(b)), s.put(ctx, b)
}
