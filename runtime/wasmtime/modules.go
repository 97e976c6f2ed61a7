package wasmtime

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"time"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/codecache"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/compile"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/stdio"
)

// unit is what a guest runs, and what stays in memory between guests: a *module or a *program.
type unit interface {
	key() string
	holds() int64                // bytes of this process
	takes(spec runtime.Spec) int // slots of the engine, for each guest
	check(limit int64) error
	listens() bool // whether it can be given listening sockets
	// work makes the work of a guest. From then on the work owns the unit.
	work(e *Engine, spec runtime.Spec, cfg wasi.Config, out *stdio.Output, h *hosted) (work, error)
	close()
}

// modules has the modules and components in memory by digest, and loads or compiles those that are
// missing.
type modules struct {
	engine   *wasmtimego.Engine
	pool     *memoryPool
	linker   *linker
	disk     *codecache.Cache
	compiler *Compiler // nil: modules are never compiled
	log      *zap.Logger
	reading  *semaphore.Weighted // bytes of components that are read

	mu     sync.Mutex
	closed bool
	byKey  map[string]*entry
	sweep  *time.Timer    // closes idle modules at the right time; nil if there are none
	works  sync.WaitGroup // loads, and the timer
}

// entry is a unit that is in memory, or is being loaded.
type entry struct {
	ready  chan struct{}      // closed when u or err is set
	cancel context.CancelFunc // ends the loading if no start waits for it
	u      unit
	err    error
	limit  int64 // of the guest for which it is loaded, in bytes

	users int       // guests and waiting starts; guarded by modules.mu
	used  time.Time // when the last user left; guarded by modules.mu
}

func newModules(e *wasmtimego.Engine, pool *memoryPool, l *linker, disk *codecache.Cache, c *Compiler, log *zap.Logger) *modules {
	ms := &modules{engine: e, pool: pool, linker: l, disk: disk, compiler: c, log: log, byKey: map[string]*entry{}, reading: semaphore.NewWeighted(maxReading)}
	if c != nil {
		c.inUse = ms.inUse
	}
	return ms
}

// get is getUnit for a core module.
func (ms *modules) get(ctx context.Context, w wanted, limit int64) (*module, error) {
	u, err := ms.getUnit(ctx, w, limit)
	if err != nil {
		return nil, err
	}
	m, ok := u.(*module)
	if !ok {
		ms.release(u)
		return nil, errNotWasm
	}
	return m, nil
}

// getUnit returns what is wanted, from memory, from disk, or compiled. limit is the memory that its
// guest may take, in bytes: the unit is not loaded if that is too little. The caller gives the unit
// back with release. When ctx ends, getUnit returns; loading and compiling end when no call waits
// for them any more.
func (ms *modules) getUnit(ctx context.Context, w wanted, limit int64) (unit, error) {
	if err := codecache.CheckDigest(w.digest); err != nil {
		return nil, err
	}
	for {
		s := ms.enter(w, limit)
		select {
		case <-s.ready:
		case <-ctx.Done():
			ms.leave(w.key(), s)
			return nil, fmt.Errorf("waiting for the module to be compiled: %w", ctx.Err())
		}
		if s.err == nil {
			return s.u, nil
		}
		ms.leave(w.key(), s)
		var needs *needsError
		if !errors.As(s.err, &needs) || s.limit >= limit {
			return nil, s.err
		} // otherwise the module was loaded for a guest with a lower limit
	}
}

// enter adds a user of the module, and starts to load it if it is not in memory.
func (ms *modules) enter(w wanted, limit int64) *entry {
	key := w.key()
	ms.mu.Lock()
	defer ms.mu.Unlock()
	s := ms.byKey[key]
	if s == nil {
		ctx, cancel := context.WithCancel(context.Background())
		s = &entry{ready: make(chan struct{}), cancel: cancel, limit: limit}
		ms.byKey[key] = s
		ms.works.Go(func() {
			defer cancel()
			ms.fill(ctx, s, w)
		})
	}
	s.users++
	return s
}

// release ends the use of a unit.
func (ms *modules) release(u unit) {
	ms.mu.Lock()
	s := ms.byKey[u.key()]
	ms.mu.Unlock()
	if s == nil {
		return // close has it
	}
	ms.leave(u.key(), s)
}

func (ms *modules) leave(key string, s *entry) {
	ms.mu.Lock()
	s.users--
	s.used = time.Now()
	if s.users == 0 && s.u == nil && s.err == nil && ms.byKey[key] == s {
		delete(ms.byKey, key) // the next call starts again
		s.cancel()
	}
	victims := ms.idle()
	ms.mu.Unlock()
	for _, m := range victims {
		m.close()
	}
}

// fill loads an entry's module and closes ready. It removes an entry that failed, so that the next
// call tries again.
func (ms *modules) fill(ctx context.Context, s *entry, w wanted) {
	key := w.key()
	u, err := ms.make(ctx, w, s.limit)
	ms.mu.Lock()
	s.u, s.err = u, err
	var victims []unit
	switch {
	case ms.byKey[key] != s: // no call waits any more, and another entry may have replaced it
		if u != nil {
			victims = append(victims, u)
		}
	case err != nil:
		delete(ms.byKey, key)
	default:
		victims = ms.idle()
	}
	ms.mu.Unlock()
	close(s.ready)
	for _, u := range victims { // maybe u itself, if all callers have given up
		u.close()
	}
}

func (ms *modules) make(ctx context.Context, w wanted, limit int64) (unit, error) {
	digest := w.digest
	u, err := ms.load(ctx, w, limit)
	var needs *needsError
	switch {
	case err == nil:
		return u, nil
	case errors.As(err, &needs), errors.Is(err, errUnit):
		return nil, err
	case ms.compiler == nil:
		return nil, fmt.Errorf("%w: %w", runtime.ErrNotCompiled, err)
	case !errors.Is(err, os.ErrNotExist):
		ms.log.Warn("compiled code cannot be used, the module is compiled again", zap.String("digest", digest), zap.Error(err))
		ms.compiler.drop(digest)
	}
	if err := ms.compiler.compileWanted(ctx, "", w); err != nil {
		return nil, err
	}
	if u, err = ms.load(ctx, w, limit); errors.As(err, &needs) || errors.Is(err, errUnit) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("using the compiler's result: %w", err)
	}
	return u, nil
}

// maxModule bounds the modules that are compiled, in bytes. What was compiled before is within it.
func (ms *modules) maxModule() int64 {
	if ms.compiler == nil {
		return math.MaxInt64
	}
	return ms.compiler.maxModule
}

// errUnit is the error of a unit whose file in the cache is as it should be, and which cannot be
// made nevertheless.
var errUnit = errors.New("it cannot be run")

// unitError wraps such an error. Its text is that of the error.
type unitError struct{ error }

func (e unitError) Unwrap() error        { return e.error }
func (e unitError) Is(target error) bool { return target == errUnit }

// load makes a unit of its file in the cache.
func (ms *modules) load(ctx context.Context, w wanted, limit int64) (unit, error) {
	f, err := ms.disk.Open(w.digest)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if isComponentInfo(f.Info) {
		if w.form == compile.AsPart { // whose own parts it may be one of
			return nil, errParts
		}
		p, err := ms.program(ctx, w.digest, f, limit)
		if err != nil {
			return nil, unitError{err}
		}
		return p, nil
	}
	m, err := ms.loadModule(w, f, limit)
	if err != nil {
		return nil, err
	}
	if w.form == compile.AsPart { // a plan says what it imports
		return m, nil
	}
	if m, err = m.prepared(ms.linker); err != nil {
		return nil, unitError{err}
	}
	return m, nil
}

// loadModule makes the engine map the compiled code of a module, unless that is too much for a
// guest of that limit: what the engine knows of a module may take some hundred MiB. The engine maps
// the same open file that was checked.
func (ms *modules) loadModule(w wanted, f *codecache.File, limit int64) (*module, error) {
	m, err := newModule(w.digest, f)
	if err != nil {
		return nil, err
	}
	m.pooled = w.pooled
	if err := m.needs.check(limit); err != nil {
		return nil, err
	}
	if m.native, err = loadCode(ms.engineFor(w.pooled), f, mayMap(f.File)); err != nil {
		return nil, err
	}
	return m, nil
}

// engineFor is the engine for code that is pooled or not.
func (ms *modules) engineFor(pooled bool) *wasmtimego.Engine {
	if pooled {
		return ms.pool.engine()
	}
	return ms.engine
}

// loadCode maps the code, or copies it.
func loadCode(e *wasmtimego.Engine, f *codecache.File, mapped bool) (*wasmtimego.Module, error) {
	if mapped {
		return wasmtimego.NewModuleDeserializeFile(e, fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	}
	code := make([]byte, f.Code)
	if _, err := f.ReadAt(code, 0); err != nil {
		return nil, fmt.Errorf("loading compiled code: %w", err)
	}
	return wasmtimego.NewModuleDeserialize(e, code)
}

// mayMap reports whether code in the file may be executed. A disk that is mounted noexec forbids
// it; then the engine gets a copy.
func mayMap(f *os.File) bool {
	var disk unix.Statfs_t
	return unix.Fstatfs(int(f.Fd()), &disk) != nil || disk.Flags&unix.ST_NOEXEC == 0
}

// inUse reports whether guests run the module, or will run it at once.
func (ms *modules) inUse(digest string) bool {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for _, pooled := range []bool{false, true} {
		if s := ms.byKey[unitKey(digest, pooled)]; s != nil && s.users > 0 {
			return true
		}
	}
	return false
}

// close waits for running loads and frees all modules. All guests must have ended.
func (ms *modules) close() {
	ms.mu.Lock()
	ms.closed = true
	if ms.sweep != nil && ms.sweep.Stop() {
		ms.works.Done()
	}
	ms.mu.Unlock()
	ms.works.Wait()
	if ms.compiler != nil {
		ms.compiler.Close()
	}
	ms.mu.Lock()
	all := ms.byKey
	ms.byKey = map[string]*entry{}
	ms.mu.Unlock()
	for _, s := range all { // programs first: they use modules
		if p, ok := s.u.(*program); ok {
			p.close()
		}
	}
	for _, s := range all {
		if m, ok := s.u.(*module); ok {
			m.close()
		}
	}
	ms.linker.close()
}
