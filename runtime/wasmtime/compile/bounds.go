package compile

import (
	goruntime "runtime"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/processor"
)

// The default limits for one compilation. The memory limit also has a security reason: a compiler
// can use numbers beyond their range only with gigabytes of memory (GHSA-897f-g5gm-fmxm), and the
// counts of package translate are only an estimate. With x86-64, two processors and wasmtime 39, a
// Go program of 3 MB takes 90 MB and 2 s of a processor; JavaScript's engine, as a module, takes
// 430 MB and 13 s.
const (
	DefaultMemory = 4 << 30 // bytes; Yosys, as a module of 69 MB, needs more than half of it
	DefaultTime   = 2 * time.Minute
)

// What an empty module may take, and what each MiB adds, up to the most that a Runner allows. Of 20
// published modules from 1 KB to 26 MB, none took more than 2.4 s of a processor for each MiB, 80
// MiB of memory plus 90 for each MiB, or 5.5 MiB of code for each MiB. A module of 255 MiB of data
// takes 1.3 GiB.
const (
	memoryFloor = 256 << 20
	memoryEach  = 128 << 20
	// Each thread of the compiler needs a stack, and memory for its current function.
	memoryThread = 16 << 20

	timeFloor = 30 * time.Second
	timeEach  = 10 * time.Second

	codeFloor = 64 << 20
	codeEach  = 16 << 20 // a Go program needs 3.2
	maxCode   = 1 << 30
)

// bounds are the limits of one compilation.
type bounds struct {
	memory int64         // bytes
	time   time.Duration // on an idle machine; it limits processor time
	code   int64         // bytes of the file
	nice   int           // how much its nice value is above the agent's
}

// bounds are proportional to the size of the module, in bytes. So a user who wants to keep
// compilers busy for long must send much data.
func (r *Runner) bounds(size int64) bounds {
	each := func(amount int64) int64 { return int64(float64(amount) * float64(size) / (1 << 20)) }
	floor := memoryFloor + memoryThread*int64(goruntime.GOMAXPROCS(0))
	return bounds{
		memory: min(r.Memory, floor+each(memoryEach)),
		time:   min(r.Time, timeFloor+time.Duration(each(int64(timeEach)))),
		code:   min(maxCode, codeFloor+each(codeEach)),
		nice:   lanes[laneOf(size)].nice,
	}
}

// lane is a class of modules by size. Each lane has its own compilers, so a module that takes long
// delays only others of its lane.
type lane struct {
	below int64 // bytes of a module
	nice  int
}

// lanes are sorted by size. The larger a module, the lower the priority of its compiler. But the
// priority is not very low, because a pod waits for this compilation at its start, and on a busy
// machine a compiler with a very low priority would never end.
var lanes = [...]lane{
	{below: 64 << 10, nice: processor.GuestNice},
	{below: 1 << 20, nice: processor.GuestNice + 1},
	{below: 1 << 62, nice: processor.GuestNice + 3},
}

// laneOf returns the index of the lane for modules of this size.
func laneOf(size int64) int {
	for i, l := range lanes {
		if size < l.below {
			return i
		}
	}
	return len(lanes) - 1
}
