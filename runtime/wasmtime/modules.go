package wasmtime

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"
	"go.uber.org/zap"
)

// maxIdle is how many modules that nothing runs stay in memory. Loading one from disk costs milliseconds.
const maxIdle = 16

// modules has the modules in memory by digest, and makes those that it lacks.
type modules struct {
	engine *wasmtimego.Engine
	linker *linker
	disk   *diskCache
	log    *zap.Logger
	slots  chan struct{} // one for each compilation that may run

	mu    sync.Mutex
	byKey map[string]*slot
	loads sync.WaitGroup
}

// slot is a module in memory, or on its way there.
type slot struct {
	ready chan struct{} // closed when m or err is set
	m     *module
	err   error

	users int       // guests and waiting starts; guarded by modules.mu
	used  time.Time // when the last user left; guarded by modules.mu
}

func newModules(e *wasmtimego.Engine, l *linker, disk *diskCache, log *zap.Logger, parallel int) *modules {
	return &modules{engine: e, linker: l, disk: disk, log: log, slots: make(chan struct{}, parallel), byKey: map[string]*slot{}}
}

// get is the module with the digest, from memory, from disk, or compiled from the file. It must be given back by
// release. Cancelling ctx ends the wait, not the work.
func (ms *modules) get(ctx context.Context, digest, file string) (*module, error) {
	if err := checkDigest(digest); err != nil {
		return nil, err
	}
	ms.mu.Lock()
	s := ms.byKey[digest]
	if s == nil {
		s = &slot{ready: make(chan struct{})}
		ms.byKey[digest] = s
		ms.loads.Go(func() { ms.fill(s, digest, file) })
	}
	s.users++
	ms.mu.Unlock()

	select {
	case <-s.ready:
	case <-ctx.Done():
		ms.leave(s)
		return nil, fmt.Errorf("waiting for the module to be compiled: %w", ctx.Err())
	}
	if s.err != nil {
		ms.leave(s)
		return nil, s.err
	}
	return s.m, nil
}

// release gives back a module that get gave.
func (ms *modules) release(m *module) {
	ms.mu.Lock()
	s := ms.byKey[m.digest]
	ms.mu.Unlock()
	ms.leave(s)
}

func (ms *modules) leave(s *slot) {
	ms.mu.Lock()
	s.users--
	s.used = time.Now()
	victims := ms.idle()
	ms.mu.Unlock()
	for _, m := range victims {
		m.close()
	}
}

// idle takes out the modules that were unused the longest, beyond maxIdle.
func (ms *modules) idle() []*module {
	var victims []*module
	for {
		var oldest string
		count := 0
		for key, s := range ms.byKey {
			if s.users > 0 || s.m == nil {
				continue
			}
			if count++; oldest == "" || s.used.Before(ms.byKey[oldest].used) {
				oldest = key
			}
		}
		if count <= maxIdle {
			return victims
		}
		victims = append(victims, ms.byKey[oldest].m)
		delete(ms.byKey, oldest)
	}
}

// fill makes a slot's module and says so. A failure is forgotten, so that the next ask tries again.
func (ms *modules) fill(s *slot, digest, file string) {
	m, err := ms.make(digest, file)
	ms.mu.Lock()
	s.m, s.err = m, err
	if err != nil {
		delete(ms.byKey, digest)
	}
	victims := ms.idle()
	ms.mu.Unlock()
	close(s.ready)
	for _, m := range victims { // perhaps m itself, if all who asked have given up
		m.close()
	}
}

func (ms *modules) make(digest, file string) (*module, error) {
	code, err := ms.disk.load(digest)
	if err == nil {
		native, err := wasmtimego.NewModuleDeserialize(ms.engine, code)
		if err == nil {
			return newModule(digest, native, ms.linker)
		}
		ms.log.Warn("compiled code cannot be used, compiling anew", zap.String("digest", digest), zap.Error(err))
	} else if !errors.Is(err, os.ErrNotExist) {
		ms.log.Warn("compiled code cannot be used, compiling anew", zap.String("digest", digest), zap.Error(err))
	}
	return ms.compile(digest, file)
}

func (ms *modules) compile(digest, file string) (*module, error) {
	ms.slots <- struct{}{}
	defer func() { <-ms.slots }()
	wasm, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the module: %w", err)
	}
	// What is compiled is kept under its digest for good, so the file must be what it is said to be.
	if sum := sha256.Sum256(wasm); digest != digestPrefix+hex.EncodeToString(sum[:]) {
		return nil, fmt.Errorf("the file is not the module that is asked for: its digest is %s%x, not %s", digestPrefix, sum, digest)
	}
	if err := checkHeader(wasm); err != nil {
		return nil, err
	}
	began := time.Now()
	native, err := wasmtimego.NewModule(ms.engine, wasm)
	if err != nil {
		return nil, fmt.Errorf("compile: %s", truncate(err.Error()))
	}
	took := time.Since(began)
	if err := ms.save(digest, native); err != nil {
		// A guest can run all the same.
		ms.log.Warn("compiled code cannot be kept", zap.String("digest", digest), zap.Error(err))
	}
	m, err := newModule(digest, native, ms.linker)
	if err != nil {
		return nil, err
	}
	ms.log.Debug("compiled a module", zap.String("digest", digest), zap.Int("bytes", len(wasm)), zap.Duration("took", took))
	return m, nil
}

func (ms *modules) save(digest string, native *wasmtimego.Module) error {
	code, err := native.Serialize()
	if err != nil {
		return fmt.Errorf("serialize: %w", err)
	}
	return ms.disk.save(digest, code)
}

// close waits for work under way and frees all modules. No guest may be left.
func (ms *modules) close() {
	ms.loads.Wait()
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

const digestPrefix = "sha256:"

func checkDigest(digest string) error {
	raw, err := hex.DecodeString(strings.TrimPrefix(digest, digestPrefix))
	if !strings.HasPrefix(digest, digestPrefix) || err != nil || len(raw) != sha256.Size || digest != strings.ToLower(digest) {
		return fmt.Errorf("the module's digest must be sha256: and 64 hexadecimal digits, got %q", digest)
	}
	return nil
}
