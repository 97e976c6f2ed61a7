// The C half of a command in a core module: one store, with one instance.
#ifndef KRUSTLET_WASMTIME_COMMAND_H
#define KRUSTLET_WASMTIME_COMMAND_H

#include "store.h"

typedef struct {
	store_t store;
	wasmtime_instance_t instance;
	wasmtime_memory_t memory; // valid if has_memory
	bool has_memory;
} command_t;

// command_new makes a store without an instance. functions is the length of the table of host
// functions.
command_t *command_new(wasm_engine_t *engine, shared_t *g, uintptr_t handle, size_t functions, store_bounds_t bounds);
void command_delete(command_t *c);
// command_instantiate makes the instance, whose memories have that many bytes. No code of the
// module runs.
outcome_t command_instantiate(command_t *c, const wasmtime_instance_pre_t *pre, int64_t memories);

// define_host_call defines the function with this index in the table. params has a kind for each
// parameter.
wasmtime_error_t *define_host_call(wasmtime_linker_t *linker, const char *module, size_t module_len, const char *name,
	size_t name_len, const uint8_t *params, size_t nparams, bool result, uintptr_t index);

#endif
