package confine

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// measured is what a process measures without and with Apply: nanoseconds for some calls, and
// kilobytes.
type measured struct {
	Calls  map[string]float64
	Apply  float64 // milliseconds
	Memory int     // private memory that Apply took, in kilobytes
	Lost   []string
}

func measure(what task) {
	var m measured
	if what.Text == "confined" {
		others := newThreads(16)
		before, start := private(), time.Now()
		m.Lost = apply(what)
		m.Apply, m.Memory = float64(time.Since(start).Microseconds())/1000, private()-before
		others.end()
	}
	dir, err := unix.Open(what.Dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(6)
	}
	zero, err := unix.Open("/dev/zero", unix.O_RDONLY, 0)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(6)
	}
	pid, buffer := unix.Getpid(), make([]byte, 1)
	how := &unix.OpenHow{Flags: unix.O_RDONLY, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
	m.Calls = map[string]float64{
		"getpid": cost(func() { unix.Getpid() }),
		"read":   cost(func() { unix.Read(zero, buffer) }),
		"tgkill": cost(func() { unix.Tgkill(pid, pid, 0) }), // the filter checks its arguments
		"openat2+close": cost(func() {
			if fd, err := unix.Openat2(dir, "file", how); err == nil {
				unix.Close(fd)
			}
		}),
	}
	say(m)
}

// cost is the time of one call in nanoseconds, in the best of several rounds.
func cost(call func()) float64 {
	const calls = 20_000
	best := time.Hour
	for range 10 {
		start := time.Now()
		for range calls {
			call()
		}
		best = min(best, time.Since(start))
	}
	return float64(best.Nanoseconds()) / calls
}

// private is the memory of this process that it does not share with others, in kilobytes.
func private() (sum int) {
	text, _ := os.ReadFile("/proc/self/smaps_rollup")
	for line := range bytes.Lines(text) {
		if fields := bytes.Fields(line); len(fields) == 3 && bytes.HasPrefix(fields[0], []byte("Private_")) {
			n, _ := strconv.Atoi(string(fields[1]))
			sum += n
		}
	}
	return sum
}

// BenchmarkApply reports the time of Apply with 16 threads, and the time of system calls after it,
// in ns.
func BenchmarkApply(b *testing.B) {
	dir := b.TempDir()
	for _, name := range []string{"file", "config"} {
		if err := os.WriteFile(dir+"/"+name, nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	what := task{Dir: dir, Config: Config{Hidden: []string{dir + "/config"}, ReadOnly: SystemFolders()}}
	for b.Loop() {
		for _, text := range []string{"free", "confined"} {
			what.Text = text
			m := perform[measured](b, user{id: uint32(os.Getuid())}, "measure", what)
			for name, ns := range m.Calls {
				b.ReportMetric(ns, text+"-"+name+"-ns")
			}
			if text == "confined" {
				b.ReportMetric(m.Apply, "apply-ms")
				b.ReportMetric(float64(m.Memory), "private-KB")
			}
		}
	}
}
