// What all stores have. What runs often stays on this side: the look at the kill switch at every
// epoch never enters Go, and a host call enters it once.

#define _GNU_SOURCE // RUSAGE_THREAD, pthread_getattr_np

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "store.h"

// _cgo_export.h is not included, since its types need the preamble of the Go file. This is goEpoch's
// signature.
extern void goEpoch(uintptr_t handle, int32_t thread, int64_t cpu, bool busy);

// here is the calling thread, while it is a guest's.
static _Thread_local thread_t *here;

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

void store_count(store_t *s, uint32_t function) {
	// A plain addition: one thread at a time writes, and no reader sees half a number.
	uint64_t n = atomic_load_explicit(&s->calls[function], memory_order_relaxed);
	atomic_store_explicit(&s->calls[function], n + 1, memory_order_relaxed);
}

// valtypes makes the types of kinds.
static void valtypes(wasm_valtype_vec_t *out, const uint8_t *kinds, size_t n) {
	enum { MOST = 32 }; // far more than any host function has
	wasm_valtype_t *types[MOST];
	if (n > MOST)
		n = MOST;
	for (size_t i = 0; i < n; i++)
		types[i] = wasm_valtype_new(kinds[i]);
	wasm_valtype_vec_new(out, n, types);
}

wasm_functype_t *functype(const uint8_t *kinds, size_t nparams, size_t nresults) {
	wasm_valtype_vec_t in, out;
	valtypes(&in, kinds, nparams);
	valtypes(&out, kinds + nparams, nresults);
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

static void add(_Atomic int64_t *n, int64_t bytes) { atomic_fetch_add_explicit(n, bytes, memory_order_relaxed); }

static void set(_Atomic int64_t *n, int64_t bytes) { atomic_store_explicit(n, bytes, memory_order_relaxed); }

// Numbers of things that grow (package translate): a memory's number, or a table's number with
// OF_TABLE. GIVEN_BACK means that the growth failed although it was granted.
enum { OF_TABLE = 1 << 16 };
static const uint32_t GIVEN_BACK = UINT32_C(1) << 31;

// growth answers a guest before it grows something. vals has the thing and the size of the growth;
// the result is 1 or 0.
static wasm_trap_t *growth(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *vals, size_t n) {
	store_t *s = env;
	shared_t *g = s->shared;
	uint32_t what = (uint32_t)vals[0].i32;
	bool table = what & OF_TABLE;
	int64_t bytes = (int64_t)(uint32_t)vals[1].i32 * (table ? TABLE_ELEMENT : WASM_PAGE);
	_Atomic int64_t *part = table ? &g->tables : &g->memories;
	(void)caller, (void)n;

	if (what & GIVEN_BACK) {
		account_give(g->account, bytes);
		add(part, -bytes);
		s->granted = 0;
		vals[0].i64 = 1;
		return NULL;
	}
	bool granted = account_take(g->account, bytes);
	set(&g->refused, granted ? 0 : bytes);
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
	shared_t *g = s->shared;
	int64_t bytes = (int64_t)(desired - current);
	if (desired <= current)
		return true;
	if (bytes <= s->granted) {
		s->granted -= bytes;
		return true;
	}
	bool full = atomic_load_explicit(&g->heap, memory_order_relaxed) + bytes > HEAP_MAX;
	bool granted = !full && account_take(g->account, bytes);
	atomic_store_explicit(&g->heap_full, full, memory_order_relaxed);
	set(&g->heap_refused, granted ? 0 : bytes);
	if (granted)
		add(&g->heap, bytes);
	return granted;
}

// memory_failed is called when a memory could not grow although it was granted. For a linear
// memory, the guest's own code gives the grant back. For a heap the requested size is not known, so
// the grant still counts: the count is then too high, but never too low.
static void memory_failed(void *env) { ((store_t *)env)->granted = 0; }
#endif

bool shared_killed(shared_t *g) { return atomic_load_explicit(&g->kill, memory_order_relaxed); }

static wasmtime_error_t *at_epoch(wasmtime_context_t *context, void *data, uint64_t *delta, uint8_t *kind) {
	shared_t *g = ((store_t *)data)->shared;
	thread_t *t = here;
	(void)context;
	if (t != NULL && !shared_killed(g)) {
		int64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID), used = cpu - t->looked;
		bool busy = used >= BUSY_NS || (used >= BUSY_ALONE_NS && waited() == t->switches);
		if (busy || atomic_load_explicit(&g->limited, memory_order_relaxed))
			goEpoch(g->handle, t->number, cpu, busy);
		t->looked = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		t->switches = waited();
	}
	if (shared_killed(g))
		return wasmtime_error_new("killed");
	*delta = 1;
	*kind = 0; // continue
	return NULL;
}

shared_t *shared_new(uintptr_t handle, account_t *account, bool limited) {
	shared_t *g = calloc(1, sizeof *g);
	if (g == NULL)
		return NULL;
	g->handle = handle;
	g->account = account;
	atomic_init(&g->limited, limited);
	return g;
}

void shared_delete(shared_t *g) {
	account_give(g->account, shared_memory(g));
	atomic_fetch_add_explicit(&g->account->free, g->free, memory_order_relaxed);
	free(g);
}

int64_t shared_memory(shared_t *g) {
	return atomic_load_explicit(&g->memories, memory_order_relaxed) + atomic_load_explicit(&g->tables, memory_order_relaxed) +
		atomic_load_explicit(&g->heap, memory_order_relaxed) + atomic_load_explicit(&g->beside, memory_order_relaxed);
}

void shared_limit(shared_t *g, bool limited) { atomic_store_explicit(&g->limited, limited, memory_order_relaxed); }

void shared_kill(shared_t *g) { atomic_store_explicit(&g->kill, true, memory_order_relaxed); }

bool shared_take(shared_t *g, int64_t memories, int64_t tables, int64_t beside) {
	g->free = account_beside(g->account, beside);
	if (!account_take(g->account, memories + tables + beside - g->free))
		return false; // shared_delete gives back what was taken from what is free
	add(&g->memories, memories);
	add(&g->tables, tables);
	add(&g->beside, beside - g->free);
	return true;
}

// lowest returns the lowest address of the calling thread's stack, 0 if it is not known. For the
// process's first thread, the C library reads all of /proc/self/maps, which has some lines for each
// guest. So a thread keeps it.
static uintptr_t lowest(void) {
	static _Thread_local void *at;
	pthread_attr_t attr;
	size_t size;
	if (at != NULL || pthread_getattr_np(pthread_self(), &attr) != 0)
		return (uintptr_t)at;
	if (pthread_attr_getstack(&attr, &at, &size) != 0)
		at = NULL;
	pthread_attr_destroy(&attr);
	return (uintptr_t)at;
}

// lowered says that the thread has the priority of a guest's.
static _Thread_local bool lowered;

thread_t *thread_begin(shared_t *g, size_t stack) {
	thread_t *t = calloc(1, sizeof *t);
	if (t == NULL)
		return NULL;
	t->shared = g;
	if (pthread_getcpuclockid(pthread_self(), &t->clock) != 0)
		t->clock = CLOCK_THREAD_CPUTIME_ID;
	static _Thread_local pid_t number;
	if (number == 0)
		number = (pid_t)syscall(SYS_gettid);
	t->number = number;
	t->looked = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	t->switches = -1;
	t->low_priority = lowered;
	t->low = stack == 0 ? 0 : lowest() + stack;
	here = t;
	return t;
}

void thread_end(thread_t *t) {
	lowered = t->low_priority && !atomic_load_explicit(&t->restored, memory_order_relaxed);
	here = NULL;
	free(t);
}

void thread_restored(thread_t *t) { atomic_store_explicit(&t->restored, true, memory_order_relaxed); }

thread_t *thread_here(void) { return here; }

int64_t thread_cpu(const thread_t *t) { return clock_ns(t->clock); }

void store_open(store_t *s, wasm_engine_t *engine, shared_t *g, uintptr_t handle, _Atomic uint64_t *calls, store_bounds_t bounds) {
	s->shared = g;
	s->handle = handle;
	s->calls = calls;
	s->native = wasmtime_store_new(engine, s, NULL);
	s->context = wasmtime_store_context(s->native);
#ifdef ENGINE_OF_HACK
	krustlet_store_limiter(s->native, s, memory_growing, memory_failed, bounds.elements, bounds.instances, bounds.tables,
		bounds.memories);
#else
	wasmtime_store_limiter(s->native, -1, (int64_t)bounds.elements, (int64_t)bounds.instances, (int64_t)bounds.tables,
		(int64_t)bounds.memories);
#endif
	wasmtime_store_epoch_deadline_callback(s->native, at_epoch, s, NULL);
	wasmtime_context_set_epoch_deadline(s->context, 1);
}

void store_close(store_t *s) { wasmtime_store_delete(s->native); }

void store_calls(const store_t *s, uint64_t *sums, size_t functions) {
	for (size_t i = 0; i < functions; i++)
		sums[i] += atomic_load_explicit(&s->calls[i], memory_order_relaxed);
}

bool store_answer_growth(store_t *s, const wasmtime_instance_t *instance, const char *name, size_t len) {
	wasmtime_extern_t item;
	if (!wasmtime_instance_export_get(s->context, instance, name, len, &item) || item.kind != WASMTIME_EXTERN_TABLE)
		return false;
	if (!s->has_growth) {
		wasm_functype_t *type = functype((uint8_t[]){WASM_I32, WASM_I32, WASM_I32}, 2, 1);
		s->growth.kind = WASMTIME_FUNCREF;
		wasmtime_func_new_unchecked(s->context, type, growth, s, NULL, &s->growth.of.funcref);
		wasm_functype_delete(type);
		s->has_growth = true;
	}
	wasmtime_error_t *err = wasmtime_table_set(s->context, &item.of.table, 0, &s->growth);
	if (err != NULL)
		wasmtime_error_delete(err);
	return err == NULL;
}

bool store_call(store_t *s, const wasmtime_instance_t *instance, const char *name, size_t len, outcome_t *out) {
	wasmtime_extern_t item;
	if (!wasmtime_instance_export_get(s->context, instance, name, len, &item) || item.kind != WASMTIME_EXTERN_FUNC)
		return false;
	out->error = wasmtime_func_call(s->context, &item.of.func, NULL, 0, NULL, 0, &out->trap);
	return true;
}
