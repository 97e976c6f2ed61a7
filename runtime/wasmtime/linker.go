package wasmtime

// #include <stdlib.h>
// #include "command.h"
import "C"

import (
	"fmt"
	"maps"
	goruntime "runtime"
	"runtime/debug"
	"slices"
	"sync"
	"unsafe"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/preview1"
)

// hostCalls is the table of functions, by the index that store.c uses.
var hostCalls = preview1.Functions()

// linker holds the host functions that modules get. A few names of functions have two meanings, of
// which a module has one, by its parameters. An engine's linker has one function for a name, so
// there is one for each choice that a module was seen to make.
type linker struct {
	engine *wasmtimego.Engine

	mu     sync.Mutex
	native map[choice]*C.wasmtime_linker_t
}

// choice has a bit for each function in the table that is imported by the name of another one.
type choice uint8

func newLinker(e *wasmtimego.Engine) (*linker, error) {
	l := &linker{engine: e, native: map[choice]*C.wasmtime_linker_t{}}
	_, err := l.of(0) // which most modules have
	return l, err
}

// of returns the engine's linker for a choice.
func (l *linker) of(c choice) (*C.wasmtime_linker_t, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if native := l.native[c]; native != nil {
		return native, nil
	}
	native := C.wasmtime_linker_new(nativeEngine(l.engine))
	goruntime.KeepAlive(l.engine)
	for _, i := range functionsFor(c) {
		if err := define(native, i, hostCalls[i]); err != nil {
			C.wasmtime_linker_delete(native)
			return nil, fmt.Errorf("defining %s.%s: %w", hostCalls[i].Module, hostCalls[i].Name, err)
		}
	}
	l.native[c] = native
	return native, nil
}

// functionsFor are the indices of the functions for a choice.
func functionsFor(c choice) []int {
	type imported struct{ module, name string }
	byImport, bit := map[imported]int{}, 0
	for i, f := range hostCalls {
		of := imported{f.Module, f.Import}
		if f.Name == f.Import {
			if _, other := byImport[of]; !other {
				byImport[of] = i
			}
			continue
		}
		if c&(1<<bit) != 0 {
			byImport[of] = i
		}
		bit++
	}
	return slices.Sorted(maps.Values(byImport))
}

// choiceOf is the choice of a module.
func choiceOf(m *wasmtimego.Module) (c choice) {
	params := map[string]int{}
	for _, i := range m.Imports() {
		if f := i.Type().FuncType(); f != nil && i.Name() != nil && i.Module() == preview1.Module {
			params[*i.Name()] = len(f.Params())
		}
	}
	bit := 0
	for _, f := range hostCalls {
		if f.Name == f.Import {
			continue
		}
		if n, imported := params[f.Import]; imported && n == len(f.Params) {
			c |= 1 << bit
		}
		bit++
	}
	return c
}

func define(native *C.wasmtime_linker_t, index int, f preview1.Function) error {
	module, name := C.CString(f.Module), C.CString(f.Import)
	defer C.free(unsafe.Pointer(module))
	defer C.free(unsafe.Pointer(name))
	var kinds [preview1.MaxParams]C.uint8_t
	for i, kind := range f.Params {
		kinds[i] = C.WASM_I32
		if kind == preview1.I64 {
			kinds[i] = C.WASM_I64
		}
	}
	return takeError(C.define_host_call(native, module, C.size_t(len(f.Module)), name, C.size_t(len(f.Import)),
		&kinds[0], C.size_t(len(f.Params)), C.bool(!f.NoResult), C.uintptr_t(index)))
}

// prepare resolves a module's imports once, for all its instances.
func (l *linker) prepare(m *wasmtimego.Module) (*prepared, error) {
	var p prepared
	native, err := l.of(choiceOf(m))
	if err != nil {
		return nil, err
	}
	err = takeError(C.wasmtime_linker_instantiate_pre(native, nativeModule(m), &p.native))
	goruntime.KeepAlive(m)
	if err != nil {
		return nil, err
	}
	return &p, nil
}

func (l *linker) close() {
	for _, native := range l.native {
		C.wasmtime_linker_delete(native)
	}
}

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
