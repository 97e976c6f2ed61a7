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
	size_t instances;
	size_t tables;
	size_t memories;
} store_bounds_t;

// HEAP_MAX bounds a guest's garbage-collected heap, in bytes. A collection cannot be interrupted,
// and it takes longer if more objects are live. At most half of the heap can be live; a collection
// then takes some 100 ms on a busy machine.
#define HEAP_MAX (INT64_C(256) << 20)

// shared_t is what all stores of a guest share. Any thread may use it, except free.
typedef struct {
	uintptr_t handle;             // of the Go part
	account_t *account;           // from which it takes memory
	_Atomic bool kill;
	_Atomic bool limited;         // whether its limit of processor time must be checked
	_Atomic bool heap_full;       // the heap was refused because of HEAP_MAX
	_Atomic int64_t refused;      // bytes that it asked for last, if they were refused; else 0
	_Atomic int64_t heap_refused; // likewise, of the collector's heap
	_Atomic int64_t memories;     // bytes of its linear memories
	_Atomic int64_t tables;       // bytes of its tables
	_Atomic int64_t heap;         // bytes of its collector's heaps
	_Atomic int64_t beside;       // bytes that the host holds for it and that count
	int64_t free;                 // bytes that the host holds for it from the account's free part
} shared_t;

// thread_t is a thread of the kernel that runs code of a guest. Other threads may use clock and
// number.
typedef struct {
	shared_t *shared; // of the guest
	clockid_t clock;  // of this thread, for any other
	pid_t number;     // the kernel's
	int64_t looked;   // what it had used of the processor at the last epoch, in nanoseconds
	long switches;    // how often it had waited for something by then; -1 if that is not known
	bool low_priority; // it has the priority of a guest's thread
	_Atomic bool restored; // that was taken back
	uintptr_t low;    // guest code is not entered while the stack is below this address
} thread_t;

// store_t is a store of a guest. Only the thread that runs its code uses it.
typedef struct {
	shared_t *shared;
	uintptr_t handle; // of the Go half of its host calls
	wasmtime_store_t *native;
	wasmtime_context_t *context;
	int64_t granted;         // bytes that were just granted to a memory, and for which the engine will ask next
	bool has_growth;         // growth is valid
	wasmtime_val_t growth;   // the function that answers what wants to grow
	_Atomic uint64_t *calls; // of each host function; any thread may read
} store_t;

// outcome_t is the result of an instantiation or a call: at most one of trap and error is set.
typedef struct {
	wasm_trap_t *trap;
	wasmtime_error_t *error;
} outcome_t;

// shared_new makes what the stores of a guest share. It takes memory from the account.
shared_t *shared_new(uintptr_t handle, account_t *account, bool limited);
// shared_delete gives back what the guest has taken. No store and no thread may be left.
void shared_delete(shared_t *g);
void shared_kill(shared_t *g);
bool shared_killed(shared_t *g);
// shared_limit sets whether there is a limit of processor time, from the next epoch on.
void shared_limit(shared_t *g, bool limited);
// shared_memory returns what the guest has taken from its account, in bytes.
int64_t shared_memory(shared_t *g);
// shared_take takes from the account what the guest has at its start: bytes of memories, of tables,
// and of the host beside. Of the last, those that the account has free do not count. It returns
// false, and takes nothing, if that is too much.
bool shared_take(shared_t *g, int64_t memories, int64_t tables, int64_t beside);

// thread_begin makes the calling thread one of the guest's, until thread_end. With stack, code of
// the guest is not entered unless that many bytes of the thread's stack are left (plan.c).
thread_t *thread_begin(shared_t *g, size_t stack);
// thread_restored says that the thread has the priority of the process again.
void thread_restored(thread_t *t);
void thread_end(thread_t *t);
// thread_here returns the calling thread, or NULL if it is no guest's.
thread_t *thread_here(void);
// thread_cpu returns the processor time that a thread has used since it was made, in nanoseconds.
// Any thread may ask while that thread lives.
int64_t thread_cpu(const thread_t *t);

// store_open makes the native half of a store. calls has a number for each host function.
void store_open(store_t *s, wasm_engine_t *engine, shared_t *g, uintptr_t handle, _Atomic uint64_t *calls, store_bounds_t bounds);
void store_close(store_t *s);
// store_calls adds to each sum how often the guest has called that function. Any thread may ask.
void store_calls(const store_t *s, uint64_t *sums, size_t functions);
// store_count counts a call of a function.
void store_count(store_t *s, uint32_t function);
// store_answer_growth puts the function that an instance asks before it grows something into element
// 0 of its table of that name. It returns false if there is no such table.
bool store_answer_growth(store_t *s, const wasmtime_instance_t *instance, const char *name, size_t len);
// store_call calls a function that an instance exports, without parameters and results. It returns
// false if there is none of that name.
bool store_call(store_t *s, const wasmtime_instance_t *instance, const char *name, size_t len, outcome_t *out);

// functype makes the type of a function; kinds has those of the parameters and then of the results.
wasm_functype_t *functype(const uint8_t *kinds, size_t nparams, size_t nresults);

#endif
