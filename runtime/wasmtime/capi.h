// The part of wasmtime's C API that this package uses, declared by hand. The library's headers are
// inside another Go module, at a path that is not known here. These declarations fit all versions
// that can be linked (settings.go); capi_test.go compares them with the headers.
#ifndef KRUSTLET_WASMTIME_CAPI_H
#define KRUSTLET_WASMTIME_CAPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// capi_test.go includes this file after wasmtime's headers, so that the compiler reports
// differences.
#ifndef WASMTIME_API_H

typedef struct wasm_config_t wasm_config_t;
typedef struct wasm_engine_t wasm_engine_t;
typedef struct wasm_trap_t wasm_trap_t;
typedef struct wasm_frame_t wasm_frame_t;
typedef struct wasm_valtype_t wasm_valtype_t;
typedef struct wasm_functype_t wasm_functype_t;
typedef struct wasmtime_store wasmtime_store_t;
typedef struct wasmtime_context wasmtime_context_t;
typedef struct wasmtime_module wasmtime_module_t;
typedef struct wasmtime_linker wasmtime_linker_t;
typedef struct wasmtime_instance_pre wasmtime_instance_pre_t;
typedef struct wasmtime_error wasmtime_error_t;
typedef struct wasmtime_caller wasmtime_caller_t;

typedef struct { size_t size; char *data; } wasm_byte_vec_t;
typedef struct { size_t size; wasm_frame_t **data; } wasm_frame_vec_t;
typedef struct { size_t size; wasm_valtype_t **data; } wasm_valtype_vec_t;

enum { WASM_I32 = 0, WASM_I64 = 1, WASM_F32 = 2, WASM_F64 = 3 };

typedef union {
	int32_t i32;
	int64_t i64;
	uint8_t v128[16];
	void *funcref;
} wasmtime_val_raw_t;

typedef struct { uint64_t store_id; void *private1; } wasmtime_func_t;
typedef struct { struct { uint64_t store_id; uint32_t private1; }; uint32_t private2; } wasmtime_memory_t;
typedef struct { struct { uint64_t store_id; uint32_t private1; }; uint32_t private2; } wasmtime_table_t;
typedef struct { uint64_t store_id; size_t private1; } wasmtime_instance_t;

typedef struct { uint64_t store_id; uint32_t private1, private2, private3; } wasmtime_global_t;

enum { WASMTIME_I32 = 0, WASMTIME_FUNCREF = 5 };
typedef struct {
	uint8_t kind;
	union {
		int32_t i32;
		wasmtime_func_t funcref;
		struct { uint64_t store_id; uint32_t private1, private2; void *private3; } reference; // the largest member
	} of;
} wasmtime_val_t;

enum { WASMTIME_EXTERN_FUNC = 0, WASMTIME_EXTERN_GLOBAL = 1, WASMTIME_EXTERN_TABLE = 2, WASMTIME_EXTERN_MEMORY = 3 };
typedef struct {
	uint8_t kind;
	union {
		wasmtime_func_t func;
		wasmtime_global_t global;
		wasmtime_table_t table;
		wasmtime_memory_t memory;
	} of;
} wasmtime_extern_t;

#endif // WASMTIME_API_H

#define SAME(what, value) _Static_assert((what) == (value), "as in the headers of wasmtime")
SAME(sizeof(wasm_byte_vec_t), 16);
SAME(offsetof(wasm_byte_vec_t, data), 8);
SAME(sizeof(wasm_frame_vec_t), 16);
SAME(offsetof(wasm_frame_vec_t, data), 8);
SAME(sizeof(wasm_valtype_vec_t), 16);
SAME(sizeof(wasmtime_val_raw_t), 16);
SAME(offsetof(wasmtime_val_raw_t, i64), 0);
SAME(sizeof(wasmtime_func_t), 16);
SAME(sizeof(wasmtime_instance_t), 16);
SAME(sizeof(wasmtime_memory_t), 24);
SAME(sizeof(wasmtime_table_t), 24);
SAME(sizeof(wasmtime_global_t), 24);
SAME(sizeof(wasmtime_val_t), 32);
SAME(offsetof(wasmtime_val_t, of), 8);
SAME(sizeof(wasmtime_extern_t), 32);
SAME(offsetof(wasmtime_extern_t, of), 8);
SAME(WASM_I32, 0);
SAME(WASM_I64, 1);
SAME(WASM_F32, 2);
SAME(WASM_F64, 3);
SAME(WASMTIME_FUNCREF, 5);
SAME(WASMTIME_EXTERN_FUNC, 0);
SAME(WASMTIME_EXTERN_TABLE, 2);
SAME(WASMTIME_EXTERN_MEMORY, 3);
#undef SAME

// Configurations. Some of these functions are missing in some versions of the library.
void wasmtime_config_wasm_threads_set(wasm_config_t *, bool);
void wasmtime_config_wasm_tail_call_set(wasm_config_t *, bool);
void wasmtime_config_wasm_reference_types_set(wasm_config_t *, bool);
void wasmtime_config_wasm_function_references_set(wasm_config_t *, bool);
void wasmtime_config_wasm_gc_set(wasm_config_t *, bool);
void wasmtime_config_wasm_simd_set(wasm_config_t *, bool);
void wasmtime_config_wasm_relaxed_simd_set(wasm_config_t *, bool);
void wasmtime_config_wasm_bulk_memory_set(wasm_config_t *, bool);
void wasmtime_config_wasm_multi_value_set(wasm_config_t *, bool);
void wasmtime_config_wasm_multi_memory_set(wasm_config_t *, bool);
void wasmtime_config_wasm_memory64_set(wasm_config_t *, bool);
void wasmtime_config_wasm_stack_switching_set(wasm_config_t *, bool);
void wasmtime_config_wasm_wide_arithmetic_set(wasm_config_t *, bool);
void wasmtime_config_wasm_exceptions_set(wasm_config_t *, bool);
void wasmtime_config_wasm_custom_page_sizes_set(wasm_config_t *, bool);

#ifdef ENGINE_OF_HACK
void wasmtime_config_wasm_branch_hinting_set(wasm_config_t *, bool);
void wasmtime_config_shared_memory_set(wasm_config_t *, bool);

// Functions that the library of hack/engine has in addition to wasmtime's C API.
const char *krustlet_engine_version(void);
void krustlet_config_prepare(wasm_config_t *);
typedef struct {
	uint32_t instances, memories, tables, module_memories, module_tables, warm;
	size_t elements, resident;
} krustlet_pool_t;
wasm_engine_t *krustlet_engine_pooled(wasm_config_t *, const krustlet_pool_t *);
void krustlet_store_limiter(wasmtime_store_t *, void *env, bool (*growing)(void *env, size_t current, size_t desired),
	void (*failed)(void *env), size_t elements, size_t instances, size_t tables, size_t memories);
#endif

// Types.
wasm_valtype_t *wasm_valtype_new(uint8_t kind);
wasm_functype_t *wasm_functype_new(wasm_valtype_vec_t *params, wasm_valtype_vec_t *results);
void wasm_functype_delete(wasm_functype_t *);
void wasm_valtype_vec_new(wasm_valtype_vec_t *out, size_t, wasm_valtype_t *const[]);
void wasm_valtype_vec_new_empty(wasm_valtype_vec_t *out);
void wasm_byte_vec_delete(wasm_byte_vec_t *);

// Errors and traps.
wasmtime_error_t *wasmtime_error_new(const char *);
void wasmtime_error_delete(wasmtime_error_t *);
void wasmtime_error_message(const wasmtime_error_t *, wasm_byte_vec_t *);
void wasmtime_error_wasm_trace(const wasmtime_error_t *, wasm_frame_vec_t *);
wasm_trap_t *wasmtime_trap_new(const char *, size_t);
bool wasmtime_trap_code(const wasm_trap_t *, uint8_t *);
void wasm_trap_delete(wasm_trap_t *);
void wasm_trap_message(const wasm_trap_t *, wasm_byte_vec_t *);
void wasm_trap_trace(const wasm_trap_t *, wasm_frame_vec_t *);
void wasm_frame_vec_delete(wasm_frame_vec_t *);
uint32_t wasm_frame_func_index(const wasm_frame_t *);
size_t wasm_frame_module_offset(const wasm_frame_t *);
const wasm_byte_vec_t *wasmtime_frame_module_name(const wasm_frame_t *);

// Stores.
wasmtime_store_t *wasmtime_store_new(wasm_engine_t *, void *data, void (*finalizer)(void *));
wasmtime_context_t *wasmtime_store_context(wasmtime_store_t *);
void wasmtime_store_limiter(wasmtime_store_t *, int64_t memory, int64_t elements, int64_t instances, int64_t tables, int64_t memories);
void wasmtime_store_delete(wasmtime_store_t *);
void *wasmtime_context_get_data(const wasmtime_context_t *);
void wasmtime_context_set_epoch_deadline(wasmtime_context_t *, uint64_t);
void wasmtime_store_epoch_deadline_callback(wasmtime_store_t *,
	wasmtime_error_t *(*func)(wasmtime_context_t *, void *data, uint64_t *delta, uint8_t *kind),
	void *data, void (*finalizer)(void *));
void wasmtime_engine_increment_epoch(wasm_engine_t *);

// Linking and calling.
typedef wasm_trap_t *(*wasmtime_func_unchecked_callback_t)(void *env, wasmtime_caller_t *, wasmtime_val_raw_t *, size_t);
wasmtime_linker_t *wasmtime_linker_new(wasm_engine_t *);
void wasmtime_linker_delete(wasmtime_linker_t *);
wasmtime_error_t *wasmtime_linker_define_func_unchecked(wasmtime_linker_t *, const char *module, size_t, const char *name, size_t,
	const wasm_functype_t *, wasmtime_func_unchecked_callback_t, void *env, void (*finalizer)(void *));
wasmtime_error_t *wasmtime_linker_instantiate_pre(const wasmtime_linker_t *, const wasmtime_module_t *, wasmtime_instance_pre_t **);
void wasmtime_instance_pre_delete(wasmtime_instance_pre_t *);
wasmtime_error_t *wasmtime_instance_pre_instantiate(const wasmtime_instance_pre_t *, wasmtime_context_t *, wasmtime_instance_t *, wasm_trap_t **);
wasmtime_error_t *wasmtime_instance_new(wasmtime_context_t *, const wasmtime_module_t *, const wasmtime_extern_t *imports, size_t,
	wasmtime_instance_t *, wasm_trap_t **);
bool wasmtime_instance_export_get(wasmtime_context_t *, const wasmtime_instance_t *, const char *, size_t, wasmtime_extern_t *);
wasmtime_context_t *wasmtime_caller_context(wasmtime_caller_t *);
bool wasmtime_caller_export_get(wasmtime_caller_t *, const char *, size_t, wasmtime_extern_t *);
void wasmtime_func_new_unchecked(wasmtime_context_t *, const wasm_functype_t *, wasmtime_func_unchecked_callback_t, void *env,
	void (*finalizer)(void *), wasmtime_func_t *out);
wasmtime_error_t *wasmtime_func_call(wasmtime_context_t *, const wasmtime_func_t *, const wasmtime_val_t *args, size_t,
	wasmtime_val_t *results, size_t, wasm_trap_t **);
wasmtime_error_t *wasmtime_func_call_unchecked(wasmtime_context_t *, const wasmtime_func_t *, wasmtime_val_raw_t *, size_t, wasm_trap_t **);
wasmtime_error_t *wasmtime_table_set(wasmtime_context_t *, const wasmtime_table_t *, uint64_t index, const wasmtime_val_t *);
uint8_t *wasmtime_memory_data(const wasmtime_context_t *, const wasmtime_memory_t *);
size_t wasmtime_memory_data_size(const wasmtime_context_t *, const wasmtime_memory_t *);

#endif
