package wasmtime

// #include <stdlib.h>
// #include "command.h"
import "C"

import (
	"fmt"
	goruntime "runtime"
	"runtime/debug"
	"unsafe"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/preview1"
)

// hostCalls is the table of functions, by the index that store.c uses.
var hostCalls = preview1.Functions()

// linker holds the host functions that every module gets.
type linker struct {
	native *C.wasmtime_linker_t
}

func newLinker(e *wasmtimego.Engine) (*linker, error) {
	l := &linker{native: C.wasmtime_linker_new(nativeEngine(e))}
	for i, f := range hostCalls {
		if err := l.define(i, f); err != nil {
			l.close()
			return nil, fmt.Errorf("defining %s.%s: %w", f.Module, f.Name, err)
		}
	}
	goruntime.KeepAlive(e)
	return l, nil
}

func (l *linker) define(index int, f preview1.Function) error {
	module, name := C.CString(f.Module), C.CString(f.Name)
	defer C.free(unsafe.Pointer(module))
	defer C.free(unsafe.Pointer(name))
	var kinds [preview1.MaxParams]C.uint8_t
	for i, kind := range f.Params {
		kinds[i] = C.WASM_I32
		if kind == preview1.I64 {
			kinds[i] = C.WASM_I64
		}
	}
	return takeError(C.define_host_call(l.native, module, C.size_t(len(f.Module)), name, C.size_t(len(f.Name)),
		&kinds[0], C.size_t(len(f.Params)), C.bool(!f.NoResult), C.uintptr_t(index)))
}

// prepare resolves a module's imports once, for all its instances.
func (l *linker) prepare(m *wasmtimego.Module) (*prepared, error) {
	var p prepared
	err := takeError(C.wasmtime_linker_instantiate_pre(l.native, nativeModule(m), &p.native))
	goruntime.KeepAlive(m)
	if err != nil {
		return nil, err
	}
	return &p, nil
}

func (l *linker) close() { C.wasmtime_linker_delete(l.native) }

// prepared is a module with its imports. It keeps the module's code in memory.
type prepared struct {
	native *C.wasmtime_instance_pre_t
}

func (p *prepared) close() { C.wasmtime_instance_pre_delete(p.native) }

// nativeModule is the handle inside wasmtime-go's struct, which is its first field there.
func nativeModule(m *wasmtimego.Module) *C.wasmtime_module_t {
	return *(**C.wasmtime_module_t)(unsafe.Pointer(m))
}

// nativeEngine is the handle inside wasmtime-go's struct. It is the first field there.
func nativeEngine(e *wasmtimego.Engine) *C.wasm_engine_t {
	return *(**C.wasm_engine_t)(unsafe.Pointer(e))
}

// panicError ends a guest whose host call panicked.
type panicError struct {
	function string
	value    any
	stack    []byte
}

func (e *panicError) Error() string {
	return fmt.Sprintf("internal error in host call %s: %v", e.function, e.value)
}

// goHostCall runs the function with this index in the table for the guest of handle. It returns the
// function's result. For a call that ends the guest it returns a negative number, and the reason is
// in ended. The Go stack has no frames of the engine, so a panic ends here.
//
//export goHostCall
func goHostCall(handle C.uintptr_t, index C.uint32_t, memory *C.uint8_t, size C.size_t, args *C.uint64_t, nargs C.size_t) (result C.int32_t) {
	h := guestHandles.get(uintptr(handle))
	defer func() {
		if r := recover(); r != nil {
			h.ended = &panicError{function: hostCalls[index].Name, value: r, stack: debug.Stack()}
			result = -1
		}
	}()
	value, err := hostCalls[index].Call(h.ctx, h.wasi, unsafe.Slice((*byte)(memory), size), unsafe.Slice((*uint64)(args), nargs))
	if err != nil {
		h.ended = err
		return -1
	}
	return C.int32_t(value)
}
