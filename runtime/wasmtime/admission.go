package wasmtime

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// What a guest takes of the system, measured by BenchmarkDensity with 5,000 guests, and rounded up.
const (
	mapsPerGuest    = 9         // memory areas: stack, alternative stack, linear memory, its guards
	memoryPerGuest  = 128 << 10 // bytes, of the smallest guest
	addressPerGuest = 5 << 30   // bytes of addresses: 4 GiB of linear memory, guards, stacks
	filesPerGuest   = 3         // open files: its log, and two of its own
)

// What is left for the rest of the process, and for the rest of the system, but never more than a quarter.
const (
	spareMaps    = 4096
	spareThreads = 512
	spareFiles   = 1024
	spareMemory  = 256 << 20
)

func spare(n, usual int64) int64 { return min(usual, n/4) }

// addresses is the user half of the smallest address space in use, 47 bits on amd64.
const addresses = 1 << 47

// ceiling is how many guests something of the system can bear.
type ceiling struct {
	guests int
	of     string
}

// host is where to look at what the system can bear.
type host struct {
	proc  string                                // the folder /proc
	limit func(resource int) (n int64, ok bool) // of this process; not ok without a bound
}

// thisHost is the one that we are on.
func thisHost() host { return host{proc: "/proc", limit: resourceLimit} }

func resourceLimit(resource int) (int64, bool) {
	var r unix.Rlimit
	if err := unix.Getrlimit(resource, &r); err != nil || r.Cur > math.MaxInt64 {
		return 0, false
	}
	return int64(r.Cur), true
}

// capacity is the lowest ceiling. Beyond some of them the process would not get an error but die, so it keeps
// away from all of them. What it cannot read does not count.
func (h host) capacity() ceiling {
	lowest := ceiling{guests: maxThreads - spareThreads, of: "the engine's own bound of threads"}
	for _, c := range []ceiling{h.maps(), h.threads(), h.memory(), h.addresses(), h.files()} {
		if c.of != "" && c.guests < lowest.guests {
			lowest = c
		}
	}
	lowest.guests = max(lowest.guests, 0)
	return lowest
}

func (h host) maps() ceiling {
	limit, ok := number(h.proc, "sys/vm/max_map_count")
	if !ok {
		return ceiling{}
	}
	now, _ := os.ReadFile(filepath.Join(h.proc, "self/maps"))
	used := int64(strings.Count(string(now), "\n"))
	return ceiling{int((limit - used - spare(limit, spareMaps)) / mapsPerGuest), fmt.Sprintf("vm.max_map_count = %d", limit)}
}

// threads looks at all that bounds threads: the system's, the user's, and the control group's numbers.
func (h host) threads() ceiling {
	limit, of := int64(maxThreads), ""
	bound := func(n int64, name string) {
		if n < limit {
			limit, of = n, fmt.Sprintf("%s = %d", name, n)
		}
	}
	for name, file := range map[string]string{"kernel.threads-max": "sys/kernel/threads-max", "kernel.pid_max": "sys/kernel/pid_max"} {
		if n, ok := number(h.proc, file); ok {
			bound(n, name)
		}
	}
	if n, ok := h.limit(unix.RLIMIT_NPROC); ok {
		bound(n, "RLIMIT_NPROC")
	}
	for _, dir := range h.controlGroups("pids") {
		if n, ok := number(dir, "pids.max"); ok {
			bound(n, "pids.max of the control group")
		}
	}
	if of == "" {
		return ceiling{}
	}
	return ceiling{int(limit - h.threadsNow() - spare(limit, spareThreads)), of}
}

// threadsNow is the number of threads on the whole system: the fourth field of loadavg is running/all.
func (h host) threadsNow() int64 {
	text, _ := os.ReadFile(filepath.Join(h.proc, "loadavg"))
	if fields := strings.Fields(string(text)); len(fields) > 3 {
		_, all, _ := strings.Cut(fields[3], "/")
		n, _ := strconv.ParseInt(all, 10, 64)
		return n
	}
	return 0
}

func (h host) memory() ceiling {
	free, ok := h.available()
	if !ok {
		return ceiling{}
	}
	of := fmt.Sprintf("memory, %d MiB free", free>>20)
	for _, dir := range h.controlGroups("memory") {
		for _, file := range []string{"memory.max", "memory.limit_in_bytes"} {
			if n, ok := number(dir, file); ok && n < free {
				free, of = n, fmt.Sprintf("memory of the control group, %d MiB", n>>20)
			}
		}
	}
	return ceiling{int((free - spare(free, spareMemory)) / memoryPerGuest), of}
}

// available is the memory that the system could give without swapping, in bytes.
func (h host) available() (int64, bool) {
	text, err := os.ReadFile(filepath.Join(h.proc, "meminfo"))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 53)
			return kib << 10, err == nil
		}
	}
	return 0, false
}

func (h host) addresses() ceiling {
	if n, ok := h.limit(unix.RLIMIT_AS); ok && n < addresses {
		return ceiling{int(n / addressPerGuest), fmt.Sprintf("RLIMIT_AS = %d", n)}
	}
	return ceiling{addresses / addressPerGuest, "the address space"}
}

func (h host) files() ceiling {
	n, ok := h.limit(unix.RLIMIT_NOFILE)
	if !ok {
		return ceiling{}
	}
	return ceiling{int((n - n/openedPart - spare(n, spareFiles)) / filesPerGuest), fmt.Sprintf("RLIMIT_NOFILE = %d", n)}
}

// openedPart is the part of the open files, one in so many, that is kept for what guests open.
const openedPart = 8

// guestFiles is what guests may open, all together.
func (h host) guestFiles() *wasi.Files {
	n, ok := h.limit(unix.RLIMIT_NOFILE)
	if !ok {
		return nil
	}
	return wasi.NewFiles(int(n / openedPart))
}

// controlGroups has the folders of the process's control groups with this controller, of both versions, and of all
// those that they are in.
func (h host) controlGroups(controller string) []string {
	const root = "/sys/fs/cgroup"
	text, _ := os.ReadFile(filepath.Join(h.proc, "self/cgroup"))
	var dirs []string
	for line := range strings.Lines(string(text)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, _ := strings.Cut(rest, ":")
		top := root
		switch controllers {
		case "":
		case controller:
			top = filepath.Join(root, controller)
		default:
			continue
		}
		for dir := filepath.Join(top, filepath.Join("/", path)); ; dir = filepath.Dir(dir) {
			dirs = append(dirs, dir)
			if dir == top {
				break
			}
		}
	}
	return dirs
}

// number reads a file that holds one; a file that says `max` holds none.
func number(dir, file string) (int64, bool) {
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}
