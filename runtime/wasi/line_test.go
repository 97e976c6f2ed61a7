package wasi

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pieces notes each write by itself.
type pieces []string

func (p *pieces) Write(b []byte) (int, error) {
	*p = append(*p, string(b))
	return len(b), nil
}

// TestLine: a line is written in one piece, and begins a line.
func TestLine(t *testing.T) {
	var out pieces
	g := newTestGuest(t, Config{Stderr: &out})
	write := func(text string) {
		t.Helper()
		if _, err := g.Stderr().Write(t.Context(), [][]byte{[]byte(text)}); err != nil {
			t.Error(err)
		}
	}
	line := func(text string) {
		t.Helper()
		if err := g.Stderr().Line(t.Context(), []byte(text)); err != nil {
			t.Error(err)
		}
	}
	line("first\n")
	write("no end")
	line("second\n")
	write("an end\n")
	line("third\n")
	if err := g.Stderr().Put(t.Context(), []byte("no end")); err != nil {
		t.Error(err)
	}
	write("")
	large := strings.Repeat("x", 3*outputPiece) + "\n"
	line(large)
	want := []string{"first\n", "no end", "\nsecond\n", "an end\n", "third\n", "no end", "\n" + large}
	if strings.Join(out, "|") != strings.Join(want, "|") {
		t.Errorf("written: %.100q", out)
	}
	g = newTestGuest(t, Config{})
	if err := g.Stderr().Line(t.Context(), []byte("x\n")); err != nil {
		t.Errorf("without a writer: %v", err)
	}
}

// TestLineRate: lines count to the rate of the output, and a kill ends the wait for it.
func TestLineRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		o := &Output{guest: &Guest{rate: NewRate(1000)}, w: &out}
		o.guest.waker = newWaker()
		ctx, kill := context.WithCancel(t.Context())
		begin := time.Now()
		text := strings.Repeat("x", 2499) + "\n"
		if err := o.Line(ctx, []byte(text)); err != nil || out.String() != text {
			t.Errorf("%d bytes were written, %v", out.Len(), err)
		}
		if d := time.Since(begin); d < time.Second || d > 2*time.Second {
			t.Errorf("2500 bytes took %v of a rate of 1000 bytes in a second", d)
		}
		kill()
		if err := o.Line(ctx, []byte(text)); !errors.Is(err, ErrKilled) {
			t.Errorf("after a kill: %v", err)
		}
	})
}
