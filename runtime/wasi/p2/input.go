package p2

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// inputStream is the resource input-stream of wasi:io: standard input, a file from an offset on,
// the body of a request, or a connection.
type inputStream struct {
	host   *Host
	of     *descriptor.Descriptor // the file or connection; nil for others
	file   *wasi.File             // the same; nil for others
	tcp    *wasi.TCP              // likewise
	offset int64                  // in a file that is no FIFO
	atEnd  bool                   // the last read met the end; a file may have grown since
	body   *inflow                // nil for others
	closed bool                   // the input ended or failed
}

// Drop implements typed.Resource.
func (s *inputStream) Drop() {
	if s.body != nil {
		s.body.leave()
	}
	if s.tcp != nil {
		_ = s.tcp.Shutdown(wasi.ShutdownReceive) // it fails only if the connection has ended
	}
	s.host.done(s.of)
	s.host.give(streams)
}

// Read implements bindings.InputStream.
func (s *inputStream) Read(ctx context.Context, n uint64) ([]byte, error) {
	return s.read(ctx, n, true)
}

// BlockingRead implements bindings.InputStream.
func (s *inputStream) BlockingRead(ctx context.Context, n uint64) ([]byte, error) {
	return s.read(ctx, n, false)
}

// Skip implements bindings.InputStream.
func (s *inputStream) Skip(ctx context.Context, n uint64) (uint64, error) {
	b, err := s.read(ctx, n, true)
	return uint64(len(b)), err
}

// BlockingSkip implements bindings.InputStream.
func (s *inputStream) BlockingSkip(ctx context.Context, n uint64) (uint64, error) {
	b, err := s.read(ctx, n, false)
	return uint64(len(b)), err
}

// Subscribe implements bindings.InputStream.
func (s *inputStream) Subscribe(context.Context) (bindings.Pollable, error) {
	switch {
	case s.closed:
		return s.host.pollable(pollable{})
	case s.body != nil:
		return s.host.pollable(pollable{signal: s.body})
	case s.tcp != nil:
		return s.host.pollable(pollable{object: s.tcp, of: s.of})
	case s.file == nil:
		return s.host.pollable(pollable{object: s.host.guest.Stdin()})
	case descriptor.IsPipe(s.file):
		return s.host.pollable(pollable{object: s.file, of: s.of})
	}
	return s.host.pollable(pollable{})
}

// read reads up to n bytes. The bytes hold until the next call.
func (s *inputStream) read(ctx context.Context, n uint64, nonblock bool) ([]byte, error) {
	if s.closed || n == 0 && s.atEnd {
		return nil, errClosed
	}
	if n == 0 {
		return nil, nil
	}
	b := s.host.guest.Scratch(int(min(n, maxRead)))
	got, err := s.fill(ctx, b, nonblock)
	s.atEnd = err == nil && got == 0
	switch {
	case err == nil && got > 0:
		return b[:got], nil
	case err == nil:
		s.closed = s.file == nil
		return nil, errClosed
	case wasi.ErrorOf(err) == wasi.ErrWouldBlock:
		return nil, nil
	}
	s.closed = true
	if s.body != nil {
		return nil, s.host.failedBody(err, bindings.HTTPErrorCodeConnectionReadTimeout)
	}
	return nil, s.host.failed(err, originOf(s.file, s.tcp))
}

func (s *inputStream) fill(ctx context.Context, b []byte, nonblock bool) (int, error) {
	if s.body != nil {
		return s.body.read(ctx, b, nonblock)
	}
	list := s.host.guest.One(b)
	switch {
	case s.tcp != nil:
		return receive(ctx, s.tcp, list, nonblock)
	case s.file == nil:
		return s.host.guest.Stdin().Read(ctx, list, nonblock)
	case descriptor.IsPipe(s.file):
		return s.file.Read(ctx, list, nonblock)
	}
	n, err := s.file.ReadAt(ctx, list, s.offset)
	s.offset += int64(n)
	return n, err
}
