// A plan of package runtime/component/plan, as it is carried out: see plan.c.
#ifndef KRUSTLET_WASMTIME_PLAN_H
#define KRUSTLET_WASMTIME_PLAN_H

#include "store.h"

// MAX_VALUES is plan.MaxValues.
enum { MAX_VALUES = 17 };

typedef enum { STEP_INSTANTIATE, STEP_EXPORT, STEP_STOP } op_t;

// step_t is a step of a plan.
typedef struct {
	op_t op;
	uint32_t instance;               // that is made, or whose export is taken
	const wasmtime_module_t *module; // of the instance
	uint32_t module_number;
	uint32_t args, nargs;            // where its imports are among the plan's
	int64_t memories;                // bytes of those that it defines
	bool grows, starts;              // it has the exports of package translate
	const char *name;                // of the export
	size_t len;
	uint32_t item; // that the export becomes
} step_t;

// function_t is a host function.
typedef struct {
	uint32_t nparams, nresults;
	uint32_t narrow; // a bit for each parameter that has 32 bits
	uint32_t memory; // the item that it is given, or NO_ITEM
	wasm_functype_t *type;
} function_t;

#define NO_ITEM UINT32_MAX

enum { REALLOC = 128 };

// plan_t is what happens in a store. It does not change, and many stores use it at a time.
typedef struct {
	uint32_t nsteps, nargs, nfunctions, nitems, ninstances;
	uint32_t most; // arguments of one step
	step_t *steps;
	uint32_t *args; // items
	function_t *functions;
	uint8_t *callable; // of each item: 0, or how many values it has and 1; and REALLOC for one of that type
	const char *start, *grow;  // names of the exports of package translate
	size_t start_len, grow_len;
	store_bounds_t bounds;
} plan_t;

// fault_t is why the engine was not entered, or a step could not be carried out, besides what the
// engine says.
typedef enum {
	FAULT_NONE,
	FAULT_KILLED,  // the guest was killed
	FAULT_STACK,   // the thread has too little stack left
	FAULT_THREAD,  // the thread is none of the guest's
	FAULT_ENTERED, // another thread is inside
	FAULT_FAILED,  // a step has failed before
	FAULT_ITEM,    // an item that is not there
	FAULT_KIND,    // an item of another kind
	FAULT_TYPE,    // a function of another type than the host calls
	FAULT_VALUES,  // a function with more values than there is room for
	FAULT_EXPORT,  // an export that is not there
	FAULT_GROWTH,  // an instance that cannot be told whether it may grow
} fault_t;

// done_t is how something in a store ended.
typedef struct {
	fault_t fault;
	outcome_t outcome;
	uint32_t address; // that a realloc returned
	uint8_t *memory;  // where one is, after a realloc
	size_t size;
} done_t;

struct machine_store;

// env_t is what a host function of a store gets with each call.
typedef struct {
	struct machine_store *store;
	const function_t *function;
	uint32_t number;
} env_t;

// machine_store_t is a store of a component's instance. One thread at a time uses it, but for calls.
typedef struct machine_store {
	store_t store;
	const plan_t *plan;
	_Atomic(thread_t *) owner; // the thread that is inside
	uint32_t depth;            // how many times
	uint32_t next;             // step
	bool failed;
	wasmtime_extern_t *items;
	wasmtime_instance_t *instances;
	env_t *envs;
} machine_store_t;

// machine_store_new makes a store with its host functions and nothing else in it.
machine_store_t *machine_store_new(wasm_engine_t *engine, shared_t *g, const plan_t *p, uintptr_t handle);
void machine_store_delete(machine_store_t *s);
// machine_store_run carries out the steps up to the next stop, or to the end.
done_t machine_store_run(machine_store_t *s);
// machine_store_call calls an item with values, which has room for n parameters or results.
done_t machine_store_call(machine_store_t *s, uint32_t item, wasmtime_val_raw_t *values, size_t n);
// machine_store_realloc calls an item of type (i32, i32, i32, i32) -> i32, and tells where the
// memory is after that.
done_t machine_store_realloc(machine_store_t *s, uint32_t function, uint32_t memory, uint32_t old, uint32_t old_size, uint32_t align,
	uint32_t size);
// machine_store_memory tells where a memory is.
done_t machine_store_memory(machine_store_t *s, uint32_t item);

#endif
