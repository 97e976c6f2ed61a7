package wasmtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// trustFor is for how long code that was found to be sound is not looked at again: who starts many guests of one module
// does not read it for each. Engines check it whenever they load it.
const trustFor = time.Minute

// keepFor is for how long it is not collected: whoever was told that it is there has a minute to load it.
const keepFor = trustFor + time.Minute

// ErrModuleTooLarge is the error of a module that is larger than Config.MaxModuleSize.
var ErrModuleTooLarge = errors.New("the module is too large")

// Compiler compiles modules into the cache, for engines that never compile (Config.LoadOnly). It makes no engine and
// loads nothing of what it compiles. It is safe for concurrent use.
type Compiler struct {
	disk      *diskCache
	how       *compiler
	log       *zap.Logger
	maxModule int64                    // bytes
	inUse     func(digest string) bool // code that is not collected; nil is none
	told      func(cached bool, took time.Duration, err error)
	refused   refusals

	mu     sync.Mutex
	closed bool
	builds map[string]*build // under way, by digest
	queue  queue
	sound  map[string]sound // by digest
	works  sync.WaitGroup
}

// build is compiled code on its way into the cache.
type build struct {
	ticket                     // guarded by Compiler.mu, but for turn
	queued  bool               // guarded by Compiler.mu
	waiters int                // guarded by Compiler.mu
	done    chan struct{}      // closed when err is set
	err     error              // why the code is not there
	cancel  context.CancelFunc // ends the way
}

// sound is a file of the cache that was whole at a time.
type sound struct {
	at   time.Time
	file os.FileInfo
}

// NewCompiler makes a Compiler out of the settings that concern compilation: CacheDir, CacheSize, Compiler,
// CompileMemory, CompileTime, MaxModuleSize, Compiled and Log. It removes the code of other versions that was not used for an hour.
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
		disk:      newDiskCache(cfg.CacheDir, cfg.CacheSize),
		how:       &compiler{argv: cfg.Compiler, memory: cfg.CompileMemory, limit: cfg.CompileTime},
		log:       cfg.Log,
		maxModule: cfg.MaxModuleSize,
		builds:    map[string]*build{},
		queue:     newQueue(),
		sound:     map[string]sound{},
		told:      cfg.Compiled,
	}
	if c.told == nil {
		c.told = func(bool, time.Duration, error) {}
	}
	if err := c.disk.removeStale(); err != nil {
		cfg.Log.Warn("compiled code of other versions stays on disk", zap.Error(err))
	}
	return c
}

// Compile makes sure that the compiled code of the module is in the cache, whole, and stays there for at least a minute. pod
// is the UID of the pod that wants it: one compilation of a pod runs at a time; empty is no pod.
// Cancelling ctx ends the wait; the work ends where nobody waits for it any more. An error that is not ctx's says what is
// wrong with the module, or why it cannot be compiled or kept. What an engine needs a module to have is not looked at.
func (c *Compiler) Compile(ctx context.Context, pod, digest, file string) error {
	if err := checkDigest(digest); err != nil {
		return err
	}
	if c.isSound(digest, trustFor) {
		c.told(true, 0, nil)
		return nil
	}
	if err := c.refused.find(digest); err != nil {
		c.told(false, 0, err)
		return err
	}
	b, err := c.join(pod, digest, file)
	if err != nil {
		return err
	}
	defer c.leave(pod, digest, b)
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return fmt.Errorf("waiting for the module to be compiled: %w", ctx.Err())
	}
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

// join counts a call in that waits for a build of the module, which it starts if none is under way.
func (c *Compiler) join(pod, digest, file string) (*build, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	b := c.builds[digest]
	if b == nil {
		ctx, cancel := context.WithCancel(context.Background())
		b = &build{done: make(chan struct{}), cancel: cancel, ticket: ticket{pods: map[string]int{}}}
		c.builds[digest] = b
		c.works.Go(func() {
			defer cancel()
			b.err = c.make(ctx, b, digest, file)
			c.mu.Lock()
			c.remove(digest, b)
			c.mu.Unlock()
			close(b.done)
		})
	}
	b.waiters++
	b.pods[pod]++
	if b.queued {
		c.queue.advance()
	}
	return b, nil
}

func (c *Compiler) leave(pod, digest string, b *build) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b.pods[pod]--; b.pods[pod] == 0 {
		delete(b.pods, pod)
	}
	if b.waiters--; b.waiters > 0 {
		return
	}
	if c.how.cancellable() {
		c.remove(digest, b) // who asks next begins anew
		b.cancel()
	} else if b.queued {
		c.queue.advance()
	}
}

// remove forgets a build, unless another has taken its place. The mutex is held.
func (c *Compiler) remove(digest string, b *build) {
	if c.builds[digest] == b {
		delete(c.builds, digest)
	}
}

// make sees to it that the code is in the cache.
func (c *Compiler) make(ctx context.Context, b *build, digest, file string) error {
	code, err := c.disk.open(digest)
	if err == nil {
		_ = code.Close()
		c.trust(digest)
		c.told(true, 0, nil)
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		c.log.Warn("compiled code cannot be used, compiling anew", zap.String("digest", digest), zap.Error(err))
	}
	if err = c.compile(ctx, b, digest, file); err != nil {
		c.refused.note(digest, err)
		return err
	}
	c.trust(digest)
	err = c.disk.collect(func(other string) bool {
		return c.isSound(other, keepFor) || c.inUse != nil && c.inUse(other)
	})
	if err != nil {
		c.log.Warn("the disk has more compiled code than it should", zap.Error(err))
	}
	return nil
}

// compile compiles the module when its turn comes.
func (c *Compiler) compile(ctx context.Context, b *build, digest, file string) (err error) {
	size, err := c.look(file)
	if err != nil {
		return err
	}
	if err := c.await(ctx, b, size); err != nil {
		return err
	}
	defer c.finish(b)
	in, err := openModule(file)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := c.disk.create()
	if err != nil {
		return err
	}
	began := time.Now()
	err = c.how.run(ctx, digest, size, in, out)
	if ctx.Err() == nil {
		c.told(false, time.Since(began), err)
	}
	if err == nil {
		if _, err = checkCode(out, digest); err != nil {
			err = fmt.Errorf("the compiler's result cannot be used: %w", err)
		}
	}
	if err != nil {
		c.disk.discard(out)
		return err
	}
	c.log.Debug("compiled a module", zap.String("digest", digest), zap.Int64("bytes", size), zap.Duration("took", time.Since(began)))
	return c.disk.keep(out, digest)
}

// openModule does not wait for whom has the other end of a named pipe.
func openModule(file string) (*os.File, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("read the module: %w", err)
	}
	return f, nil
}

// look is the size of a module that may be compiled.
func (c *Compiler) look(file string) (size int64, err error) {
	f, err := openModule(file)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return 0, fmt.Errorf("read the module: %w", err)
	case !info.Mode().IsRegular():
		return 0, fmt.Errorf("read the module: %s is no regular file", file)
	case info.Size() > c.maxModule:
		return 0, fmt.Errorf("%w: it has %d bytes, and may have %d (--max-module-size)", ErrModuleTooLarge, info.Size(), c.maxModule)
	}
	var start [headerSize]byte
	n, err := f.ReadAt(start[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("read the module: %w", err)
	}
	return info.Size(), checkHeader(start[:n])
}

// await waits for the build's turn, and on success leaves it to finish to end that.
func (c *Compiler) await(ctx context.Context, b *build, size int64) error {
	c.mu.Lock()
	c.queue.enter(&b.ticket, size)
	b.queued = true
	turn := b.turn
	c.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		c.finish(b)
		return ctx.Err()
	}
}

// finish takes the build out of the queue.
func (c *Compiler) finish(b *build) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.leave(&b.ticket)
	b.queued = false
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
