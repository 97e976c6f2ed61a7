// The C half of a guest: see guest.c.
#ifndef KRUSTLET_WASMTIME_GUEST_H
#define KRUSTLET_WASMTIME_GUEST_H

#include <stdatomic.h>

#include "capi.h"

// guest_t is a guest's state in C. The thread that runs the guest owns it, but for kill.
typedef struct {
	uintptr_t handle; // of the Go half
	wasmtime_store_t *store;
	wasmtime_context_t *context;
	wasmtime_instance_t instance;
	wasmtime_memory_t memory; // valid once has_memory
	bool has_memory;
	_Atomic bool kill;
} guest_t;

// outcome_t is how an instantiation or a call ended: one of trap and error is set, or neither.
typedef struct {
	wasm_trap_t *trap;
	wasmtime_error_t *error;
} outcome_t;

guest_t *guest_new(wasm_engine_t *engine, uintptr_t handle, int64_t memory, int64_t elements);
void guest_delete(guest_t *g);
void guest_kill(guest_t *g);
outcome_t guest_instantiate(guest_t *g, const wasmtime_instance_pre_t *pre);
// guest_start calls _start. It returns false where the module has none.
bool guest_start(guest_t *g, outcome_t *out);
uint64_t guest_memory_size(guest_t *g);

// define_host_call defines function index of the table. params has a kind for each parameter.
wasmtime_error_t *define_host_call(wasmtime_linker_t *linker, const char *module, size_t module_len, const char *name,
	size_t name_len, const uint8_t *params, size_t nparams, bool result, uintptr_t index);

#endif
