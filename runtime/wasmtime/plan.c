// How the stores of a component's instance are made and entered. The plan was checked when it was
// made (plan.go): all numbers in it are in range, and what a step needs was made before. What is
// checked here is what that cannot see, so that no mistake above becomes a fault of the process:
// the engine aborts for an item that is not set, and believes any type that it is told.

#include <stdlib.h>

#include "plan.h"

// _cgo_export.h is not included, since its types need the preamble of the Go file. This is
// goPlanCall's signature.
extern bool goPlanCall(uintptr_t handle, uint32_t function, wasmtime_val_raw_t *values, uint8_t *memory, size_t size);

// UNSET is the kind of an item that is not there yet.
enum { UNSET = 255 };

// enter begins a use of a store by the calling thread. It does not wait for another thread: there
// must be none.
static fault_t enter(machine_store_t *s) {
	thread_t *me = thread_here(), *other = NULL;
	if (me == NULL || me->shared != s->store.shared)
		return FAULT_THREAD;
	if (shared_killed(me->shared))
		return FAULT_KILLED;
	if ((uintptr_t)__builtin_frame_address(0) < me->low)
		return FAULT_STACK;
	if (atomic_load_explicit(&s->owner, memory_order_relaxed) != me &&
		!atomic_compare_exchange_strong_explicit(&s->owner, &other, me, memory_order_acquire, memory_order_relaxed))
		return FAULT_ENTERED;
	s->depth++;
	return FAULT_NONE;
}

static void leave(machine_store_t *s) {
	if (--s->depth == 0)
		atomic_store_explicit(&s->owner, NULL, memory_order_release);
}

// host_call has a room of its own for the values, as large as any host function may use: the
// engine's may be smaller.
static wasm_trap_t *host_call(void *data, wasmtime_caller_t *caller, wasmtime_val_raw_t *vals, size_t n) {
	env_t *env = data;
	machine_store_t *s = env->store;
	const function_t *f = env->function;
	wasmtime_val_raw_t values[MAX_VALUES];
	uint8_t *base = NULL;
	size_t size = 0;
	(void)caller, (void)n;

	store_count(&s->store, env->number);
	for (uint32_t i = 0; i < f->nparams; i++)
		values[i].i64 = f->narrow >> i & 1 ? (int64_t)(uint32_t)vals[i].i32 : vals[i].i64;
	if (f->memory != NO_ITEM && s->items[f->memory].kind == WASMTIME_EXTERN_MEMORY) {
		base = wasmtime_memory_data(s->store.context, &s->items[f->memory].of.memory);
		size = wasmtime_memory_data_size(s->store.context, &s->items[f->memory].of.memory);
	}
	if (!goPlanCall(s->store.handle, env->number, values, base, size))
		return wasmtime_trap_new("ended by the host", 17);
	for (uint32_t i = 0; i < f->nresults; i++)
		vals[i].i64 = values[i].i64;
	return NULL;
}

machine_store_t *machine_store_new(wasm_engine_t *engine, shared_t *g, const plan_t *p, uintptr_t handle) {
	size_t items = p->nitems * sizeof(wasmtime_extern_t), instances = p->ninstances * sizeof(wasmtime_instance_t);
	size_t envs = p->nfunctions * sizeof(env_t), calls = p->nfunctions * sizeof(uint64_t);
	machine_store_t *s = calloc(1, sizeof *s + items + instances + envs + calls);
	if (s == NULL)
		return NULL;
	char *at = (char *)(s + 1);
	s->items = (wasmtime_extern_t *)at;
	s->instances = (wasmtime_instance_t *)(at += items);
	s->envs = (env_t *)(at += instances);
	s->plan = p;
	store_open(&s->store, engine, g, handle, (_Atomic uint64_t *)(at + envs), p->bounds);
	for (uint32_t i = 0; i < p->nfunctions; i++) {
		s->envs[i] = (env_t){s, &p->functions[i], i};
		s->items[i].kind = WASMTIME_EXTERN_FUNC;
		wasmtime_func_new_unchecked(s->store.context, p->functions[i].type, host_call, &s->envs[i], NULL, &s->items[i].of.func);
	}
	for (uint32_t i = p->nfunctions; i < p->nitems; i++)
		s->items[i].kind = UNSET;
	return s;
}

void machine_store_delete(machine_store_t *s) {
	store_close(&s->store);
	free(s);
}

static bool failed(const outcome_t *out) { return out->trap != NULL || out->error != NULL; }

// instantiate makes an instance. args has room for its imports.
static fault_t instantiate(machine_store_t *s, const step_t *step, wasmtime_extern_t *args, outcome_t *out) {
	const plan_t *p = s->plan;
	wasmtime_instance_t *instance = &s->instances[step->instance];
	for (uint32_t i = 0; i < step->nargs; i++) {
		args[i] = s->items[p->args[step->args + i]];
		if (args[i].kind == UNSET)
			return FAULT_ITEM;
	}
	s->store.granted = step->memories;
	out->error = wasmtime_instance_new(s->store.context, step->module, args, step->nargs, instance, &out->trap);
	s->store.granted = 0;
	if (failed(out))
		return FAULT_NONE;
	if (step->grows && !store_answer_growth(&s->store, instance, p->grow, p->grow_len))
		return FAULT_GROWTH;
	if (step->starts && !store_call(&s->store, instance, p->start, p->start_len, out))
		return FAULT_EXPORT;
	return FAULT_NONE;
}

static fault_t take_export(machine_store_t *s, const step_t *step) {
	wasmtime_extern_t item;
	if (s->instances[step->instance].store_id == 0)
		return FAULT_ITEM;
	if (!wasmtime_instance_export_get(s->store.context, &s->instances[step->instance], step->name, step->len, &item))
		return FAULT_EXPORT;
	s->items[step->item] = item;
	return FAULT_NONE;
}

static void steps(machine_store_t *s, wasmtime_extern_t *args, done_t *done) {
	while (s->next < s->plan->nsteps && done->fault == FAULT_NONE && !failed(&done->outcome)) {
		const step_t *step = &s->plan->steps[s->next++];
		if (step->op == STEP_STOP)
			return;
		done->fault = step->op == STEP_INSTANTIATE ? instantiate(s, step, args, &done->outcome) : take_export(s, step);
	}
}

done_t machine_store_run(machine_store_t *s) {
	enum { FEW = 64 }; // imports, for which the stack has room
	wasmtime_extern_t few[FEW], *args = few;
	done_t done = {.fault = s->failed ? FAULT_FAILED : enter(s)};
	if (done.fault != FAULT_NONE)
		return done;
	if (s->plan->most > FEW)
		args = malloc(s->plan->most * sizeof *args);
	if (args != NULL)
		steps(s, args, &done);
	else
		done.outcome.error = wasmtime_error_new("the host is out of memory");
	if (args != few)
		free(args);
	s->failed = done.fault != FAULT_NONE || failed(&done.outcome);
	leave(s);
	return done;
}

// check reports what is wrong with calling an item with room for n values.
static fault_t check(machine_store_t *s, uint32_t item, size_t n, bool realloc) {
	if (item >= s->plan->nitems || s->items[item].kind == UNSET)
		return FAULT_ITEM;
	if (s->items[item].kind != WASMTIME_EXTERN_FUNC)
		return FAULT_KIND;
	uint8_t callable = s->plan->callable[item];
	if (callable == 0 || (realloc && !(callable & REALLOC)))
		return FAULT_TYPE;
	return n + 1 < (size_t)(callable & ~REALLOC) ? FAULT_VALUES : FAULT_NONE;
}

static done_t call(machine_store_t *s, uint32_t item, wasmtime_val_raw_t *values, size_t n, bool realloc) {
	done_t done = {.fault = enter(s)};
	if (done.fault != FAULT_NONE)
		return done;
	done.fault = check(s, item, n, realloc);
	if (done.fault == FAULT_NONE)
		done.outcome.error = wasmtime_func_call_unchecked(s->store.context, &s->items[item].of.func, values, n, &done.outcome.trap);
	leave(s);
	return done;
}

done_t machine_store_call(machine_store_t *s, uint32_t item, wasmtime_val_raw_t *values, size_t n) {
	return call(s, item, values, n, false);
}

done_t machine_store_realloc(machine_store_t *s, uint32_t function, uint32_t memory, uint32_t old, uint32_t old_size, uint32_t align,
	uint32_t size) {
	wasmtime_val_raw_t values[4] = {{.i64 = old}, {.i64 = old_size}, {.i64 = align}, {.i64 = size}};
	done_t done = call(s, function, values, 4, true);
	if (done.fault != FAULT_NONE || failed(&done.outcome))
		return done;
	done = machine_store_memory(s, memory);
	done.address = (uint32_t)values[0].i32;
	return done;
}

done_t machine_store_memory(machine_store_t *s, uint32_t item) {
	done_t done = {0};
	if (item >= s->plan->nitems || s->items[item].kind == UNSET) {
		done.fault = FAULT_ITEM;
		return done;
	}
	if (s->items[item].kind != WASMTIME_EXTERN_MEMORY) {
		done.fault = FAULT_KIND;
		return done;
	}
	done.memory = wasmtime_memory_data(s->store.context, &s->items[item].of.memory);
	done.size = wasmtime_memory_data_size(s->store.context, &s->items[item].of.memory);
	return done;
}
