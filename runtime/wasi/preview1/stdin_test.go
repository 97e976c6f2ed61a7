package preview1

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

func TestStandardInput(t *testing.T) {
	long := strings.Repeat("0123456789", 20_000)
	for name, r := range map[string]io.Reader{
		"whole": strings.NewReader(long), "bytes": iotest.OneByteReader(strings.NewReader(long)),
		"end with data": iotest.DataErrReader(strings.NewReader(long)),
	} {
		c := newCaller(t, wasi.Config{Stdin: r})
		var got strings.Builder
		for range len(long) + 1 {
			part := c.read(0, 7000)
			if part == "" {
				break
			}
			got.WriteString(part)
		}
		if got.String() != long {
			t.Errorf("%s: %d bytes, want %d", name, got.Len(), len(long))
		}
		if part := c.read(0, 10); part != "" {
			t.Errorf("%s: %q behind the end", name, part)
		}
	}
	broken := newCaller(t, wasi.Config{Stdin: iotest.ErrReader(errors.New("unplugged"))})
	v, n := broken.vec(1)
	broken.want(ErrnoIo, "fd_read", 0, v, n, addrResult)
	if got := newCaller(t, wasi.Config{}).read(0, 1); got != "" {
		t.Errorf("no input: %q", got)
	}
}

func TestReadsOfInputEndWithTheGuest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stdin, keyboard := io.Pipe()
		defer stdin.Close() // it ends the running read
		c := newCaller(t, wasi.Config{Stdin: stdin})
		var kill context.CancelFunc
		c.ctx, kill = context.WithTimeout(t.Context(), time.Hour)
		defer kill()
		v, n := c.vec(1)
		c.want(wasi.ErrKilled, "fd_read", 0, v, n, addrResult)
		c.ctx = t.Context()
		c.want(nil, "fd_fdstat_set_flags", 0, flagNonblock)
		c.want(ErrnoAgain, "fd_read", 0, v, n, addrResult)
		c.subscribe(0, eventFDRead, 0, 0)
		c.subscribe(1, eventClock, 0, uint64(time.Minute))
		began := time.Now()
		if got := c.events(2); len(got) != 1 || got[0].index != 1 || time.Since(began) != time.Minute {
			t.Errorf("after %s: %+v", time.Since(began), got)
		}
		go func() {
			time.Sleep(time.Second)
			_, _ = keyboard.Write([]byte("text"))
			_ = keyboard.Close()
		}()
		c.subscribe(0, eventFDRead, 0, 0)
		c.subscribe(1, eventClock, 0, uint64(time.Minute))
		began = time.Now()
		if got := c.events(2); len(got) != 1 || got[0].nbytes != 4 || time.Since(began) != time.Second {
			t.Errorf("after %s: %+v", time.Since(began), got)
		}
		if got := c.read(0, 10); got != "text" {
			t.Errorf("%q", got)
		}
		synctest.Wait()
		c.subscribe(0, eventFDRead, 0, 0)
		if got := c.events(1); len(got) != 1 || !got[0].hangup {
			t.Errorf("at the end: %+v", got)
		}
	})
}

func TestOutputRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		c := newCaller(t, wasi.Config{Stdout: &out, Stderr: &out, OutputRate: 1000})
		began := time.Now()
		v, n := c.vec(500)
		for range 21 { // 10,500 bytes: the bytes of one second at once, and 9.5 seconds for the rest
			for _, fd := range []uint64{1, 2} {
				c.want(nil, "fd_write", fd, v, n, addrResult)
				if c.u32(addrResult) != 500 {
					t.Fatalf("wrote %d", c.u32(addrResult))
				}
				v, n = c.vec(250)
				c.want(nil, "fd_write", fd, v, n, addrResult)
				v, n = c.vec(500)
			}
		}
		if took, bytes := time.Since(began), out.Len(); took < time.Duration(bytes-1000)*time.Millisecond-time.Second || took > time.Duration(bytes)*time.Millisecond {
			t.Errorf("%d bytes in %s", bytes, took)
		}
		var kill context.CancelFunc
		c.ctx, kill = context.WithTimeout(t.Context(), time.Millisecond)
		defer kill()
		v, n = c.vec(10_000)
		c.want(wasi.ErrKilled, "fd_write", 1, v, n, addrResult)
	})
}
