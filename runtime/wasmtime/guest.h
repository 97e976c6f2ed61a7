// The C half of a guest: see guest.c.
#ifndef KRUSTLET_WASMTIME_GUEST_H
#define KRUSTLET_WASMTIME_GUEST_H

#include <stdatomic.h>
#include <sys/types.h>
#include <time.h>

#include "capi.h"

enum { MAX_TABLES = 16, TABLE_ELEMENT = 8 }; // bytes of an element

// guest_t is a guest's state in C. The thread that runs the guest owns it, but for what is atomic, clock and thread.
typedef struct {
	uintptr_t handle; // of the Go half
	wasmtime_store_t *store;
	wasmtime_context_t *context;
	wasmtime_instance_t instance; // valid once has_instance
	wasmtime_memory_t memory;     // valid once has_memory
	wasmtime_table_t tables[MAX_TABLES];
	int has_tables; // how many of them
	bool has_instance;
	bool has_memory;
	_Atomic bool limited;  // its limit of processor time must be looked at
	_Atomic int64_t limit; // of its memory, in bytes; -1 for none
	int64_t bound;         // the limit that its store has
	int64_t elements;      // of its tables
	int64_t looked;        // what its thread had used of the processor at the last epoch, in nanoseconds
	long switches;         // how often its thread had waited for something by then
	clockid_t clock;       // of its thread, for any other
	pid_t thread;          // its thread's number in the kernel
	_Atomic bool kill;
	_Atomic uint64_t size; // of its memory, as last seen, in bytes
	_Atomic uint64_t table_size; // of its tables, likewise
	_Atomic uint64_t calls[]; // of each function of the table; only its own thread writes
} guest_t;

// outcome_t is how an instantiation or a call ended: one of trap and error is set, or neither.
typedef struct {
	wasm_trap_t *trap;
	wasmtime_error_t *error;
} outcome_t;

// guest_new makes a guest of the calling thread. functions is the length of the table of host functions.
guest_t *guest_new(wasm_engine_t *engine, uintptr_t handle, size_t functions, int64_t memory, int64_t elements, bool limited);
void guest_delete(guest_t *g);
void guest_kill(guest_t *g);
// guest_resize sets other limits, which the guest has from its next epoch or host call on. Any thread may call it.
void guest_resize(guest_t *g, int64_t memory, bool limited);
// guest_cpu is the processor time that the guest's thread has used since it was made, in nanoseconds. Any thread may
// ask while that thread lives.
int64_t guest_cpu(const guest_t *g);
uint64_t guest_size(guest_t *g);
uint64_t guest_table_size(guest_t *g);
// guest_watch_table has the size of the guest's table of that name watched. It returns false where there is none.
bool guest_watch_table(guest_t *g, const char *name, size_t len);
// guest_calls adds to each sum how often the guest has called that function of the table. Any thread may ask.
void guest_calls(const guest_t *g, uint64_t *sums, size_t functions);
outcome_t guest_instantiate(guest_t *g, const wasmtime_instance_pre_t *pre);
// guest_start calls _start. It returns false where the module has none.
bool guest_start(guest_t *g, outcome_t *out);
// guest_refused is how many pages the guest's last memory.grow was refused, and 0 if it was not; -1 where nobody
// knows. name is that of the global which says so (growth.go).
int64_t guest_refused(guest_t *g, const char *name, size_t len);

// define_host_call defines function index of the table. params has a kind for each parameter.
wasmtime_error_t *define_host_call(wasmtime_linker_t *linker, const char *module, size_t module_len, const char *name,
	size_t name_len, const uint8_t *params, size_t nparams, bool result, uintptr_t index);

#endif
