// The C part of a store. Frequent operations stay in C: the check of the kill switch at every epoch
// never enters Go, and a host call enters Go once.

#define _GNU_SOURCE // RUSAGE_THREAD

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "store.h"

// _cgo_export.h is not included, because its types need the preamble of the Go file. This is
// goHostCall's signature.
extern int32_t goHostCall(uintptr_t handle, uint32_t index, uint8_t *memory, size_t size, uint64_t *args, size_t nargs);

extern void goEpoch(uintptr_t handle, int64_t cpu, bool busy);

enum { MAX_PARAMS = 9 };

// A guest counts as computing without a pause in two cases: it has used BUSY_NS since the last
// epoch, or it has used BUSY_ALONE_NS and its thread has not waited. The second case is for a busy
// machine, where no guest reaches BUSY_NS.
enum { BUSY_NS = 5000000, BUSY_ALONE_NS = 1000000 };

static int64_t clock_ns(clockid_t clock) {
	struct timespec t;
	return clock_gettime(clock, &t) == 0 ? t.tv_sec * INT64_C(1000000000) + t.tv_nsec : 0;
}

static long waited(void) {
	struct rusage u;
	return getrusage(RUSAGE_THREAD, &u) == 0 ? u.ru_nvcsw : 0;
}

// count is a plain addition, because only this thread writes, and a reader never sees a
// half-written number.
static void count(store_t *s, uint32_t index) {
	uint64_t n = atomic_load_explicit(&s->calls[index], memory_order_relaxed);
	atomic_store_explicit(&s->calls[index], n + 1, memory_order_relaxed);
}

// functype makes the type of a function with these parameters, and with an i32 as its result if
// result is set.
static wasm_functype_t *functype(const uint8_t *params, size_t nparams, bool result) {
	wasm_valtype_t *types[MAX_PARAMS];
	wasm_valtype_vec_t in, out;
	for (size_t i = 0; i < nparams && i < MAX_PARAMS; i++)
		types[i] = wasm_valtype_new(params[i]);
	wasm_valtype_vec_new(&in, nparams, types);
	if (result) {
		wasm_valtype_t *i32 = wasm_valtype_new(WASM_I32);
		wasm_valtype_vec_new(&out, 1, &i32);
	} else {
		wasm_valtype_vec_new_empty(&out);
	}
	return wasm_functype_new(&in, &out);
}

void prepare_heap(void) {
#ifdef __GLIBC__
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
	mallopt(M_TRIM_THRESHOLD, 128 << 10);
#endif
}

account_t *account_new(int64_t limit, int64_t free) {
	account_t *a = calloc(1, sizeof *a);
	if (a != NULL) {
		atomic_init(&a->limit, limit);
		atomic_init(&a->free, free);
	}
	return a;
}

void account_delete(account_t *a) { free(a); }

void account_resize(account_t *a, int64_t limit) { atomic_store_explicit(&a->limit, limit, memory_order_relaxed); }

int64_t account_used(account_t *a) { return atomic_load_explicit(&a->used, memory_order_relaxed); }

bool account_take(account_t *a, int64_t bytes) {
	int64_t used = atomic_load_explicit(&a->used, memory_order_relaxed);
	do {
		if (bytes > 0 && bytes > atomic_load_explicit(&a->limit, memory_order_relaxed) - used)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&a->used, &used, used + bytes, memory_order_relaxed, memory_order_relaxed));
	return true;
}

void account_give(account_t *a, int64_t bytes) { atomic_fetch_sub_explicit(&a->used, bytes, memory_order_relaxed); }

int64_t account_beside(account_t *a, int64_t bytes) {
	int64_t left = atomic_load_explicit(&a->free, memory_order_relaxed), taken;
	do {
		taken = bytes < left ? bytes : left;
	} while (!atomic_compare_exchange_weak_explicit(&a->free, &left, left - taken, memory_order_relaxed, memory_order_relaxed));
	return taken;
}

// add is a plain addition, because only the guest's thread writes, and a reader never sees a
// half-written number.
static void add(_Atomic int64_t *n, int64_t bytes) {
	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + bytes, memory_order_relaxed);
}

// Numbers of things that grow (package translate): a memory's number, or a table's number with
// OF_TABLE. GIVEN_BACK means that the growth failed although it was granted.
enum { OF_TABLE = 1 << 16 };
static const uint32_t GIVEN_BACK = UINT32_C(1) << 31;

// growth answers a guest before it grows something. vals has the thing and the size of the growth;
// the result is 1 or 0.
static wasm_trap_t *growth(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *vals, size_t n) {
	store_t *s = env;
	uint32_t what = (uint32_t)vals[0].i32;
	bool table = what & OF_TABLE;
	int64_t bytes = (int64_t)(uint32_t)vals[1].i32 * (table ? TABLE_ELEMENT : WASM_PAGE);
	_Atomic int64_t *part = table ? &s->tables : &s->memories;
	(void)caller, (void)n;

	if (what & GIVEN_BACK) {
		account_give(s->account, bytes);
		add(part, -bytes);
		s->granted = 0;
		vals[0].i64 = 1;
		return NULL;
	}
	bool granted = account_take(s->account, bytes);
	s->refused = granted ? 0 : bytes;
	if (granted) {
		add(part, bytes);
		s->granted = table ? 0 : bytes;
	}
	vals[0].i64 = granted;
	return NULL;
}

#ifdef ENGINE_OF_HACK
// memory_growing answers the store for each memory that grows. Linear memories were already
// granted. Memory that was not granted is for the garbage collector's heap.
static bool memory_growing(void *env, size_t current, size_t desired) {
	store_t *s = env;
	int64_t bytes = (int64_t)(desired - current);
	if (desired <= current)
		return true;
	if (bytes <= s->granted) {
		s->granted -= bytes;
		return true;
	}
	s->heap_full = atomic_load_explicit(&s->heap, memory_order_relaxed) + bytes > HEAP_MAX;
	bool granted = !s->heap_full && account_take(s->account, bytes);
	s->heap_refused = granted ? 0 : bytes;
	if (granted)
		add(&s->heap, bytes);
	return granted;
}

// memory_failed is called when a memory could not grow although it was granted. For a linear
// memory, the guest's own code gives the grant back. For a heap the requested size is not known, so
// the grant still counts: the count is then too high, but never too low.
static void memory_failed(void *env) { ((store_t *)env)->granted = 0; }
#endif

static wasmtime_error_t *at_epoch(wasmtime_context_t *context, void *data, uint64_t *delta, uint8_t *kind) {
	store_t *s = data;
	(void)context;
	if (!atomic_load_explicit(&s->kill, memory_order_relaxed)) {
		int64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID), used = cpu - s->looked;
		bool busy = used >= BUSY_NS || (used >= BUSY_ALONE_NS && waited() == s->switches);
		if (busy || atomic_load_explicit(&s->limited, memory_order_relaxed))
			goEpoch(s->handle, cpu, busy);
		s->looked = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		s->switches = waited();
	}
	if (atomic_load_explicit(&s->kill, memory_order_relaxed))
		return wasmtime_error_new("killed");
	*delta = 1;
	*kind = 0; // continue
	return NULL;
}

store_t *store_new(wasm_engine_t *engine, uintptr_t handle, size_t functions, account_t *account, store_bounds_t bounds, bool limited) {
	store_t *s = calloc(1, sizeof *s + functions * sizeof s->calls[0]);
	if (s == NULL)
		return NULL;
	s->handle = handle;
	s->account = account;
	atomic_init(&s->limited, limited);
	if (pthread_getcpuclockid(pthread_self(), &s->clock) != 0)
		s->clock = CLOCK_THREAD_CPUTIME_ID;
	s->thread = (pid_t)syscall(SYS_gettid);
	s->looked = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	s->switches = waited();
	s->native = wasmtime_store_new(engine, s, NULL);
	s->context = wasmtime_store_context(s->native);
#ifdef ENGINE_OF_HACK
	krustlet_store_limiter(s->native, s, memory_growing, memory_failed, bounds.elements, bounds.tables, bounds.memories);
#else
	wasmtime_store_limiter(s->native, -1, (int64_t)bounds.elements, 1, (int64_t)bounds.tables, (int64_t)bounds.memories);
#endif
	wasmtime_store_epoch_deadline_callback(s->native, at_epoch, s, NULL);
	wasmtime_context_set_epoch_deadline(s->context, 1);
	return s;
}

void store_delete(store_t *s) {
	wasmtime_store_delete(s->native);
	account_give(s->account, store_memory(s));
	atomic_fetch_add_explicit(&s->account->free, s->free, memory_order_relaxed);
	free(s);
}

int64_t store_cpu(const store_t *s) { return clock_ns(s->clock); }

int64_t store_memory(store_t *s) {
	return atomic_load_explicit(&s->memories, memory_order_relaxed) + atomic_load_explicit(&s->tables, memory_order_relaxed) +
		atomic_load_explicit(&s->heap, memory_order_relaxed) + atomic_load_explicit(&s->beside, memory_order_relaxed);
}

void store_calls(const store_t *s, uint64_t *sums, size_t functions) {
	for (size_t i = 0; i < functions; i++)
		sums[i] += atomic_load_explicit(&s->calls[i], memory_order_relaxed);
}

void store_limit(store_t *s, bool limited) { atomic_store_explicit(&s->limited, limited, memory_order_relaxed); }

void store_kill(store_t *s) { atomic_store_explicit(&s->kill, true, memory_order_relaxed); }

bool store_take(store_t *s, int64_t memories, int64_t tables, int64_t beside) {
	s->free = account_beside(s->account, beside);
	if (!account_take(s->account, memories + tables + beside - s->free))
		return false; // store_delete gives back what was taken from the free part
	add(&s->memories, memories);
	add(&s->tables, tables);
	add(&s->beside, beside - s->free);
	s->granted = memories;
	return true;
}

outcome_t store_instantiate(store_t *s, const wasmtime_instance_pre_t *pre) {
	outcome_t out = {0};
	out.error = wasmtime_instance_pre_instantiate(pre, s->context, &s->instance, &out.trap);
	s->granted = 0;
	if (out.error != NULL || out.trap != NULL)
		return out;
	s->has_instance = true;
	wasmtime_extern_t item;
	if (wasmtime_instance_export_get(s->context, &s->instance, "memory", 6, &item) && item.kind == WASMTIME_EXTERN_MEMORY) {
		s->memory = item.of.memory;
		s->has_memory = true;
	}
	return out;
}

bool store_answer_growth(store_t *s, const char *name, size_t len) {
	wasmtime_extern_t item;
	if (!wasmtime_instance_export_get(s->context, &s->instance, name, len, &item) || item.kind != WASMTIME_EXTERN_TABLE)
		return false;
	wasm_functype_t *type = functype((uint8_t[]){WASM_I32, WASM_I32}, 2, true);
	wasmtime_val_t value = {.kind = WASMTIME_FUNCREF};
	wasmtime_func_new_unchecked(s->context, type, growth, s, NULL, &value.of.funcref);
	wasm_functype_delete(type);
	wasmtime_error_t *err = wasmtime_table_set(s->context, &item.of.table, 0, &value);
	if (err != NULL)
		wasmtime_error_delete(err);
	return err == NULL;
}

bool store_call(store_t *s, const char *name, size_t len, outcome_t *out) {
	wasmtime_extern_t item;
	*out = (outcome_t){0};
	if (!wasmtime_instance_export_get(s->context, &s->instance, name, len, &item) || item.kind != WASMTIME_EXTERN_FUNC)
		return false;
	out->error = wasmtime_func_call(s->context, &item.of.func, NULL, 0, NULL, 0, &out->trap);
	return true;
}

static wasm_trap_t *host_call(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *vals, size_t n) {
	wasmtime_context_t *context = wasmtime_caller_context(caller);
	store_t *s = wasmtime_context_get_data(context);
	uint8_t *base = NULL;
	size_t size = 0;
	uint64_t args[MAX_PARAMS];
	uint32_t index = (uint32_t)(uintptr_t)env;

	count(s, index);
	if (s->has_memory) {
		base = wasmtime_memory_data(context, &s->memory);
		size = wasmtime_memory_data_size(context, &s->memory);
	}
	if (n > MAX_PARAMS)
		n = MAX_PARAMS; // room for the result: a function without parameters that has one gets n = 1; never more than 9
	for (size_t i = 0; i < n; i++)
		args[i] = (uint64_t)vals[i].i64;
	int32_t result = goHostCall(s->handle, index, base, size, args, n);
	if (result < 0)
		return wasmtime_trap_new("ended by the host", 17);
	if (n > 0)
		vals[0].i64 = result;
	return NULL;
}

wasmtime_error_t *define_host_call(wasmtime_linker_t *linker, const char *module, size_t module_len, const char *name,
	size_t name_len, const uint8_t *params, size_t nparams, bool result, uintptr_t index) {
	wasm_functype_t *type = functype(params, nparams, result);
	wasmtime_error_t *err = wasmtime_linker_define_func_unchecked(linker, module, module_len, name, name_len, type, host_call,
		(void *)index, NULL);
	wasm_functype_delete(type);
	return err;
}
