package wasmtime

import (
	goruntime "runtime"
	"time"
)

// The most that one compilation may take, where the Config sets nothing. The bound of memory is a wall as well: what makes a
// compiler take numbers beyond their range needs gigabytes (GHSA-897f-g5gm-fmxm), and what translate counts is an estimate. On
// x86-64, two processors and wasmtime 39 a Go program of 3 MB takes 90 MB and 2 s of a processor; JavaScript's engine, as a module,
// 430 MB and 13 s.
const (
	DefaultCompileMemory = 4 << 30 // bytes; Yosys, as a module of 69 MB, takes more than half of it
	bundledCompileMemory = 2 << 30 // with wasmtime-go's library, of which no compiler takes numbers beyond their range below that
	DefaultCompileTime   = 2 * time.Minute
)

// What a module of no size may take, and what each MiB adds, up to the most. Of 20 published modules from 1 KB to 26 MB, none took
// more than 2.4 s of a processor for each MiB, 80 MiB of memory and 90 for each MiB, or 5.5 MiB of code for each. A module of 255
// MiB of data takes 1.3 GiB.
const (
	compileMemoryFloor = 256 << 20
	compileMemoryEach  = 128 << 20
	// Each thread of the compiler has a stack, and a function that it works at.
	compileMemoryThread = 16 << 20

	compileTimeFloor = 30 * time.Second
	compileTimeEach  = 10 * time.Second

	codeFloor = 64 << 20
	codeEach  = 16 << 20 // the Go program: 3.2
	maxCode   = 1 << 30
)

// compileMemory is the most where the Config sets nothing.
func compileMemory() int64 {
	if supported() {
		return DefaultCompileMemory
	}
	return bundledCompileMemory
}

// bounds are what one compilation may take.
type bounds struct {
	memory int64         // bytes
	limit  time.Duration // on an idle machine: it bounds the time of the processors
	code   int64         // bytes of the file
	nice   int           // by how much it stands behind the agent
}

// bounds are in proportion to the size of the module, in bytes: who makes compilers work for long must send much.
func (c *compiler) bounds(size int64) bounds {
	each := func(amount int64) int64 { return int64(float64(amount) * float64(size) / (1 << 20)) }
	floor := compileMemoryFloor + compileMemoryThread*int64(goruntime.GOMAXPROCS(0))
	return bounds{
		memory: min(c.memory, floor+each(compileMemoryEach)),
		limit:  min(c.limit, compileTimeFloor+time.Duration(each(int64(compileTimeEach)))),
		code:   min(maxCode, codeFloor+each(codeEach)),
		nice:   laneOf(size).nice,
	}
}

// lane is a class of modules by size, which has compilers of its own: one that takes long holds up others of its class only.
type lane struct {
	below int64 // bytes of a module
	nice  int
}

// lanes are in order. The larger a module, the further its compiler stands behind the agent; to its pod, compiling is the
// beginning of the guest, and far behind all others it would never be done on a busy machine.
var lanes = [...]lane{
	{below: 64 << 10, nice: guestNice},
	{below: 1 << 20, nice: guestNice + 1},
	{below: 1 << 62, nice: guestNice + 3},
}

func laneOf(size int64) lane { return lanes[laneNumber(size)] }

func laneNumber(size int64) int {
	for i, l := range lanes {
		if size < l.below {
			return i
		}
	}
	return len(lanes) - 1
}
