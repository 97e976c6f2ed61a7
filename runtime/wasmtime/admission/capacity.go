package admission

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// MapsPerGuest is how many memory areas a guest needs: its stack, alternative stack, linear memory
// and guards.
const MapsPerGuest = 9

// What else a guest needs from the system. BenchmarkDensity measured these figures and MapsPerGuest
// with 5,000 guests; they are rounded up.
const (
	memoryPerGuest  = 128 << 10 // bytes, for the smallest guest
	addressPerGuest = 5 << 30   // bytes of addresses: 4 GiB of linear memory, guards, stacks
	filesPerGuest   = 3         // open files: its log, and two of its own
)

// MaxThreads is the most threads that the process may have. Go's default is 10,000; above it, the
// process exits. A large node can hold more guests than that. The kernel's own limits are lower
// than MaxThreads.
const MaxThreads = 60_000

// SpareMaps is how many memory areas are reserved for the rest of the process. A quarter of all is
// the most that is reserved.
const SpareMaps = 4096

// What else is reserved for the rest of the process and of the system. A quarter is the most that
// is reserved.
const (
	spareThreads = 512
	spareFiles   = 1024
	spareMemory  = 256 << 20
)

func spare(n, usual int64) int64 { return min(usual, n/4) }

// PoolMemories is how many memories the engine's pool has room for. The addresses that it takes,
// with guards and tables, are not for guests.
const (
	PoolMemories  = 4096
	poolAddresses = PoolMemories * (5 << 30)
)

// addresses is the user half of the smallest address space in use, 47 bits on amd64.
const addresses = 1<<47 - poolAddresses

// Ceiling is how many guests a resource of the system allows.
type Ceiling struct {
	Guests int
	Of     string // name of the resource, for people
}

// Capacity returns the lowest Ceiling of this system.
func Capacity() Ceiling { return thisSystem().capacity() }

// GuestFiles returns how many files all guests together may open. ok is false if there is no bound.
func GuestFiles() (n int, ok bool) { return thisSystem().guestFiles() }

// system says where the limits of the system are read.
type system struct {
	proc  string                                // the folder /proc
	limit func(resource int) (n int64, ok bool) // of this process; ok is false without a bound
}

func thisSystem() system { return system{proc: "/proc", limit: resourceLimit} }

func resourceLimit(resource int) (int64, bool) {
	var r unix.Rlimit
	if err := unix.Getrlimit(resource, &r); err != nil || r.Cur > math.MaxInt64 {
		return 0, false
	}
	return int64(r.Cur), true
}

// capacity returns the lowest ceiling. It ignores limits that it cannot read.
func (s system) capacity() Ceiling {
	lowest := Ceiling{Guests: MaxThreads - spareThreads, Of: "the engine's own bound of threads"}
	for _, c := range []Ceiling{s.maps(), s.threads(), s.memory(), s.addresses(), s.files()} {
		if c.Of != "" && c.Guests < lowest.Guests {
			lowest = c
		}
	}
	lowest.Guests = max(lowest.Guests, 0)
	return lowest
}

func (s system) maps() Ceiling {
	limit, ok := number(s.proc, "sys/vm/max_map_count")
	if !ok {
		return Ceiling{}
	}
	now, _ := os.ReadFile(filepath.Join(s.proc, "self/maps"))
	used := int64(strings.Count(string(now), "\n"))
	return Ceiling{int((limit - used - spare(limit, SpareMaps)) / MapsPerGuest), fmt.Sprintf("vm.max_map_count = %d", limit)}
}

// threads uses all limits of threads: those of the system, of the user, and of the control groups.
func (s system) threads() Ceiling {
	limit, of := int64(MaxThreads), ""
	bound := func(n int64, name string) {
		if n < limit {
			limit, of = n, fmt.Sprintf("%s = %d", name, n)
		}
	}
	for name, file := range map[string]string{"kernel.threads-max": "sys/kernel/threads-max", "kernel.pid_max": "sys/kernel/pid_max"} {
		if n, ok := number(s.proc, file); ok {
			bound(n, name)
		}
	}
	if n, ok := s.limit(unix.RLIMIT_NPROC); ok {
		bound(n, "RLIMIT_NPROC")
	}
	for _, dir := range s.controlGroups("pids") {
		if n, ok := number(dir, "pids.max"); ok {
			bound(n, "pids.max of the control group")
		}
	}
	if of == "" {
		return Ceiling{}
	}
	return Ceiling{int(limit - s.threadsNow() - spare(limit, spareThreads)), of}
}

// threadsNow returns the number of threads in the whole system. The fourth field of loadavg is
// running/all.
func (s system) threadsNow() int64 {
	text, _ := os.ReadFile(filepath.Join(s.proc, "loadavg"))
	if fields := strings.Fields(string(text)); len(fields) > 3 {
		_, all, _ := strings.Cut(fields[3], "/")
		n, _ := strconv.ParseInt(all, 10, 64)
		return n
	}
	return 0
}

func (s system) memory() Ceiling {
	free, ok := s.available()
	if !ok {
		return Ceiling{}
	}
	of := fmt.Sprintf("memory, %d MiB free", free>>20)
	for _, dir := range s.controlGroups("memory") {
		for _, file := range []string{"memory.max", "memory.limit_in_bytes"} {
			if n, ok := number(dir, file); ok && n < free {
				free, of = n, fmt.Sprintf("memory of the control group, %d MiB", n>>20)
			}
		}
	}
	return Ceiling{int((free - spare(free, spareMemory)) / memoryPerGuest), of}
}

// available returns the memory that the system can give without swapping, in bytes.
func (s system) available() (int64, bool) {
	text, err := os.ReadFile(filepath.Join(s.proc, "meminfo"))
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

func (s system) addresses() Ceiling {
	if n, ok := s.limit(unix.RLIMIT_AS); ok && n < addresses {
		return Ceiling{int(n / addressPerGuest), fmt.Sprintf("RLIMIT_AS = %d", n)}
	}
	return Ceiling{addresses / addressPerGuest, "the address space"}
}

func (s system) files() Ceiling {
	n, ok := s.limit(unix.RLIMIT_NOFILE)
	if !ok {
		return Ceiling{}
	}
	return Ceiling{int((n - n/openedPart - spare(n, spareFiles)) / filesPerGuest), fmt.Sprintf("RLIMIT_NOFILE = %d", n)}
}

// openedPart says that one of this number of open files is reserved for files that guests open.
const openedPart = 8

func (s system) guestFiles() (n int, ok bool) {
	limit, ok := s.limit(unix.RLIMIT_NOFILE)
	return int(limit / openedPart), ok
}

// controlGroups returns the folders of the process's control groups with this controller, for both
// versions, and of all their parent groups.
func (s system) controlGroups(controller string) []string {
	const root = "/sys/fs/cgroup"
	text, _ := os.ReadFile(filepath.Join(s.proc, "self/cgroup"))
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

// number reads a number from a file. ok is false if the file contains `max`.
func number(dir, file string) (n int64, ok bool) {
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return 0, false
	}
	n, err = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}
