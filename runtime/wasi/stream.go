package wasi

import (
	"context"
	"errors"
	"io"
)

// input is standard input.
type input struct {
	r io.Reader // nil is empty
}

// output is standard output or standard error.
type output struct {
	w io.Writer // nil discards
}

// maxChunk is how many bytes one call of the host moves before it looks whether the guest was killed.
const maxChunk = 1 << 20

func (*input) filetype() filetype      { return typeUnknown }
func (*input) stat() (filestat, error) { return filestat{kind: typeUnknown, nlink: 1}, nil }
func (*input) close() error            { return nil }

func (i *input) read(_ context.Context, p []byte) (int, error) {
	if i.r == nil || len(p) == 0 {
		return 0, nil
	}
	n, err := i.r.Read(p[:min(len(p), maxChunk)])
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (*output) filetype() filetype      { return typeUnknown }
func (*output) stat() (filestat, error) { return filestat{kind: typeUnknown, nlink: 1}, nil }
func (*output) close() error            { return nil }

func (o *output) write(ctx context.Context, p []byte) (int, error) {
	if o.w == nil {
		return len(p), nil
	}
	return chunks(ctx, p, o.w.Write)
}

// chunks moves p in pieces, until the guest is killed.
func chunks(ctx context.Context, p []byte, move func([]byte) (int, error)) (int, error) {
	if len(p) <= maxChunk {
		return move(p)
	}
	done := 0
	for done < len(p) {
		if ctx.Err() != nil {
			return done, ErrKilled
		}
		piece := p[done:min(len(p), done+maxChunk)]
		n, err := move(piece)
		done += n
		if err != nil || n < len(piece) {
			return done, err
		}
	}
	return done, nil
}
