package wasmtime

// #include <stdlib.h>
// #include "store.h"
//
// #ifdef ENGINE_OF_HACK
// static const char *engine_version(void) { return krustlet_engine_version(); }
// static void config_prepare(wasm_config_t *c) { krustlet_config_prepare(c); }
// #else
// static const char *engine_version(void) { return NULL; }
// static void config_prepare(wasm_config_t *c) { (void)c; }
// #endif
import "C"

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	goruntime "runtime"
	"strings"
	"unsafe"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"
	"golang.org/x/sys/cpu"
)

// bundledVersion is the version of the library that comes with wasmtime-go. The library cannot tell
// it. A test compares it with go.mod.
const bundledVersion = "39.0.1"

// Version is the version of the linked wasmtime, such as 48.0.8. The library itself tells it, or it
// is the version of wasmtime-go's library.
var Version = func() string {
	if v := C.engine_version(); v != nil {
		return C.GoString(v)
	}
	return bundledVersion
}()

// supported reports whether the linked library is that of hack/engine. That one is maintained;
// wasmtime-go's is not.
func supported() bool { return C.engine_version() != nil }

// maxStack bounds the native stack for a guest's calls, in bytes. It is wasmtime's default: enough
// for deep recursion, and far below the stack of a thread.
const maxStack = 512 << 10

// Bounds of a guest's store. The account bounds its memory.
const (
	maxTables        = 16 + 1 // one is our own (package translate)
	maxMemories      = 16
	maxTableElements = 1 << 20
)

// settingsVersion must change when settings change, or when the translation of modules before the
// compilation changes.
const settingsVersion = "epochs,features-by-name,translated,4"

// settings are those of every engine. They set everything that the library would choose by itself,
// so that another version of it changes nothing.
func settings() *wasmtimego.Config {
	cfg := wasmtimego.NewConfig()
	cfg.SetEpochInterruption(true)
	cfg.SetMaxWasmStack(maxStack)
	native := *(**C.wasm_config_t)(unsafe.Pointer(cfg)) // the handle is the first field
	C.config_prepare(native)
	setFeatures(native)
	goruntime.KeepAlive(cfg)
	return cfg
}

// cacheKey identifies the compiled code that this build can use on this machine. Code uses features
// of the processor, and a disk may be moved to another machine.
func cacheKey() string {
	sum := sha256.Sum256(fmt.Append(nil, settingsVersion, featureKey(), cpu.X86, cpu.ARM64))
	return strings.Join([]string{"v" + Version, goruntime.GOARCH, hex.EncodeToString(sum[:6])}, "-")
}
