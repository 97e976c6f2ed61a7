package wasmtime

// #include "store.h"
import "C"

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unsafe"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/message"
)

// maxFrames bounds the frames of a backtrace in a message. A stack overflow has thousands of
// frames.
const maxFrames = 24

// trapError is the error of a guest that ended because of a fault in its code.
type trapError struct {
	reason string
	frames []string
	hidden int // number of frames that are not shown
}

// Error returns the reason and the position in the module, with the innermost call first.
func (e *trapError) Error() string {
	var b strings.Builder
	b.WriteString(e.reason)
	if len(e.frames) > 0 {
		b.WriteString("\nwasm backtrace:")
	}
	for i, f := range e.frames {
		fmt.Fprintf(&b, "\n  %d: %s", i, f)
	}
	if e.hidden > 0 {
		fmt.Fprintf(&b, "\n  and %d more", e.hidden)
	}
	return message.Truncate(b.String())
}

// trapReasons are the meanings of the engine's codes, in the order of their numbers. All versions
// have the same codes.
var trapReasons = []string{
	"stack overflow",
	"memory access out of bounds",
	"misaligned atomic access",
	"table access out of bounds",
	"call of an uninitialised table element",
	"indirect call of a function of another type",
	"integer overflow",
	"integer divide by zero",
	"invalid conversion to integer",
	"unreachable instruction executed",
	"interrupted",
}

// laterReasons are those of hack/engine's library: wasmtime/trap.h of version 48.
var laterReasons = map[C.uint8_t]string{
	13: "null reference",
	14: "array access out of bounds",
	15: "allocation too large",
	16: "cast failure",
	49: "uncaught exception",
}

// heapExhausted is the beginning of the engine's error when a guest got no memory for an object.
const heapExhausted = "GC heap out of memory"

// endedByHeap reports whether a guest ended because it got no memory for an object.
func endedByHeap(err error) bool {
	var trap *trapError
	return errors.As(err, &trap) && strings.HasPrefix(trap.reason, heapExhausted)
}

// frameNames describes frames of a backtrace.
type frameNames interface {
	// frame describes a call of a function by its number, at an offset in the module as the engine
	// has it, or noOffset; name is the module's, as the engine knows it. "" leaves the frame out.
	frame(name string, function uint32, offset uint64) string
}

// frame implements frameNames. All frames are of this module.
func (m *module) frame(_ string, function uint32, offset uint64) string {
	if function >= m.info.Functions {
		return "" // a function that the translation has added
	}
	return fmt.Sprintf("%s (function %d%s)", m.functionName(function), function, m.place(offset))
}

func (m *module) functionName(function uint32) string {
	if name := m.info.Name(function); name != "" {
		return name
	}
	return "?"
}

// place returns ", at 0x…" for an offset that is known.
func (m *module) place(offset uint64) string {
	if offset == noOffset {
		return ""
	}
	return fmt.Sprintf(", at 0x%x", m.info.Original(offset))
}

// takeOutcome turns the result of running code into an error, and frees it.
func takeOutcome(out C.outcome_t, names frameNames) error {
	if out.trap != nil {
		defer C.wasm_trap_delete(out.trap)
		e := &trapError{reason: trapReason(out.trap)}
		var frames C.wasm_frame_vec_t
		C.wasm_trap_trace(out.trap, &frames)
		e.takeFrames(&frames, names)
		return e
	}
	if out.error == nil {
		return nil
	}
	var frames C.wasm_frame_vec_t
	C.wasmtime_error_wasm_trace(out.error, &frames)
	e := &trapError{}
	e.takeFrames(&frames, names)
	e.reason = takeCause(out.error)
	return e
}

// dropOutcome frees the result of running code.
func dropOutcome(out C.outcome_t) {
	if out.trap != nil {
		C.wasm_trap_delete(out.trap)
	}
	if out.error != nil {
		C.wasmtime_error_delete(out.error)
	}
}

func trapReason(t *C.wasm_trap_t) string {
	var code C.uint8_t
	if C.wasmtime_trap_code(t, &code) {
		if int(code) < len(trapReasons) {
			return trapReasons[code]
		}
		if reason, ok := laterReasons[code]; ok && supported() {
			return reason
		}
	}
	var text C.wasm_byte_vec_t
	C.wasm_trap_message(t, &text)
	return cause(takeTail(&text))
}

// noOffset is the engine's offset of a frame whose function has not started, because the stack has
// no room for it.
const noOffset = math.MaxUint64

// takeFrames describes the frames, innermost first, and frees them.
func (e *trapError) takeFrames(frames *C.wasm_frame_vec_t, names frameNames) {
	defer C.wasm_frame_vec_delete(frames)
	all := unsafe.Slice(frames.data, frames.size)
	for i, f := range all {
		if i == maxFrames {
			e.hidden = len(all) - i
			return
		}
		var name string
		if n := C.wasmtime_frame_module_name(f); n != nil {
			name = C.GoStringN(n.data, C.int(min(n.size, message.Max)))
		}
		if text := names.frame(name, uint32(C.wasm_frame_func_index(f)), uint64(C.wasm_frame_module_offset(f))); text != "" {
			e.frames = append(e.frames, text)
		}
	}
}

// takeError converts the engine's error to a Go error, and frees it.
func takeError(err *C.wasmtime_error_t) error {
	if err == nil {
		return nil
	}
	var text C.wasm_byte_vec_t
	C.wasmtime_error_message(err, &text)
	C.wasmtime_error_delete(err)
	return errors.New(takeBytes(&text))
}

// takeBytes copies the beginning of a text from the engine, up to the length of a message, and
// frees it.
func takeBytes(v *C.wasm_byte_vec_t) string {
	defer C.wasm_byte_vec_delete(v)
	return strings.TrimRight(C.GoStringN(v.data, C.int(min(v.size, message.Max))), "\x00")
}

// takeTail copies the end of a text from the engine, up to the length of a message, and frees it.
func takeTail(v *C.wasm_byte_vec_t) string {
	defer C.wasm_byte_vec_delete(v)
	all := unsafe.Slice((*byte)(unsafe.Pointer(v.data)), v.size)
	return strings.TrimRight(string(all[max(len(all)-message.Max, 0):]), "\x00")
}

// takeCause returns the text after the backtrace in an error of running code. The backtrace may
// have thousands of lines. takeCause frees the error.
func takeCause(err *C.wasmtime_error_t) string {
	var text C.wasm_byte_vec_t
	C.wasmtime_error_message(err, &text)
	C.wasmtime_error_delete(err)
	return cause(takeTail(&text))
}

// cause returns the last line of an error's text, because the engine gives the cause last. It omits
// a number at the beginning of the cause.
func cause(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	line := strings.TrimSpace(lines[len(lines)-1])
	number, rest, ok := strings.Cut(line, ": ")
	if _, err := strconv.Atoi(number); ok && err == nil {
		line = rest
	}
	return strings.TrimPrefix(line, "wasm trap: ")
}
