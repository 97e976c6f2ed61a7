package stdio

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// kept is a log in memory.
type kept struct{ out, err bytes.Buffer }

func (k *kept) Stdout() io.Writer { return &k.out }
func (k *kept) Stderr() io.Writer { return &k.err }

func TestOutputGoesToLogAndClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log kept
		var both, late bytes.Buffer
		o := NewOutput(t.Context(), &log, true, runtime.Streams{Stdout: &both, Stderr: &both})
		say := func(out, errs string) {
			for _, write := range []func() (int, error){
				func() (int, error) { return io.WriteString(o.Stdout(), out) },
				func() (int, error) { return io.WriteString(o.Stderr(), errs) },
			} {
				if _, err := write(); err != nil {
					t.Error(err)
				}
			}
		}
		say("one ", "two ")
		attached := make(chan error, 1)
		go func() { attached <- Attach(t.Context(), o, nil, runtime.Streams{Stdout: &late}) }()
		synctest.Wait()
		say("three ", "four ")
		o.Close()
		if err := <-attached; err != nil {
			t.Errorf("Attach: %v", err)
		}
		if log.out.String() != "one three " || log.err.String() != "two four " {
			t.Errorf("the log has %q and %q", log.out.String(), log.err.String())
		}
		if both.String() != "one two three four " || late.String() != "three " {
			t.Errorf("the clients have %q and %q", both.String(), late.String())
		}
		if err := Attach(t.Context(), o, nil, runtime.Streams{Stdout: &late}); err != nil {
			t.Errorf("Attach to a guest that has ended: %v", err)
		}
	})
}

// TestClientThatDoesNotRead: the client gets 64 KiB, then the guest waits until it is killed.
func TestClientThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, kill := context.WithCancel(t.Context())
		r, w := io.Pipe()
		var log kept
		o := NewOutput(ctx, &log, true, runtime.Streams{Stdout: w})
		if n, err := o.Stdout().Write(make([]byte, pieces*pieceSize)); n != pieces*pieceSize || err != nil {
			t.Errorf("wrote %d bytes, %v", n, err)
		}
		failed := make(chan error, 1)
		go func() {
			_, err := io.WriteString(o.Stdout(), "more")
			failed <- err
		}()
		synctest.Wait()
		if attached, full := o.Clients(); attached != 1 || full != 1 {
			t.Errorf("%d clients, %d without room", attached, full)
		}
		select {
		case err := <-failed:
			t.Fatalf("the guest does not wait for its client: %v", err)
		default:
		}
		kill()
		if err := <-failed; !errors.Is(err, wasi.ErrKilled) {
			t.Errorf("after the kill: %v", err)
		}
		o.Close()     // it does not wait long for the client
		_ = r.Close() // this ends the abandoned write
	})
}

func TestInputIsFedByOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, stdin := OpenInput(t.Context(), runtime.Spec{Command: runtime.Command{Stdin: true}}, strings.NewReader("first "))
		var log kept
		o := NewOutput(t.Context(), &log, true, runtime.Streams{})
		synctest.Wait() // the first Read is running
		if err := Attach(t.Context(), o, in, runtime.Streams{Stdin: strings.NewReader("")}); !errors.Is(err, runtime.ErrStdin) {
			t.Errorf("beside another client: %v", err)
		}
		buf := make([]byte, 100)
		n, err := stdin.Read(buf)
		if string(buf[:n]) != "first " || err != nil {
			t.Errorf("read %q, %v", buf[:n], err)
		}
		synctest.Wait() // the first client is removed
		ctx, leave := context.WithCancel(t.Context())
		attached := make(chan error, 1)
		go func() { attached <- Attach(ctx, o, in, runtime.Streams{Stdin: strings.NewReader("second ")}) }()
		if n, err = stdin.Read(buf); string(buf[:n]) != "second " || err != nil {
			t.Errorf("read %q, %v", buf[:n], err)
		}
		leave()
		if err := <-attached; !errors.Is(err, context.Canceled) {
			t.Errorf("Attach: %v", err)
		}
		in.Close()
		in.Close()
		if _, err := stdin.Read(buf); !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %v", err)
		}
		o.Close()
	})
}

func TestInputOfNoClients(t *testing.T) {
	r := strings.NewReader("")
	in, stdin := OpenInput(t.Context(), runtime.Spec{}, r)
	if in != nil || stdin != io.Reader(r) {
		t.Errorf("got %v, %v", in, stdin)
	}
	in.Close()
	if err := Attach(t.Context(), nil, in, runtime.Streams{Stdin: r}); !errors.Is(err, runtime.ErrStdin) {
		t.Errorf("Attach: %v", err)
	}
}
