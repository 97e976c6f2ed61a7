package compile

import (
	goruntime "runtime"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/processor"
)

// The most that one compilation may take by default. The bound of memory also keeps guests in: a
// compiler takes numbers beyond their range only with gigabytes of memory (GHSA-897f-g5gm-fmxm),
// and what package translate counts is an estimate. On x86-64, two processors and wasmtime 39 a Go
// program of 3 MB takes 90 MB and 2 s of a processor; JavaScript's engine, as a module, 430 MB and
// 13 s.
const (
	DefaultMemory = 4 << 30 // bytes; Yosys, as a module of 69 MB, takes more than half of it
	DefaultTime   = 2 * time.Minute
)

// What a module of no size may take, and what each MiB adds, up to the most that a Runner allows.
// Of 20 published modules from 1 KB to 26 MB, none took more than 2.4 s of a processor for each
// MiB, 80 MiB of memory and 90 for each MiB, or 5.5 MiB of code for each. A module of 255 MiB of
// data takes 1.3 GiB.
const (
	memoryFloor = 256 << 20
	memoryEach  = 128 << 20
	// Each thread of the compiler has a stack, and a function that it works at.
	memoryThread = 16 << 20

	timeFloor = 30 * time.Second
	timeEach  = 10 * time.Second

	codeFloor = 64 << 20
	codeEach  = 16 << 20 // a Go program: 3.2
	maxCode   = 1 << 30
)

// bounds are what one compilation may take.
type bounds struct {
	memory int64         // bytes
	time   time.Duration // on an idle machine; it bounds the time of the processors
	code   int64         // bytes of the file
	nice   int           // by how much nicer than the agent it is
}

// bounds are in proportion to the size of the module, in bytes: a user who makes compilers work for
// long must send much.
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

// lane is a class of modules by size, which has compilers of its own: a module that takes long
// holds up only others of its class.
type lane struct {
	below int64 // bytes of a module
	nice  int
}

// lanes are in order. The larger a module, the lower the priority of its compiler. But a pod sees
// its module's compilation as part of its start, and on a busy machine a compiler of very low
// priority would never end.
var lanes = [...]lane{
	{below: 64 << 10, nice: processor.GuestNice},
	{below: 1 << 20, nice: processor.GuestNice + 1},
	{below: 1 << 62, nice: processor.GuestNice + 3},
}

// laneOf returns the index of the lane for modules of that size.
func laneOf(size int64) int {
	for i, l := range lanes {
		if size < l.below {
			return i
		}
	}
	return len(lanes) - 1
}
