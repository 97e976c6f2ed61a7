package preview1

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

func TestArgumentsAndEnvironment(t *testing.T) {
	c := newCaller(t, wasi.Config{Args: []string{"prog", "", "ü"}, Env: []string{"A=1"}})
	c.want(nil, "args_sizes_get", 0, 4)
	if c.u32(0) != 3 || c.u32(4) != 5+1+3 {
		t.Errorf("%d arguments in %d bytes", c.u32(0), c.u32(4))
	}
	c.want(nil, "args_get", 16, 64)
	if got := string(c.mem[64 : 64+9]); got != "prog\x00\x00ü\x00" || c.u32(16) != 64 || c.u32(20) != 69 || c.u32(24) != 70 {
		t.Errorf("arguments %q at %d, %d, %d", got, c.u32(16), c.u32(20), c.u32(24))
	}
	c.want(nil, "environ_sizes_get", 0, 4)
	c.want(nil, "environ_get", 16, 64)
	if got := string(c.mem[64:68]); got != "A=1\x00" || c.u32(0) != 1 || c.u32(4) != 4 {
		t.Errorf("environment %q", got)
	}
	c.want(ErrnoFault, "args_get", uint64(len(c.mem)-8), 0)
	c.want(ErrnoFault, "args_get", 0, uint64(len(c.mem)-8))
	c.want(ErrnoFault, "environ_sizes_get", 0, 1<<32-1)
}

func TestConfigIsChecked(t *testing.T) {
	dir := t.TempDir()
	root := []wasi.Mount{{Host: dir, Guest: "/"}}
	links := t.TempDir()
	testfiles.Symlink(t, "/", filepath.Join(links, "link"))
	for name, c := range map[string]struct {
		cfg  wasi.Config
		want string
	}{
		"zero byte":             {wasi.Config{Args: []string{"a\x00b"}, Mounts: root}, "zero byte"},
		"environment":           {wasi.Config{Env: []string{"A"}, Mounts: root}, "KEY=VALUE"},
		"too many arguments":    {wasi.Config{Args: []string{strings.Repeat("x", wasi.MaxVector)}, Mounts: root}, "more than"},
		"no root":               {wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/a"}}}, `"/"`},
		"relative guest":        {wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "a"}}}, "absolute"},
		"unclean guest":         {wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/a/../b"}}}, "clean"},
		"relative host":         {wasi.Config{Mounts: []wasi.Mount{{Host: "x", Guest: "/"}}}, "absolute"},
		"missing host":          {wasi.Config{Mounts: []wasi.Mount{{Host: dir + "/no", Guest: "/"}}}, "no such file"},
		"a link":                {wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}, {Host: links + "/link", Guest: "/a"}}}, "symbolic links"},
		"behind a link":         {wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}, {Host: links + "/link/etc", Guest: "/a"}}}, "symbolic links"},
		"twice":                 {wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}, {Host: dir, Guest: "/a"}, {Host: dir, Guest: "/a"}}}, "two mounts"},
		"a file at the root":    {wasi.Config{Mounts: []wasi.Mount{{Host: "/dev/null", Guest: "/"}}}, "directory"},
		"working dir is none":   {wasi.Config{WorkDir: "/f/x", Mounts: []wasi.Mount{{Host: dir, Guest: "/"}, {Host: "/dev/null", Guest: "/f"}}}, "working directory"},
		"working dir in a rofs": {wasi.Config{WorkDir: "/x", Mounts: []wasi.Mount{{Host: dir, Guest: "/", ReadOnly: true}}}, "read-only"},
	} {
		if g, err := New(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: guest %v, error %v, want %q", name, g, err, c.want)
		}
	}
}

func TestProcess(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	var exit *wasi.ExitError
	if err := c.call("proc_exit", 7); !errors.As(err, &exit) || exit.Code != 7 {
		t.Errorf("proc_exit: %v", err)
	}
	c.want(ErrnoNotsup, "proc_raise", 9)
	c.want(nil, "sched_yield")
	c.want(nil, "random_get", 100, 32)
	if bytes.Equal(c.mem[100:132], make([]byte, 32)) || !bytes.Equal(c.mem[132:140], make([]byte, 8)) {
		t.Error("random_get does not fill what it was told to")
	}
	c.want(ErrnoFault, "random_get", uint64(len(c.mem)-1), 2)
	for clock := range uint64(4) {
		c.want(nil, "clock_res_get", clock, 0)
		c.want(nil, "clock_time_get", clock, 1, 0)
	}
	c.want(ErrnoInval, "clock_time_get", 4, 1, 0)
	c.want(ErrnoInval, "clock_res_get", 1<<31, 0)
}

// sub writes a subscription of a clock.
func (c *caller) sub(i int, userdata uint64, clock uint32, timeout time.Duration, flags uint16) {
	b := c.mem[addrVec+i*subscriptionSize:]
	clear(b[:subscriptionSize])
	binary.LittleEndian.PutUint64(b, userdata)
	binary.LittleEndian.PutUint32(b[16:], clock)
	binary.LittleEndian.PutUint64(b[24:], uint64(timeout))
	binary.LittleEndian.PutUint16(b[40:], flags)
}

// subFD writes a subscription of a descriptor.
func (c *caller) subFD(i int, userdata uint64, tag byte, fd uint32) {
	b := c.mem[addrVec+i*subscriptionSize:]
	clear(b[:subscriptionSize])
	binary.LittleEndian.PutUint64(b, userdata)
	b[8] = tag
	binary.LittleEndian.PutUint32(b[16:], fd)
}

// poll calls poll_oneoff and returns the error number of each event by its userdata.
func (c *caller) poll(n int) map[uint64]Errno {
	c.t.Helper()
	c.want(nil, "poll_oneoff", addrVec, addrData, uint64(n), addrResult)
	events := map[uint64]Errno{}
	for i := range int(c.u32(addrResult)) {
		at := addrData + i*eventSize
		events[c.u64(at)] = Errno(binary.LittleEndian.Uint16(c.mem[at+8:]))
	}
	return events
}

func TestPollClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCaller(t, wasi.Config{})
		began := time.Now()
		time.Sleep(time.Second)
		c.sub(0, 10, clockMonotonic, 3*time.Hour, 0)
		c.sub(1, 11, clockRealtime, time.Hour, 0)
		c.sub(2, 12, clockMonotonic, time.Hour+time.Second, clockAbsolute)
		c.sub(3, 13, clockRealtime, time.Duration(began.Add(time.Hour+time.Second).UnixNano()), clockAbsolute)
		events := c.poll(4)
		if len(events) != 3 || events[11] != 0 || events[12] != 0 || events[13] != 0 {
			t.Errorf("events %v", events)
		}
		if d := time.Since(began); d != time.Hour+time.Second {
			t.Errorf("after %v", d)
		}
		c.sub(0, 1, clockRealtime, 0, clockAbsolute) // long ago
		c.sub(1, 2, 77, time.Hour, 0)                // no such clock
		if events := c.poll(2); len(events) != 2 || events[1] != 0 || events[2] != ErrnoInval {
			t.Errorf("events %v", events)
		}
		c.sub(0, 1, clockMonotonic, -1, 0) // 584 years
		c.sub(1, 2, clockMonotonic, time.Minute, 0)
		if events := c.poll(2); len(events) != 1 || events[2] != 0 {
			t.Errorf("events %v", events)
		}
	})
}

func TestPollIsKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCaller(t, wasi.Config{})
		var kill context.CancelFunc
		c.ctx, kill = context.WithCancel(c.ctx)
		time.AfterFunc(time.Minute, kill)
		began := time.Now()
		c.sub(0, 1, clockMonotonic, 100*time.Hour, 0)
		c.want(wasi.ErrKilled, "poll_oneoff", addrVec, addrData, 1, addrResult)
		if d := time.Since(began); d != time.Minute {
			t.Errorf("killed after %v", d)
		}
	})
}

func TestPollDescriptors(t *testing.T) {
	dir := t.TempDir()
	testfiles.Write(t, dir+"/file", "12345")
	c := newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}})
	fd := c.mustOpen("file", 0, readWrite, 0)
	c.subFD(0, 1, eventFDRead, 0)
	c.subFD(1, 2, eventFDWrite, 1)
	c.subFD(2, 3, eventFDRead, uint32(fd))
	c.subFD(3, 4, eventFDRead, 99)
	c.subFD(4, 5, eventFDWrite, 0)
	c.sub(5, 6, clockMonotonic, time.Hour, 0)
	events := c.poll(6)
	if len(events) != 5 || events[1] != 0 || events[2] != 0 || events[3] != 0 || events[4] != ErrnoBadf || events[5] != ErrnoBadf {
		t.Errorf("events %v", events)
	}
	if n := c.u64(addrData + 2*eventSize + 16); n != 5 {
		t.Errorf("%d bytes can be read", n)
	}
	if flags := c.mem[addrData+24]; flags != pollHangup {
		t.Errorf("empty standard input has flags %d", flags)
	}
	c.want(ErrnoInval, "poll_oneoff", addrVec, addrData, 0, addrResult)
	c.want(ErrnoInval, "poll_oneoff", addrVec, addrData, 1<<30, addrResult)
	c.want(ErrnoFault, "poll_oneoff", addrVec, uint64(len(c.mem)-31), 1, addrResult)
	c.want(ErrnoFault, "poll_oneoff", addrVec, addrData, 1, uint64(len(c.mem)))
	c.subFD(0, 1, 9, 0)
	c.want(ErrnoInval, "poll_oneoff", addrVec, addrData, 1, addrResult)
}
