package wasmtime

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	goruntime "runtime"
	"sync"
	"time"

	"go.uber.org/zap"
)

// trustFor is for how long code that was found to be sound is not looked at again: who starts many guests of one module
// does not read it for each. Engines check it whenever they load it.
const trustFor = time.Minute

// keepFor is for how long it is not collected: whoever was told that it is there has a minute to load it.
const keepFor = trustFor + time.Minute

// Compiler compiles modules into the cache, for engines that never compile (Config.LoadOnly). It makes no engine and
// loads nothing of what it compiles. It is safe for concurrent use.
type Compiler struct {
	disk  *diskCache
	how   *compiler
	log   *zap.Logger
	slots chan struct{}            // one for each compilation that may run
	inUse func(digest string) bool // code that is not collected; nil is none
	told  func(cached bool, took time.Duration, err error)

	mu     sync.Mutex
	closed bool
	builds map[string]*build // under way, by digest
	sound  map[string]sound  // by digest
	works  sync.WaitGroup
}

// build is compiled code on its way, from the cache or from the compiler.
type build struct {
	done    chan struct{}      // closed when the next three are set
	code    []byte             //
	err     error              // why there is none
	unkept  error              // why it is not in the cache
	cancel  context.CancelFunc // ends the way
	waiters int                // guarded by Compiler.mu
}

// sound is a file of the cache that was whole at a time.
type sound struct {
	at   time.Time
	file os.FileInfo
}

// NewCompiler makes a Compiler out of the settings that concern compilation: CacheDir, CacheSize, Compiler,
// CompileMemory, CompileTime and Log. It removes the code of other versions that was not used for an hour.
func NewCompiler(cfg Config) (*Compiler, error) {
	if err := cfg.prepare(); err != nil {
		return nil, err
	}
	if cfg.LoadOnly {
		return nil, errors.New("wasmtime: a compiler that never compiles")
	}
	return newCompiler(cfg), nil
}

func newCompiler(cfg Config) *Compiler {
	c := &Compiler{
		disk:   newDiskCache(cfg.CacheDir, cfg.CacheSize),
		how:    &compiler{argv: cfg.Compiler, memory: cfg.CompileMemory, limit: cfg.CompileTime},
		log:    cfg.Log,
		slots:  make(chan struct{}, goruntime.GOMAXPROCS(0)),
		builds: map[string]*build{},
		sound:  map[string]sound{},
		told:   cfg.Compiled,
	}
	if c.told == nil {
		c.told = func(bool, time.Duration, error) {}
	}
	if err := c.disk.removeStale(); err != nil {
		cfg.Log.Warn("compiled code of other versions stays on disk", zap.Error(err))
	}
	return c
}

// Compile makes sure that the compiled code of the module is in the cache, whole, and stays there for at least a minute.
// Cancelling ctx ends the wait; the work ends where nobody waits for it any more. An error that is not ctx's says what is
// wrong with the module, or why it cannot be compiled or kept. What an engine needs a module to have is not looked at.
func (c *Compiler) Compile(ctx context.Context, digest, file string) error {
	if err := checkDigest(digest); err != nil {
		return err
	}
	if c.isSound(digest, trustFor) {
		c.told(true, 0, nil)
		return nil
	}
	b, err := c.build(ctx, digest, file)
	if err == nil {
		err = b.unkept
	}
	return err
}

// code is the compiled code of the module, in the cache or not.
func (c *Compiler) code(ctx context.Context, digest, file string) ([]byte, error) {
	b, err := c.build(ctx, digest, file)
	if err != nil {
		return nil, err
	}
	return b.code, nil
}

// drop takes code that an engine refuses out of the cache.
func (c *Compiler) drop(digest string) {
	c.mu.Lock()
	delete(c.sound, digest)
	c.mu.Unlock()
	if err := os.Remove(c.disk.path(digest)); err != nil && !errors.Is(err, os.ErrNotExist) {
		c.log.Warn("compiled code that cannot be used stays on disk", zap.String("digest", digest), zap.Error(err))
	}
}

// Close ends compilations under way, where a process of its own does them, and waits for them. Compile gives ErrClosed
// from then on. A second call does nothing.
func (c *Compiler) Close() {
	c.mu.Lock()
	c.closed = true
	for _, b := range c.builds {
		b.cancel()
	}
	c.mu.Unlock()
	c.works.Wait()
}

// build waits for a build of the module, which it starts if none is under way.
func (c *Compiler) build(ctx context.Context, digest, file string) (*build, error) {
	b, err := c.join(digest, file)
	if err != nil {
		return nil, err
	}
	defer c.leave(digest, b)
	select {
	case <-b.done:
		return b, b.err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the module to be compiled: %w", ctx.Err())
	}
}

func (c *Compiler) join(digest, file string) (*build, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	b := c.builds[digest]
	if b == nil {
		ctx, cancel := context.WithCancel(context.Background())
		b = &build{done: make(chan struct{}), cancel: cancel}
		c.builds[digest] = b
		c.works.Go(func() {
			defer cancel()
			c.make(ctx, b, digest, file)
			c.mu.Lock()
			c.remove(digest, b)
			c.mu.Unlock()
			close(b.done)
		})
	}
	b.waiters++
	return b, nil
}

func (c *Compiler) leave(digest string, b *build) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b.waiters--; b.waiters == 0 && c.how.cancellable() {
		c.remove(digest, b) // who asks next begins anew
		b.cancel()
	}
}

// remove forgets a build, unless another has taken its place. The mutex is held.
func (c *Compiler) remove(digest string, b *build) {
	if c.builds[digest] == b {
		delete(c.builds, digest)
	}
}

// make sets what there is to be known of a build.
func (c *Compiler) make(ctx context.Context, b *build, digest, file string) {
	b.code, b.err = c.disk.load(digest)
	if b.err == nil {
		c.trust(digest)
		c.told(true, 0, nil)
		return
	}
	if !errors.Is(b.err, os.ErrNotExist) {
		c.log.Warn("compiled code cannot be used, compiling anew", zap.String("digest", digest), zap.Error(b.err))
	}
	if b.code, b.err = c.compile(ctx, digest, file); b.err != nil {
		return
	}
	if b.unkept = c.keep(digest, b.code); b.unkept != nil {
		// A guest of this process can run all the same.
		c.log.Warn("compiled code cannot be kept", zap.String("digest", digest), zap.Error(b.unkept))
	}
}

func (c *Compiler) compile(ctx context.Context, digest, file string) ([]byte, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
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
	code, err := c.how.run(ctx, wasm)
	if ctx.Err() == nil {
		c.told(false, time.Since(began), err)
	}
	if err != nil {
		return nil, err
	}
	if _, _, err := unpack(code); err != nil {
		return nil, fmt.Errorf("the compiler's result cannot be used: %w", err)
	}
	c.log.Debug("compiled a module", zap.String("digest", digest), zap.Int("bytes", len(wasm)), zap.Duration("took", time.Since(began)))
	return code, nil
}

// keep saves code, and makes room for it.
func (c *Compiler) keep(digest string, code []byte) error {
	if err := c.disk.save(digest, code); err != nil {
		return err
	}
	c.trust(digest)
	return c.disk.collect(func(other string) bool {
		return c.isSound(other, keepFor) || c.inUse != nil && c.inUse(other)
	})
}

// trust notes that the module's file is whole.
func (c *Compiler) trust(digest string) {
	info, err := os.Stat(c.disk.path(digest))
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for other, s := range c.sound {
		if time.Since(s.at) > keepFor {
			delete(c.sound, other)
		}
	}
	c.sound[digest] = sound{at: time.Now(), file: info}
}

// isSound says that the module's file was found whole within so long a time, and is still the same.
func (c *Compiler) isSound(digest string, within time.Duration) bool {
	c.mu.Lock()
	s, is := c.sound[digest]
	c.mu.Unlock()
	if !is || time.Since(s.at) > within {
		return false
	}
	info, err := os.Stat(c.disk.path(digest))
	return err == nil && os.SameFile(info, s.file) && info.Size() == s.file.Size() && info.ModTime().Equal(s.file.ModTime())
}
