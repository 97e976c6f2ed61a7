package wasmtime

// #include "capi.h"
//
// #ifdef ENGINE_OF_HACK
// static wasm_engine_t *engine_pooled(wasm_config_t *c, uint32_t n, uint32_t tables,
//	uint32_t memories_each, uint32_t tables_each, uint32_t warm, size_t elements, size_t resident) {
//	krustlet_pool_t p = {n, n, tables, memories_each, tables_each, warm, elements, resident};
//	return krustlet_engine_pooled(c, &p);
// }
// #else
// static wasm_engine_t *engine_pooled(wasm_config_t *c, uint32_t n, uint32_t tables,
//	uint32_t memories_each, uint32_t tables_each, uint32_t warm, size_t elements, size_t resident) {
//	(void)c, (void)n, (void)tables, (void)memories_each, (void)tables_each, (void)warm;
//	(void)elements, (void)resident;
//	return NULL;
// }
// #endif
import "C"

import (
	"errors"
	goruntime "runtime"
	"sync"
	"unsafe"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"
	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/admission"
)

// What the pool has room for. Each memory takes 4 GiB of addresses, and no page before it is used.
const (
	poolMemories  = admission.PoolMemories
	poolTables    = 2 * poolMemories
	poolInstances = poolMemories // core instances; a component may have several for each memory
)

// Of memories that nothing uses, poolWarm keep their first poolResident bytes for the next
// instance, which finds them as they were at its start. So does the same number of tables.
const (
	poolWarm     = 32
	poolResident = 1 << 20
)

// memoryPool is an engine whose instances take memories and tables from a pool, and give them back
// to it, instead of asking the kernel for each. It is for guests that make instances all the time.
// It is made when it is first needed. A library that has no pool, or a system that does not give it
// the addresses, does without.
type memoryPool struct {
	log    *zap.Logger
	make   sync.Once
	native *wasmtimego.Engine // nil if there is none

	mu   sync.Mutex
	used poolShare
}

// poolShare is a part of the pool.
type poolShare struct{ instances, memories, tables, heaps int }

// fits reports whether many machines that need this much fit into the pool. Heaps of objects are
// none of its memories.
func (s poolShare) fits() bool {
	const machines = 256
	return s.heaps == 0 && s.instances <= poolInstances/machines && s.memories <= poolMemories/machines && s.tables <= poolTables/machines
}

func newMemoryPool(log *zap.Logger) *memoryPool { return &memoryPool{log: log} }

// engine is the pool's engine, or nil if there is none.
func (p *memoryPool) engine() *wasmtimego.Engine {
	p.make.Do(func() {
		if !supported() {
			return
		}
		cfg := settings()
		config := (**C.wasm_config_t)(unsafe.Pointer(cfg)) // the handle is the first field
		native := C.engine_pooled(*config, poolMemories, poolTables, maxMemories, maxTables, poolWarm, maxTableElements, poolResident)
		goruntime.SetFinalizer(cfg, nil)
		*config = nil // the engine has it
		if native == nil {
			p.log.Info("instances of HTTP handlers are made without a pool of memory: the system does not give it the addresses (RLIMIT_AS)")
			return
		}
		p.native = new(wasmtimego.Engine)
		*(**C.wasm_engine_t)(unsafe.Pointer(p.native)) = native
	})
	return p.native
}

var errPool = errors.New("the worker has as many instances of HTTP handlers as it has room for")

// take takes a share, or returns an error if it is not free. A nil pool has no bound.
func (p *memoryPool) take(s poolShare) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	sum := poolShare{instances: p.used.instances + s.instances, memories: p.used.memories + s.memories, tables: p.used.tables + s.tables}
	if sum.instances > poolInstances || sum.memories > poolMemories || sum.tables > poolTables {
		return errPool
	}
	p.used = sum
	return nil
}

func (p *memoryPool) give(s poolShare) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used = poolShare{instances: p.used.instances - s.instances, memories: p.used.memories - s.memories, tables: p.used.tables - s.tables}
}

// incrementEpoch is what the ticker calls. It makes no engine.
func (p *memoryPool) incrementEpoch() {
	p.mu.Lock()
	busy := p.used.instances > 0
	p.mu.Unlock()
	if busy {
		p.native.IncrementEpoch()
	}
}

// close frees the engine. No code is loaded in it any more.
func (p *memoryPool) close() {
	p.make.Do(func() {})
	if p.native != nil {
		p.native.Close()
	}
}
