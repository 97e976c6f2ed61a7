// The C half of a guest: see guest.c.
#ifndef KRUSTLET_WASMTIME_GUEST_H
#define KRUSTLET_WASMTIME_GUEST_H

#include <stdatomic.h>
#include <sys/types.h>
#include <time.h>

#include "capi.h"

enum { WASM_PAGE = 64 << 10, TABLE_ELEMENT = 8 }; // bytes of a page, and of an element of a table

// prepare_heap has the C library's heap give back at once what is freed, and keep large pieces, such as tables, out of what it shares
// among threads: by default it raises that size to 32 MiB as such pieces come and go, copies them as they grow, and keeps the holes.
void prepare_heap(void);

// account_t bounds what a container takes, all of its guests together: each asks before it takes. Any thread may use it.
typedef struct {
	_Atomic int64_t limit; // bytes
	_Atomic int64_t used;  // bytes
	_Atomic int64_t free;  // bytes that are left of what guests may make the host hold beside
} account_t;

// account_new makes an account with a limit, and with so many bytes free for what guests make the host hold beside.
account_t *account_new(int64_t limit, int64_t free);
void account_delete(account_t *a);
void account_resize(account_t *a, int64_t limit);
int64_t account_used(account_t *a);
// account_take takes so many bytes, or none if that would lead beyond the limit.
bool account_take(account_t *a, int64_t bytes);
void account_give(account_t *a, int64_t bytes);
// account_beside takes bytes out of what is free, as many as there are, and returns their number. Who has them adds them again.
int64_t account_beside(account_t *a, int64_t bytes);

// guest_bounds_t are the bounds of a store.
typedef struct {
	size_t elements; // of each table
	size_t tables;
	size_t memories;
} guest_bounds_t;

// HEAP_MAX bounds the collector's heap of a guest, in bytes. Nothing interrupts a collection, and it takes the longer the more
// objects live: with half of this, the most that can, some 100 ms on a busy machine.
#define HEAP_MAX (INT64_C(256) << 20)

// guest_t is a guest's state in C. The thread that runs the guest owns it, but for what is atomic, clock and thread.
typedef struct {
	uintptr_t handle; // of the Go half
	wasmtime_store_t *store;
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
	_Atomic int64_t beside;   // bytes that the host holds for it, as far as they count
	int64_t free;             // the rest of them, which it has of what the account has free
	_Atomic uint64_t calls[]; // of each function of the table; only its own thread writes
} guest_t;

// outcome_t is how an instantiation or a call ended: one of trap and error is set, or neither.
typedef struct {
	wasm_trap_t *trap;
	wasmtime_error_t *error;
} outcome_t;

// guest_new makes a guest of the calling thread, which takes its memory from the account. functions is the length of the table
// of host functions.
guest_t *guest_new(wasm_engine_t *engine, uintptr_t handle, size_t functions, account_t *account, guest_bounds_t bounds, bool limited);
// guest_delete gives back what the guest has taken.
void guest_delete(guest_t *g);
void guest_kill(guest_t *g);
// guest_limit says whether there is a limit of processor time, which counts from the next epoch on. Any thread may call it.
void guest_limit(guest_t *g, bool limited);
// guest_cpu is the processor time that the guest's thread has used since it was made, in nanoseconds. Any thread may
// ask while that thread lives.
int64_t guest_cpu(const guest_t *g);
// guest_memory is what the guest has taken from its account, in bytes. Any thread may ask.
int64_t guest_memory(guest_t *g);
// guest_calls adds to each sum how often the guest has called that function of the table. Any thread may ask.
void guest_calls(const guest_t *g, uint64_t *sums, size_t functions);
// guest_take takes from the account what the guest has at its start: bytes of memories, of tables, and of the host beside, of which
// those that the account has free do not count. It returns false if that is too much; then nothing is taken.
bool guest_take(guest_t *g, int64_t memories, int64_t tables, int64_t beside);
// guest_instantiate makes the instance. No code of the module runs.
outcome_t guest_instantiate(guest_t *g, const wasmtime_instance_pre_t *pre);
// guest_answer_growth has the function that the guest asks before it grows something in the first place of its table of that
// name. It returns false if there is no such table.
bool guest_answer_growth(guest_t *g, const char *name, size_t len);
// guest_call calls an exported function without parameters and results. It returns false if there is none of that name.
bool guest_call(guest_t *g, const char *name, size_t len, outcome_t *out);

// define_host_call defines function index of the table. params has a kind for each parameter.
wasmtime_error_t *define_host_call(wasmtime_linker_t *linker, const char *module, size_t module_len, const char *name,
	size_t name_len, const uint8_t *params, size_t nparams, bool result, uintptr_t index);

#endif
