// The C half of a store: see store.c.
#ifndef KRUSTLET_WASMTIME_STORE_H
#define KRUSTLET_WASMTIME_STORE_H

#include <stdatomic.h>
#include <sys/types.h>
#include <time.h>

#include "capi.h"

enum { WASM_PAGE = 64 << 10, TABLE_ELEMENT = 8 }; // bytes of a page, and of an element of a table

// prepare_heap makes the C library's heap give back at once what is freed, and keep large pieces,
// such as tables, apart from what threads share. By default it raises the size of large pieces to
// 32 MiB as they come and go, copies them as they grow, and keeps the holes.
void prepare_heap(void);

// account_t bounds what all guests of a container take together: each asks before it takes. Any
// thread may use it.
typedef struct {
	_Atomic int64_t limit; // bytes
	_Atomic int64_t used;  // bytes
	_Atomic int64_t free;  // bytes that the host may still hold beside for guests without counting them
} account_t;

// account_new makes an account with a limit, and with that many bytes that the host may hold beside
// without counting them.
account_t *account_new(int64_t limit, int64_t free);
void account_delete(account_t *a);
void account_resize(account_t *a, int64_t limit);
int64_t account_used(account_t *a);
// account_take takes that many bytes, or none if that would pass the limit.
bool account_take(account_t *a, int64_t bytes);
void account_give(account_t *a, int64_t bytes);
// account_beside takes bytes out of what is free, as many as there are, and returns their number.
// The caller adds them again later.
int64_t account_beside(account_t *a, int64_t bytes);

// store_bounds_t are the bounds of a store.
typedef struct {
	size_t elements; // of each table
	size_t tables;
	size_t memories;
} store_bounds_t;

// HEAP_MAX bounds the collector's heap of a guest, in bytes. Nothing interrupts a collection, and
// it takes longer the more objects live: with half of this, which is the most that can live, some
// 100 ms on a busy machine.
#define HEAP_MAX (INT64_C(256) << 20)

// store_t is a store of a guest, with the instance in it. The thread that runs its code owns it,
// except what is atomic, clock and thread.
typedef struct {
	uintptr_t handle; // of the Go half
	wasmtime_store_t *native;
	wasmtime_context_t *context;
	wasmtime_instance_t instance; // valid once has_instance
	wasmtime_memory_t memory;     // valid once has_memory
	bool has_instance;
	bool has_memory;
	account_t *account;    // that it takes from
	int64_t granted;       // bytes that a memory was just granted, and that the engine is about to ask for
	int64_t refused;       // bytes that it asked for last, if they were refused; else 0
	int64_t heap_refused;  // likewise, of the collector's heap
	bool heap_full;        // it was refused because of HEAP_MAX
	_Atomic bool limited;  // its limit of processor time must be looked at
	int64_t looked;        // what its thread had used of the processor at the last epoch, in nanoseconds
	long switches;         // how often its thread had waited for something by then
	clockid_t clock;       // of its thread, for any other
	pid_t thread;          // its thread's number in the kernel
	_Atomic bool kill;
	_Atomic int64_t memories; // bytes of its linear memories
	_Atomic int64_t tables;   // bytes of its tables
	_Atomic int64_t heap;     // bytes of its collector's heap
	_Atomic int64_t beside;   // bytes that the host holds for it and that count
	int64_t free;             // the rest of them, taken from what the account has free
	_Atomic uint64_t calls[]; // of each function of the table; only its own thread writes
} store_t;

// outcome_t is how an instantiation or a call ended: one of trap and error is set, or neither.
typedef struct {
	wasm_trap_t *trap;
	wasmtime_error_t *error;
} outcome_t;

// store_new makes a store for the calling thread to run. It takes its memory from the account.
// functions is the length of the table of host functions.
store_t *store_new(wasm_engine_t *engine, uintptr_t handle, size_t functions, account_t *account, store_bounds_t bounds, bool limited);
// store_delete gives back what the guest has taken.
void store_delete(store_t *s);
void store_kill(store_t *s);
// store_limit sets whether there is a limit of processor time, from the next epoch on. Any thread
// may call it.
void store_limit(store_t *s, bool limited);
// store_cpu returns the processor time that the guest's thread has used since it was made, in
// nanoseconds. Any thread may ask while that thread lives.
int64_t store_cpu(const store_t *s);
// store_memory returns what the guest has taken from its account, in bytes. Any thread may ask.
int64_t store_memory(store_t *s);
// store_calls adds to each sum how often the guest has called that function of the table. Any
// thread may ask.
void store_calls(const store_t *s, uint64_t *sums, size_t functions);
// store_take takes from the account what the guest has at its start: bytes of memories, of tables,
// and of the host beside. Of the last, those that the account has free do not count. It returns
// false, and takes nothing, if that is too much.
bool store_take(store_t *s, int64_t memories, int64_t tables, int64_t beside);
// store_instantiate makes the instance. No code of the module runs.
outcome_t store_instantiate(store_t *s, const wasmtime_instance_pre_t *pre);
// store_answer_growth puts the function that the guest asks before it grows something into element
// 0 of its table of that name. It returns false if there is no such table.
bool store_answer_growth(store_t *s, const char *name, size_t len);
// store_call calls an exported function without parameters and results. It returns false if there
// is none of that name.
bool store_call(store_t *s, const char *name, size_t len, outcome_t *out);

// define_host_call defines function index of the table. params has a kind for each parameter.
wasmtime_error_t *define_host_call(wasmtime_linker_t *linker, const char *module, size_t module_len, const char *name,
	size_t name_len, const uint8_t *params, size_t nparams, bool result, uintptr_t index);

#endif
