// The C half of a command: what makes its instance, and how its code calls the host.

#include <stdlib.h>

#include "command.h"

// _cgo_export.h is not included, because its types need the preamble of the Go file. This is
// goHostCall's signature.
extern int32_t goHostCall(uintptr_t handle, uint32_t index, uint8_t *memory, size_t size, uint64_t *args, size_t nargs);

enum { MAX_PARAMS = 10 };

command_t *command_new(wasm_engine_t *engine, shared_t *g, uintptr_t handle, size_t functions, store_bounds_t bounds) {
	command_t *c = calloc(1, sizeof *c + functions * sizeof(uint64_t));
	if (c != NULL)
		store_open(&c->store, engine, g, handle, (_Atomic uint64_t *)(c + 1), bounds);
	return c;
}

void command_delete(command_t *c) {
	store_close(&c->store);
	free(c);
}

outcome_t command_instantiate(command_t *c, const wasmtime_instance_pre_t *pre, int64_t memories) {
	outcome_t out = {0};
	c->store.granted = memories;
	out.error = wasmtime_instance_pre_instantiate(pre, c->store.context, &c->instance, &out.trap);
	c->store.granted = 0;
	if (out.error != NULL || out.trap != NULL)
		return out;
	wasmtime_extern_t item;
	if (wasmtime_instance_export_get(c->store.context, &c->instance, "memory", 6, &item) && item.kind == WASMTIME_EXTERN_MEMORY) {
		c->memory = item.of.memory;
		c->has_memory = true;
	}
	return out;
}

static wasm_trap_t *host_call(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *vals, size_t n) {
	wasmtime_context_t *context = wasmtime_caller_context(caller);
	command_t *c = wasmtime_context_get_data(context);
	uint8_t *base = NULL;
	size_t size = 0;
	uint64_t args[MAX_PARAMS];
	uint32_t index = (uint32_t)(uintptr_t)env;

	store_count(&c->store, index);
	if (c->has_memory) {
		base = wasmtime_memory_data(context, &c->memory);
		size = wasmtime_memory_data_size(context, &c->memory);
	}
	if (n > MAX_PARAMS)
		n = MAX_PARAMS; // room for the result: a function without parameters that has one gets n = 1; never more than 10
	for (size_t i = 0; i < n; i++)
		args[i] = (uint64_t)vals[i].i64;
	int32_t result = goHostCall(c->store.handle, index, base, size, args, n);
	if (result < 0)
		return wasmtime_trap_new("ended by the host", 17);
	if (n > 0)
		vals[0].i64 = result;
	return NULL;
}

wasmtime_error_t *define_host_call(wasmtime_linker_t *linker, const char *module, size_t module_len, const char *name,
	size_t name_len, const uint8_t *params, size_t nparams, bool result, uintptr_t index) {
	uint8_t kinds[MAX_PARAMS + 1];
	for (size_t i = 0; i < nparams && i < MAX_PARAMS; i++)
		kinds[i] = params[i];
	kinds[nparams] = WASM_I32;
	wasm_functype_t *type = functype(kinds, nparams, result);
	wasmtime_error_t *err = wasmtime_linker_define_func_unchecked(linker, module, module_len, name, name_len, type, host_call,
		(void *)index, NULL);
	wasm_functype_delete(type);
	return err;
}
