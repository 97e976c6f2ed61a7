// The C part of a store: see store.c.
#ifndef KRUSTLET_WASMTIME_STORE_H
#define KRUSTLET_WASMTIME_STORE_H

#include <stdatomic.h>
#include <sys/types.h>
#include <time.h>

#include "capi.h"

enum { WASM_PAGE = 64 << 10, TABLE_ELEMENT = 8 }; // bytes of a page, and of an element of a table

// prepare_heap makes the C library's heap return freed memory at once, and keep large pieces, such
// as tables, apart from the memory that threads share. By default, the heap raises the limit for
// large pieces to 32 MiB, copies pieces when they grow, and keeps the holes.
void prepare_heap(void);

// account_t bounds the memory of all guests of a container together. Each guest asks before it
// takes memory. Any thread may use it.
typedef struct {
	_Atomic int64_t limit; // bytes
	_Atomic int64_t used;  // bytes
	_Atomic int64_t free;  // bytes that the host may still hold for guests without counting them
} account_t;

// account_new makes an account with a limit. free is how many bytes the host may hold for guests
// without counting them.
account_t *account_new(int64_t limit, int64_t free);
void account_delete(account_t *a);
void account_resize(account_t *a, int64_t limit);
int64_t account_used(account_t *a);
// account_take takes this number of bytes. If that would exceed the limit, it takes none.
bool account_take(account_t *a, int64_t bytes);
void account_give(account_t *a, int64_t bytes);
// account_beside takes bytes from the free part, at most what is left, and returns the number that
// it took. The caller adds them again later.
int64_t account_beside(account_t *a, int64_t bytes);

// store_bounds_t are the bounds of a store.
typedef struct {
	size_t elements; // for each table
	size_t tables;
	size_t memories;
} store_bounds_t;

// HEAP_MAX bounds a guest's garbage-collected heap, in bytes. A collection cannot be interrupted,
// and it takes longer if more objects are live. At most half of the heap can be live; a collection
// then takes some 100 ms on a busy machine.
#define HEAP_MAX (INT64_C(256) << 20)

// store_t is a store of a guest, with its instance. The thread that runs its code owns it, except
// the atomic fields, clock and thread.
typedef struct {
	uintptr_t handle; // of the Go part
	wasmtime_store_t *native;
	wasmtime_context_t *context;
	wasmtime_instance_t instance; // valid if has_instance
	wasmtime_memory_t memory;     // valid if has_memory
	bool has_instance;
	bool has_memory;
	account_t *account;    // from which it takes memory
	int64_t granted;       // bytes that were just granted to a memory, and for which the engine will ask next
	int64_t refused;       // bytes of its last request, if that was refused; otherwise 0
	int64_t heap_refused;  // the same for the garbage collector's heap
	bool heap_full;        // that request was refused because of HEAP_MAX
	_Atomic bool limited;  // whether its limit of processor time must be checked
	int64_t looked;        // processor time of its thread at the last epoch, in nanoseconds
	long switches;         // how often its thread had waited at the last epoch
	clockid_t clock;       // its thread's clock, which other threads can read
	pid_t thread;          // its thread's number in the kernel
	_Atomic bool kill;
	_Atomic int64_t memories; // bytes of its linear memories
	_Atomic int64_t tables;   // bytes of its tables
	_Atomic int64_t heap;     // bytes of its collector's heap
	_Atomic int64_t beside;   // bytes that the host holds for it and that count
	int64_t free;             // bytes that the host holds for it from the account's free part
	_Atomic uint64_t calls[]; // by function of the table; only its own thread writes
} store_t;

// outcome_t is the result of an instantiation or a call: at most one of trap and error is set.
typedef struct {
	wasm_trap_t *trap;
	wasmtime_error_t *error;
} outcome_t;

// store_new makes a store that the calling thread will run. Its memory counts for the account.
// functions is the length of the table of host functions.
store_t *store_new(wasm_engine_t *engine, uintptr_t handle, size_t functions, account_t *account, store_bounds_t bounds, bool limited);
// store_delete returns everything that the guest has taken.
void store_delete(store_t *s);
void store_kill(store_t *s);
// store_limit sets whether there is a limit of processor time, from the next epoch on. Any thread
// may call it.
void store_limit(store_t *s, bool limited);
// store_cpu returns the processor time that the guest's thread has used in total, in nanoseconds.
// Any thread may call it while that thread lives.
int64_t store_cpu(const store_t *s);
// store_memory returns how many bytes the guest has taken from its account. Any thread may call it.
int64_t store_memory(store_t *s);
// store_calls adds to each sum the number of the guest's calls of this function of the table. Any
// thread may call it.
void store_calls(const store_t *s, uint64_t *sums, size_t functions);
// store_take takes what the guest has at its start from the account: bytes of memories, of tables,
// and of the host's memory for it. A part of the host's memory may come from the account's free
// part and does not count. If the limit would be exceeded, it returns false.
bool store_take(store_t *s, int64_t memories, int64_t tables, int64_t beside);
// store_instantiate makes the instance. No code of the module runs.
outcome_t store_instantiate(store_t *s, const wasmtime_instance_pre_t *pre);
// store_answer_growth puts the function that the guest calls before it grows something into element
// 0 of the guest's table with this name. It returns false if there is no such table.
bool store_answer_growth(store_t *s, const char *name, size_t len);
// store_call calls an exported function without parameters and results. It returns false if there
// is no export with this name.
bool store_call(store_t *s, const char *name, size_t len, outcome_t *out);

// define_host_call defines the function with this index in the table. params has a kind for each
// parameter.
wasmtime_error_t *define_host_call(wasmtime_linker_t *linker, const char *module, size_t module_len, const char *name,
	size_t name_len, const uint8_t *params, size_t nparams, bool result, uintptr_t index);

#endif
