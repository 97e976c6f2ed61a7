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
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/codecache"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/compile"
)

// modules has the modules in memory by digest, and loads or compiles those that are missing.
type modules struct {
	engine   *wasmtimego.Engine
	linker   *linker
	disk     *codecache.Cache
	compiler *Compiler // nil: modules are never compiled
	log      *zap.Logger

	mu     sync.Mutex
	closed bool
	byKey  map[string]*entry
	sweep  *time.Timer    // closes idle modules at the right time; nil if there are none
	works  sync.WaitGroup // loads, and the timer
}

// entry is a module that is in memory, or is being loaded.
type entry struct {
	ready  chan struct{}      // closed when m or err is set
	cancel context.CancelFunc // ends the loading if no start waits for it
	m      *module
	err    error
	limit  int64 // of the guest for which it is loaded, in bytes

	users int       // guests and waiting starts; guarded by modules.mu
	used  time.Time // when the last user left; guarded by modules.mu
}

func newModules(e *wasmtimego.Engine, l *linker, disk *codecache.Cache, c *Compiler, log *zap.Logger) *modules {
	ms := &modules{engine: e, linker: l, disk: disk, compiler: c, log: log, byKey: map[string]*entry{}}
	if c != nil {
		c.inUse = ms.inUse
	}
	return ms
}

// get returns the module that is wanted, from memory, from disk, or compiled. limit
// is the memory that its guest may take, in bytes: the module is not loaded if that is too little.
// The caller gives the module back with release. When ctx ends, get returns; loading and compiling
// end when no call waits for them any more.
func (ms *modules) get(ctx context.Context, w wanted, limit int64) (*module, error) {
	digest := w.digest
	if err := codecache.CheckDigest(digest); err != nil {
		return nil, err
	}
	for {
		s := ms.enter(w, limit)
		select {
		case <-s.ready:
		case <-ctx.Done():
			ms.leave(digest, s)
			return nil, fmt.Errorf("waiting for the module to be compiled: %w", ctx.Err())
		}
		if s.err == nil {
			return s.m, nil
		}
		ms.leave(digest, s)
		var needs *needsError
		if !errors.As(s.err, &needs) || s.limit >= limit {
			return nil, s.err
		} // otherwise the module was loaded for a guest with a lower limit
	}
}

// enter adds a user of the module, and starts to load it if it is not in memory.
func (ms *modules) enter(w wanted, limit int64) *entry {
	digest := w.digest
	ms.mu.Lock()
	defer ms.mu.Unlock()
	s := ms.byKey[digest]
	if s == nil {
		ctx, cancel := context.WithCancel(context.Background())
		s = &entry{ready: make(chan struct{}), cancel: cancel, limit: limit}
		ms.byKey[digest] = s
		ms.works.Go(func() {
			defer cancel()
			ms.fill(ctx, s, w)
		})
	}
	s.users++
	return s
}

// release ends the use of a module from get.
func (ms *modules) release(m *module) {
	ms.mu.Lock()
	s := ms.byKey[m.digest]
	ms.mu.Unlock()
	ms.leave(m.digest, s)
}

func (ms *modules) leave(digest string, s *entry) {
	ms.mu.Lock()
	s.users--
	s.used = time.Now()
	if s.users == 0 && s.m == nil && s.err == nil && ms.byKey[digest] == s {
		delete(ms.byKey, digest) // the next call starts again
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
	digest := w.digest
	m, err := ms.make(ctx, w, s.limit)
	ms.mu.Lock()
	s.m, s.err = m, err
	var victims []*module
	switch {
	case ms.byKey[digest] != s: // no call waits any more, and another entry may have replaced it
		if m != nil {
			victims = append(victims, m)
		}
	case err != nil:
		delete(ms.byKey, digest)
	default:
		victims = ms.idle()
	}
	ms.mu.Unlock()
	close(s.ready)
	for _, m := range victims { // maybe m itself, if all callers have given up
		m.close()
	}
}

func (ms *modules) make(ctx context.Context, w wanted, limit int64) (*module, error) {
	digest := w.digest
	m, err := ms.load(digest, limit)
	var needs *needsError
	switch {
	case err == nil:
		return ms.prepare(w, m)
	case errors.As(err, &needs):
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
	if m, err = ms.load(digest, limit); errors.As(err, &needs) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("using the compiler's result: %w", err)
	}
	return ms.prepare(w, m)
}

// prepare makes a command ready to be instantiated. What a part imports, a plan says.
func (ms *modules) prepare(w wanted, m *module) (*module, error) {
	if w.form == compile.AsPart {
		return m, nil
	}
	return m.prepared(ms.linker)
}

// maxModule bounds the modules that are compiled, in bytes. What was compiled before is within it.
func (ms *modules) maxModule() int64 {
	if ms.compiler == nil {
		return math.MaxInt64
	}
	return ms.compiler.maxModule
}

// load makes the engine map the compiled code of a module, unless that needs more memory than a
// guest with this limit has: the engine's data about a module may take some hundred MiB. The engine
// maps the same open file that was checked.
func (ms *modules) load(digest string, limit int64) (*module, error) {
	f, err := ms.disk.Open(digest)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	m, err := newModule(digest, f)
	if err != nil {
		return nil, err
	}
	if err := m.needs.check(limit); err != nil {
		return nil, err
	}
	if m.native, err = loadCode(ms.engine, f, mayMap(f.File)); err != nil {
		return nil, err
	}
	return m, nil
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
	s := ms.byKey[digest]
	return s != nil && s.users > 0
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
	defer ms.mu.Unlock()
	for key, s := range ms.byKey {
		if s.m != nil {
			s.m.close()
		}
		delete(ms.byKey, key)
	}
	ms.linker.close()
}
