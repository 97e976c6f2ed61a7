package wasmtime

// #include "store.h"
//
// enum {
//	THREADS, TAIL_CALL, REFERENCE_TYPES, FUNCTION_REFERENCES, GC, SIMD, RELAXED_SIMD, BULK_MEMORY, MULTI_VALUE, MULTI_MEMORY,
//	MEMORY64, STACK_SWITCHING, WIDE_ARITHMETIC, EXCEPTIONS, CUSTOM_PAGE_SIZES, SHARED_MEMORY, SWITCHES
// };
//
// static void switch_feature(wasm_config_t *c, int feature, bool on) {
//	void (*const set[SWITCHES])(wasm_config_t *, bool) = {
//		[THREADS] = wasmtime_config_wasm_threads_set,
//		[TAIL_CALL] = wasmtime_config_wasm_tail_call_set,
//		[REFERENCE_TYPES] = wasmtime_config_wasm_reference_types_set,
//		[FUNCTION_REFERENCES] = wasmtime_config_wasm_function_references_set,
//		[GC] = wasmtime_config_wasm_gc_set,
//		[SIMD] = wasmtime_config_wasm_simd_set,
//		[RELAXED_SIMD] = wasmtime_config_wasm_relaxed_simd_set,
//		[BULK_MEMORY] = wasmtime_config_wasm_bulk_memory_set,
//		[MULTI_VALUE] = wasmtime_config_wasm_multi_value_set,
//		[MULTI_MEMORY] = wasmtime_config_wasm_multi_memory_set,
//		[MEMORY64] = wasmtime_config_wasm_memory64_set,
//		[STACK_SWITCHING] = wasmtime_config_wasm_stack_switching_set,
//		[WIDE_ARITHMETIC] = wasmtime_config_wasm_wide_arithmetic_set,
//		[EXCEPTIONS] = wasmtime_config_wasm_exceptions_set,
//		[CUSTOM_PAGE_SIZES] = wasmtime_config_wasm_custom_page_sizes_set,
//	#ifdef ENGINE_OF_HACK
//		[SHARED_MEMORY] = wasmtime_config_shared_memory_set,
//	#endif
//	};
//	if (set[feature])
//		set[feature](c, on);
// }
//
// // Hints of branches change how code is laid out, and the bundled library does not know them.
// static void no_branch_hints(wasm_config_t *c) {
// #ifdef ENGINE_OF_HACK
//	wasmtime_config_wasm_branch_hinting_set(c, false);
// #else
//	(void)c;
// #endif
// }
import "C"

import (
	"errors"
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/translate"
)

// switches are the library's switches of proposals. Proposals that are part of WebAssembly's first
// versions have no switch. Those that hack/engine sets have no switch either (extended constants,
// legacy exceptions).
var switches = map[translate.Feature]C.int{
	translate.Threads:                 C.THREADS,
	translate.TailCalls:               C.TAIL_CALL,
	translate.ReferenceTypes:          C.REFERENCE_TYPES,
	translate.TypedFunctionReferences: C.FUNCTION_REFERENCES,
	translate.GC:                      C.GC,
	translate.SIMD:                    C.SIMD,
	translate.RelaxedSIMD:             C.RELAXED_SIMD,
	translate.BulkMemory:              C.BULK_MEMORY,
	translate.MultiValue:              C.MULTI_VALUE,
	translate.MultiMemory:             C.MULTI_MEMORY,
	translate.Memory64:                C.MEMORY64,
	translate.StackSwitching:          C.STACK_SWITCHING,
	translate.WideArithmetic:          C.WIDE_ARITHMETIC,
	translate.ExceptionHandling:       C.EXCEPTIONS,
	translate.CustomPageSizes:         C.CUSTOM_PAGE_SIZES,
	translate.SharedMemory:            C.SHARED_MEMORY,
}

// notBundled are the proposals that stay off with wasmtime-go's library. For the first three, it
// has open security advisories. It has atomic instructions only together with shared memories.
var notBundled = []translate.Feature{translate.ExceptionHandling, translate.TypedFunctionReferences, translate.GC, translate.Threads}

// features are the proposals that the linked library supports.
func features() translate.Features {
	if supported() {
		return translate.Finished
	}
	return translate.Finished.Without(notBundled...)
}

// setFeatures switches every proposal on or off.
func setFeatures(c *C.wasm_config_t) {
	on := features()
	for _, f := range translate.All() {
		if s, ok := switches[f]; ok {
			C.switch_feature(c, s, C.bool(on.Has(f)))
		}
	}
	C.no_branch_hints(c)
}

// featureKey identifies the set of proposals that are on.
func featureKey() string { return fmt.Sprintf("%x", features()) }

// explain adds to the error of a refused module which build would run it.
func explain(err error) error {
	var off *translate.FeatureError
	if !errors.As(err, &off) {
		return err
	}
	if off.Feature.Never() {
		return fmt.Errorf("%w; no build of this program has it", err)
	}
	return fmt.Errorf("%w: wasmtime %s; a build with `make engine` has it", err, Version)
}
