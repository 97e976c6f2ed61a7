package http_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
)

// purse is a Memory with a bound.
type purse struct {
	mu   sync.Mutex
	left int
}

func (p *purse) Take(n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n > p.left {
		return false
	}
	p.left -= n
	return true
}

func (p *purse) Give(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left += n
}

// await waits until register's function was called.
func await(register func(func())) {
	told := make(chan struct{}, 1)
	register(func() { told <- struct{}{} })
	<-told
}

// send writes all bytes, and waits where there is no room.
func send(p *http.Pipe, b []byte) error {
	for len(b) > 0 {
		n, err := p.Write(b[:min(len(b), 1+rand.IntN(9000))])
		if errors.Is(err, wasi.ErrWouldBlock) {
			await(p.OnSpace)
			continue
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// receive reads until the end, in pieces of up to most bytes.
func receive(p *http.Pipe, most int) (all []byte, err error) {
	for {
		b, err := p.Bytes()
		if errors.Is(err, wasi.ErrWouldBlock) {
			await(p.OnBytes)
			continue
		}
		if err != nil {
			return all, err
		}
		b = b[:min(len(b), 1+rand.IntN(most))]
		all = append(all, b...)
		p.Discard(len(b))
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

// TestPipe moves bytes from one goroutine to another, and trailers after them.
func TestPipe(t *testing.T) {
	for _, test := range []struct {
		name string
		pipe *http.Pipe
	}{
		{"plain", &http.Pipe{}},
		{"lazy", &http.Pipe{Lazy: true}},
		{"with little memory", &http.Pipe{Memory: &purse{left: 5000}}},
		{"lazy, with little memory", &http.Pipe{Lazy: true, Memory: &purse{left: 5000}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, data := test.pipe, randomBytes(1<<20)
			trailers := []http.Field{{A: "a", B: []byte("v")}}
			done := make(chan error, 1)
			go func() {
				err := send(p, data)
				p.End(trailers, nil)
				done <- err
			}()
			got, err := receive(p, 20_000)
			want(t, "the end", err, io.EOF)
			want(t, "send", <-done, nil)
			if !bytes.Equal(got, data) {
				t.Errorf("%d bytes came, and not those that were sent", len(got))
			}
			if got := p.Trailers(); len(got) != 1 || got[0].A != "a" {
				t.Errorf("the trailers are %v", got)
			}
			p.Free()
			if m, ok := p.Memory.(*purse); ok && m.left != 5000 {
				t.Errorf("%d bytes of memory are back, want 5000", m.left)
			}
		})
	}
}

// TestSpaceHoldsWhileTheReaderReads has the reader take all bytes between Space and Commit.
func TestSpaceHoldsWhileTheReaderReads(t *testing.T) {
	p := &http.Pipe{}
	if _, err := p.Write([]byte("one")); err != nil {
		t.Fatal(err)
	}
	space, err := p.Space()
	want(t, "space", err, nil)
	p.Discard(3)
	p.Commit(copy(space, "two"))
	if b, err := p.Bytes(); string(b) != "two" || err != nil {
		t.Errorf("the reader has %q, %v", b, err)
	}
}

// TestLazyPipe counts when the reader of a lazy pipe is told.
func TestLazyPipe(t *testing.T) {
	told := 0
	p := &http.Pipe{Lazy: true}
	p.OnBytes(func() { told++ })
	_, _ = p.Write([]byte("x"))
	_, _ = p.Write([]byte("x"))
	if told != 0 {
		t.Error("the reader was told of a write")
	}
	p.Publish()
	p.OnBytes(func() { told++ }) // at once, as there are bytes that it was told of
	if told != 2 {
		t.Errorf("the reader was told %d times, want 2", told)
	}
	_, _ = p.Write([]byte("x"))
	p.OnBytes(func() { told++ })
	if told != 2 {
		t.Error("the reader was told of a write")
	}
	if n, err := p.Write(make([]byte, http.PipeSize)); n != http.PipeSize-3 || err != nil {
		t.Errorf("write: %d, %v", n, err)
	}
	if told != 3 {
		t.Error("the reader was not told of a full pipe")
	}
	p.Discard(http.PipeSize)
	p.OnBytes(func() { told++ })
	p.End(nil, nil)
	if told != 4 {
		t.Error("the reader was not told of the end")
	}
}

// TestWriterOfALazyPipeWaits has a pipe that has no memory to become as full as it may be.
func TestWriterOfALazyPipeWaits(t *testing.T) {
	bytes, space := 0, 0
	p := &http.Pipe{Lazy: true, Memory: &purse{left: 5000}}
	p.OnBytes(func() { bytes++ })
	n, err := p.Write(make([]byte, 10_000))
	if n == 0 || n > 5000 || err != nil {
		t.Fatalf("write: %d, %v", n, err)
	}
	_, err = p.Write([]byte("x"))
	want(t, "write to a full pipe", err, wasi.ErrWouldBlock)
	p.OnSpace(func() { space++ })
	if room, err := p.Room(); room != 0 || err != nil || space != 0 {
		t.Errorf("there is room for %d bytes, %v, and the writer was told %d times", room, err, space)
	}
	if bytes != 1 {
		t.Errorf("the reader was told %d times, want once", bytes)
	}
	p.Discard(1)
	if room, err := p.Room(); room != 1 || err != nil || space != 1 {
		t.Errorf("there is room for %d bytes, %v, and the writer was told %d times", room, err, space)
	}
	none := &http.Pipe{Memory: &purse{}}
	_, err = none.Write([]byte("x"))
	want(t, "write without memory", err, http.ErrNoMemory)
}

// TestClosedPipes uses ends of pipes whose other end is closed, or that are freed.
func TestClosedPipes(t *testing.T) {
	why := errors.New("the client is gone")
	for _, test := range []struct {
		name        string
		close       func(*http.Pipe)
		write, read error
	}{
		{"closed", func(p *http.Pipe) { p.Close(why); p.Close(nil) }, why, io.ErrClosedPipe},
		{"closed without a reason", func(p *http.Pipe) { p.Close(nil) }, http.ErrGone, io.ErrClosedPipe},
		{"freed", (*http.Pipe).Free, http.ErrGone, io.ErrClosedPipe},
		{"ended", func(p *http.Pipe) { p.Discard(1); p.End(nil, why); p.End(nil, nil) }, io.ErrClosedPipe, why},
	} {
		t.Run(test.name, func(t *testing.T) {
			told := 0
			p := &http.Pipe{}
			_, _ = p.Write([]byte("x"))
			space, err := p.Space()
			want(t, "space", err, nil)
			test.close(p)
			for _, end := range []error{test.read, io.ErrClosedPipe} { // it is freed in between
				p.Commit(copy(space, "late"))
				_, err = p.Write([]byte("x"))
				want(t, "write", err, test.write)
				_, err = p.Room()
				want(t, "room", err, test.write)
				_, err = p.Bytes()
				want(t, "bytes", err, end)
				p.Discard(1)
				p.OnBytes(func() { told++ })
				p.OnSpace(func() { told++ })
				p.End(nil, nil)
				p.Free()
				test.write = http.ErrGone
				if test.name == "closed" {
					test.write = why
				}
			}
			if told != 4 {
				t.Errorf("who waits was told %d times, want 4", told)
			}
			if n := p.Len(); n != 0 {
				t.Errorf("the pipe has %d bytes", n)
			}
		})
	}
}

// TestFreeTellsWhoWaits frees a pipe whose reader, and one whose writer, waits.
func TestFreeTellsWhoWaits(t *testing.T) {
	full, empty, told := &http.Pipe{}, &http.Pipe{}, 0
	_, _ = full.Write(make([]byte, http.PipeSize))
	full.OnSpace(func() { told++ })
	empty.OnBytes(func() { told++ })
	if told != 0 {
		t.Fatal("who waits was told too early")
	}
	full.Free()
	empty.Free()
	if told != 2 {
		t.Errorf("%d were told, want 2", told)
	}
}

// TestBegin looks for bytes: the writer is told once that they are wanted.
func TestBegin(t *testing.T) {
	began := 0
	p := &http.Pipe{Begin: func() { began++ }}
	p.OnBytes(nil)
	p.Close(nil)
	if began != 0 {
		t.Error("the body began before it was wanted")
	}
	p = &http.Pipe{}
	p.Begin = func() { began++; _, _ = p.Write([]byte("x")); p.End(nil, nil) }
	if all, err := receive(p, 1); string(all) != "x" || !errors.Is(err, io.EOF) || began != 1 {
		t.Errorf("the reader has %q, %v, and the body began %d times", all, err, began)
	}
}

// TestPipeSmall: the memory of a pipe is as large as what is written to it at once, and what has no
// memory for that takes what there is.
func TestPipeSmall(t *testing.T) {
	for _, test := range []struct{ has, writes, takes, wrote int }{
		{1 << 20, 6, 512, 6},
		{1 << 20, 513, 1024, 513},
		{1 << 20, 40_000, http.PipeSize, 40_000},
		{1 << 20, 100_000, http.PipeSize, http.PipeSize},
		{5000, 40_000, 4096, 4096},
		{511, 6, 0, 0},
	} {
		m := &purse{left: test.has}
		p := &http.Pipe{Memory: m}
		n, err := p.Write(make([]byte, test.writes))
		if n != test.wrote || m.left != test.has-test.takes || (err != nil) != (n == 0) {
			t.Errorf("%d bytes with memory for %d: %d were written, %v, %d of memory taken", test.writes, test.has, n, err, test.has-m.left)
		}
		p.Free()
		if m.left != test.has {
			t.Errorf("%d bytes: %d of memory were kept", test.writes, test.has-m.left)
		}
	}
}
