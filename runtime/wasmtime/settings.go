package wasmtime

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	goruntime "runtime"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"
	"golang.org/x/sys/cpu"
)

// engineVersion is the version of the wasmtime-go module that is linked; a test holds it to go.mod.
const engineVersion = "v39.0.1"

// maxStack bounds the native stack that a guest's calls may use, in bytes. It is wasmtime's default: enough for
// deep recursion, and far below the stack of a thread.
const maxStack = 512 << 10

// The tables of a guest are outside its memory limit: so many, and so many elements in each, of 8 bytes.
const (
	maxTables        = 16
	maxTableElements = 1 << 20
)

// settingsVersion changes whenever settings does in a way that concerns compiled code.
const settingsVersion = "epochs,no-threads,no-multi-memory,watched-growth,watched-tables,3"

func settings() *wasmtimego.Config {
	cfg := wasmtimego.NewConfig()
	cfg.SetEpochInterruption(true)
	cfg.SetMaxWasmStack(maxStack)
	// A shared memory is not bound by the store's limits, and a guest has one thread and one memory.
	cfg.SetWasmThreads(false)
	cfg.SetWasmMultiMemory(false)
	return cfg
}

// cacheFolder starts the names of folders of compiled code.
const cacheFolder = "wasmtime-"

// cacheKey names the folder of the compiled code that this build can use on this machine: code uses what the processor
// has, and a disk may move to another one.
func cacheKey() string {
	sum := sha256.Sum256(fmt.Append(nil, settingsVersion, cpu.X86, cpu.ARM64))
	return cacheFolder + engineVersion + "-" + goruntime.GOARCH + "-" + hex.EncodeToString(sum[:6])
}
