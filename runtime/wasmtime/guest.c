// The C half of a guest. What runs often stays on this side: the look at the kill switch that every epoch
// costs never enters Go, and a host call enters it once.

#define _GNU_SOURCE // RUSAGE_THREAD

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

// Not _cgo_export.h, whose types would need the Go file's preamble: this is goHostCall's signature.
extern int32_t goHostCall(uintptr_t handle, uint32_t index, uint8_t *memory, size_t size, uint64_t *args, size_t nargs);

extern void goEpoch(uintptr_t handle, int64_t cpu, bool busy);

enum { MAX_PARAMS = 9 };

// A guest counts as one that computes without a pause when it has used BUSY_NS since the last epoch, or BUSY_ALONE_NS
// without its thread ever having waited: where many compete, none gets the former.
enum { BUSY_NS = 5000000, BUSY_ALONE_NS = 1000000 };

static int64_t clock_ns(clockid_t clock) {
	struct timespec t;
	return clock_gettime(clock, &t) == 0 ? t.tv_sec * INT64_C(1000000000) + t.tv_nsec : 0;
}

static long waited(void) {
	struct rusage u;
	return getrusage(RUSAGE_THREAD, &u) == 0 ? u.ru_nvcsw : 0;
}

static void sample(guest_t *g, size_t size) { atomic_store_explicit(&g->size, size, memory_order_relaxed); }

// count is a plain addition: nobody else writes, and nobody reads half a number.
static void count(guest_t *g, uint32_t index) {
	uint64_t n = atomic_load_explicit(&g->calls[index], memory_order_relaxed);
	atomic_store_explicit(&g->calls[index], n + 1, memory_order_relaxed);
}

static void sample_memory(guest_t *g) {
	if (g->has_memory)
		sample(g, wasmtime_memory_data_size(g->context, &g->memory));
}

// sample_tables is not for each host call: tables hardly ever grow, and a look at each costs as much as half a call.
static void sample_tables(guest_t *g) {
	uint64_t elements = 0;
	for (int i = 0; i < g->has_tables; i++)
		elements += wasmtime_table_size(g->context, &g->tables[i]);
	atomic_store_explicit(&g->table_size, elements * TABLE_ELEMENT, memory_order_relaxed);
}

// bound_memory gives the store the limit of the guest's memory, on the guest's thread. A store can be told of one at any
// time: it looks at its limits whenever memory is to grow.
static void bound_memory(guest_t *g) {
	int64_t limit = atomic_load_explicit(&g->limit, memory_order_relaxed);
	if (limit != g->bound)
		wasmtime_store_limiter(g->store, limit, g->elements, 1, MAX_TABLES, 1);
	g->bound = limit;
}

static wasmtime_error_t *at_epoch(wasmtime_context_t *context, void *data, uint64_t *delta, uint8_t *kind) {
	guest_t *g = data;
	(void)context;
	sample_memory(g);
	sample_tables(g);
	bound_memory(g);
	if (!atomic_load_explicit(&g->kill, memory_order_relaxed)) {
		int64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID), used = cpu - g->looked;
		bool busy = used >= BUSY_NS || (used >= BUSY_ALONE_NS && waited() == g->switches);
		if (busy || atomic_load_explicit(&g->limited, memory_order_relaxed))
			goEpoch(g->handle, cpu, busy);
		g->looked = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		g->switches = waited();
	}
	if (atomic_load_explicit(&g->kill, memory_order_relaxed))
		return wasmtime_error_new("killed");
	*delta = 1;
	*kind = 0; // continue
	return NULL;
}

guest_t *guest_new(wasm_engine_t *engine, uintptr_t handle, size_t functions, int64_t memory, int64_t elements, bool limited) {
	guest_t *g = calloc(1, sizeof *g + functions * sizeof g->calls[0]);
	if (g == NULL)
		return NULL;
	g->handle = handle;
	atomic_init(&g->limited, limited);
	atomic_init(&g->limit, memory);
	g->bound = memory;
	g->elements = elements;
	if (pthread_getcpuclockid(pthread_self(), &g->clock) != 0)
		g->clock = CLOCK_THREAD_CPUTIME_ID;
	g->thread = (pid_t)syscall(SYS_gettid);
	g->looked = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	g->switches = waited();
	g->store = wasmtime_store_new(engine, g, NULL);
	g->context = wasmtime_store_context(g->store);
	wasmtime_store_limiter(g->store, memory, elements, 1, MAX_TABLES, 1);
	wasmtime_store_epoch_deadline_callback(g->store, at_epoch, g, NULL);
	wasmtime_context_set_epoch_deadline(g->context, 1);
	return g;
}

void guest_delete(guest_t *g) {
	wasmtime_store_delete(g->store);
	free(g);
}

int64_t guest_refused(guest_t *g, const char *name, size_t len) {
	wasmtime_extern_t item;
	wasmtime_val_t value;
	if (!g->has_instance || !wasmtime_instance_export_get(g->context, &g->instance, name, len, &item) || item.kind != WASMTIME_EXTERN_GLOBAL)
		return -1;
	wasmtime_global_get(g->context, &item.of.global, &value);
	return value.kind == WASMTIME_I32 ? (int64_t)(uint32_t)value.of.i32 : -1;
}

int64_t guest_cpu(const guest_t *g) { return clock_ns(g->clock); }

uint64_t guest_size(guest_t *g) { return atomic_load_explicit(&g->size, memory_order_relaxed); }

uint64_t guest_table_size(guest_t *g) { return atomic_load_explicit(&g->table_size, memory_order_relaxed); }

bool guest_watch_table(guest_t *g, const char *name, size_t len) {
	wasmtime_extern_t item;
	if (g->has_tables == MAX_TABLES || !wasmtime_instance_export_get(g->context, &g->instance, name, len, &item) || item.kind != WASMTIME_EXTERN_TABLE)
		return false;
	g->tables[g->has_tables++] = item.of.table;
	sample_tables(g);
	return true;
}

void guest_calls(const guest_t *g, uint64_t *sums, size_t functions) {
	for (size_t i = 0; i < functions; i++)
		sums[i] += atomic_load_explicit(&g->calls[i], memory_order_relaxed);
}

void guest_resize(guest_t *g, int64_t memory, bool limited) {
	atomic_store_explicit(&g->limit, memory, memory_order_relaxed);
	atomic_store_explicit(&g->limited, limited, memory_order_relaxed);
}

void guest_kill(guest_t *g) { atomic_store_explicit(&g->kill, true, memory_order_relaxed); }

outcome_t guest_instantiate(guest_t *g, const wasmtime_instance_pre_t *pre) {
	outcome_t out = {0};
	out.error = wasmtime_instance_pre_instantiate(pre, g->context, &g->instance, &out.trap);
	if (out.error != NULL || out.trap != NULL)
		return out;
	g->has_instance = true;
	wasmtime_extern_t item;
	if (wasmtime_instance_export_get(g->context, &g->instance, "memory", 6, &item) && item.kind == WASMTIME_EXTERN_MEMORY) {
		g->memory = item.of.memory;
		g->has_memory = true;
		sample_memory(g);
	}
	return out;
}

bool guest_start(guest_t *g, outcome_t *out) {
	wasmtime_extern_t item;
	*out = (outcome_t){0};
	if (!wasmtime_instance_export_get(g->context, &g->instance, "_start", 6, &item) || item.kind != WASMTIME_EXTERN_FUNC)
		return false;
	out->error = wasmtime_func_call(g->context, &item.of.func, NULL, 0, NULL, 0, &out->trap);
	sample_memory(g);
	sample_tables(g);
	return true;
}

static wasm_trap_t *host_call(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *vals, size_t n) {
	wasmtime_context_t *context = wasmtime_caller_context(caller);
	guest_t *g = wasmtime_context_get_data(context);
	uint8_t *base = NULL;
	size_t size = 0;
	uint64_t args[MAX_PARAMS];
	uint32_t index = (uint32_t)(uintptr_t)env;

	count(g, index);
	if (g->has_memory) {
		base = wasmtime_memory_data(context, &g->memory);
		size = wasmtime_memory_data_size(context, &g->memory);
	} else { // a start section calls before the instance is there to be asked
		wasmtime_extern_t item;
		if (wasmtime_caller_export_get(caller, "memory", 6, &item) && item.kind == WASMTIME_EXTERN_MEMORY) {
			base = wasmtime_memory_data(context, &item.of.memory);
			size = wasmtime_memory_data_size(context, &item.of.memory);
		}
	}
	sample(g, size);
	if (n > MAX_PARAMS)
		n = MAX_PARAMS; // room for a result that a function without parameters has makes n 1; never more than 9
	for (size_t i = 0; i < n; i++)
		args[i] = (uint64_t)vals[i].i64;
	int32_t result = goHostCall(g->handle, index, base, size, args, n);
	bound_memory(g);
	if (result < 0)
		return wasmtime_trap_new("ended by the host", 17);
	if (n > 0)
		vals[0].i64 = result;
	return NULL;
}

wasmtime_error_t *define_host_call(wasmtime_linker_t *linker, const char *module, size_t module_len, const char *name,
	size_t name_len, const uint8_t *params, size_t nparams, bool result, uintptr_t index) {
	wasm_valtype_t *types[MAX_PARAMS];
	wasm_valtype_vec_t in, out;
	for (size_t i = 0; i < nparams && i < MAX_PARAMS; i++)
		types[i] = wasm_valtype_new(params[i]);
	wasm_valtype_vec_new(&in, nparams, types);
	if (result) {
		wasm_valtype_t *i32 = wasm_valtype_new(WASM_KIND_I32);
		wasm_valtype_vec_new(&out, 1, &i32);
	} else {
		wasm_valtype_vec_new_empty(&out);
	}
	wasm_functype_t *type = wasm_functype_new(&in, &out);
	wasmtime_error_t *err = wasmtime_linker_define_func_unchecked(linker, module, module_len, name, name_len, type, host_call,
		(void *)index, NULL);
	wasm_functype_delete(type);
	return err;
}
