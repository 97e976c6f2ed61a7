package wasmtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	goruntime "runtime"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/codecache"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/compile"
)

// trustFor is how long code that was found complete is not read again, so that many starts of one
// module do not read it each time. Engines check code each time they load it.
const trustFor = time.Minute

// keepFor is how long such code is not removed. A caller that was told that the code is there has a
// minute to load it.
const keepFor = trustFor + time.Minute

// Errors of Compile.
var (
	// ErrModuleTooLarge is the error of a module that is larger than Config.MaxModuleSize.
	ErrModuleTooLarge = errors.New("the module is too large")
	// ErrCompileLimit means that a compilation exceeded its limit of memory or time.
	ErrCompileLimit = compile.ErrLimit
)

// Compiler compiles modules into the cache, for engines that never compile (Config.LoadOnly). It
// makes no engine and does not load the compiled code. It may be used from any goroutine.
type Compiler struct {
	disk      *codecache.Cache
	runner    *compile.Runner
	log       *zap.Logger
	maxModule int64                    // bytes
	inUse     func(digest string) bool // code that must not be removed; may be nil
	told      func(cached bool, took time.Duration, err error)
	refused   compile.Refusals

	mu     sync.Mutex
	closed bool
	builds map[string]*build // running builds, by digest
	queue  compile.Queue
	sound  map[string]sound // by digest
	works  sync.WaitGroup
}

// build makes one module's compiled code available in the cache.
type build struct {
	ticket  compile.Ticket     // guarded by Compiler.mu
	queued  bool               // guarded by Compiler.mu
	waiters int                // guarded by Compiler.mu
	done    chan struct{}      // closed when err is set
	err     error              // the reason why the code is not available
	cancel  context.CancelFunc // ends the build
}

// sound is a file of the cache, and the time when it was found complete.
type sound struct {
	at    time.Time
	file  os.FileInfo
	parts []part // of a component; nil if they were not read
}

// NewCompiler makes a Compiler from the settings for compilation: CacheDir, CacheSize, Compiler,
// CompileMemory, CompileTime, MaxModuleSize, Compiled and Log. It removes code of other versions
// that was not used for an hour.
func NewCompiler(cfg Config) (*Compiler, error) {
	if err := cfg.prepare(); err != nil {
		return nil, err
	}
	if cfg.LoadOnly {
		return nil, errors.New("a compiler that never compiles")
	}
	return newCompiler(cfg), nil
}

func newCompiler(cfg Config) *Compiler {
	c := &Compiler{
		disk:      cfg.cache(),
		runner:    &compile.Runner{Argv: cfg.Compiler, Memory: cfg.CompileMemory, Time: cfg.CompileTime, Engine: moduleCompiler()},
		log:       cfg.Log,
		maxModule: cfg.MaxModuleSize,
		builds:    map[string]*build{},
		queue:     compile.NewQueue(goruntime.GOMAXPROCS(0)),
		sound:     map[string]sound{},
		told:      cfg.Compiled,
	}
	if c.told == nil {
		c.told = func(bool, time.Duration, error) {}
	}
	if err := c.disk.RemoveStale(); err != nil {
		cfg.Log.Warn("compiled code of other versions stays on disk", zap.Error(err))
	}
	return c
}

// Compile makes sure that the complete compiled code of the module or component is in the cache,
// and stays there for at least a minute. pod is the UID of the pod that needs it, or empty; each
// pod has only one running compilation. When ctx ends, Compile returns; the compilation ends when
// no other call waits for it. An error other than ctx's says what is wrong with the module, or why
// it cannot be compiled or stored. Compile does not check that an engine could start the module.
//
// A component is checked first, and then its core modules are compiled one after the other.
func (c *Compiler) Compile(ctx context.Context, pod, digest, file string) error {
	if err := codecache.CheckDigest(digest); err != nil {
		return err
	}
	w := wantedFile(digest, file)
	if err := c.compileWanted(ctx, pod, w); err != nil || w.form != compile.AsComponent {
		return err
	}
	parts, err := c.partsOf(digest, file)
	if err != nil {
		return err
	}
	for i, part := range parts {
		if err := c.compileWanted(ctx, pod, part); err != nil {
			return fmt.Errorf("core module %d of the component: %w", i, err)
		}
	}
	return nil
}

func (c *Compiler) compileWanted(ctx context.Context, pod string, w wanted) error {
	digest := w.digest
	if c.isSound(digest, trustFor) {
		c.told(true, 0, nil)
		return nil
	}
	if err := c.refused.Find(digest); err != nil {
		c.told(false, 0, err)
		return err
	}
	b, err := c.join(pod, w)
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

// drop removes code that an engine refuses from the cache.
func (c *Compiler) drop(digest string) {
	c.mu.Lock()
	delete(c.sound, digest)
	c.mu.Unlock()
	if err := c.disk.Remove(digest); err != nil && !errors.Is(err, os.ErrNotExist) {
		c.log.Warn("compiled code that cannot be used stays on disk", zap.String("digest", digest), zap.Error(err))
	}
}

// Close ends the running compilations that have their own processes, and waits for all
// compilations. After that, Compile returns ErrClosed. A second call has no effect.
func (c *Compiler) Close() {
	c.mu.Lock()
	c.closed = true
	for _, b := range c.builds {
		b.cancel()
	}
	c.mu.Unlock()
	c.works.Wait()
}

// join adds a waiting call to the build of the module. It starts the build if none is running.
func (c *Compiler) join(pod string, w wanted) (*build, error) {
	digest := w.digest
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	b := c.builds[digest]
	if b == nil {
		ctx, cancel := context.WithCancel(context.Background())
		b = &build{done: make(chan struct{}), cancel: cancel, ticket: compile.NewTicket()}
		c.builds[digest] = b
		c.works.Go(func() {
			defer cancel()
			b.err = c.make(ctx, b, w)
			c.mu.Lock()
			c.remove(digest, b)
			c.mu.Unlock()
			close(b.done)
		})
	}
	b.waiters++
	b.ticket.Add(pod)
	if b.queued {
		c.queue.Advance()
	}
	return b, nil
}

func (c *Compiler) leave(pod, digest string, b *build) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b.ticket.Remove(pod)
	if b.waiters--; b.waiters > 0 {
		return
	}
	if c.runner.Cancellable() {
		c.remove(digest, b) // the next call starts another build
		b.cancel()
	} else if b.queued {
		c.queue.Advance()
	}
}

// remove removes a build from the map, unless another build of the module has replaced it. The
// caller holds the mutex.
func (c *Compiler) remove(digest string, b *build) {
	if c.builds[digest] == b {
		delete(c.builds, digest)
	}
}

// make makes sure that the code is in the cache.
func (c *Compiler) make(ctx context.Context, b *build, w wanted) error {
	digest := w.digest
	code, err := c.disk.Open(digest)
	if err == nil {
		_ = code.Close()
		c.trust(digest)
		c.told(true, 0, nil)
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		c.log.Warn("compiled code cannot be used, the module is compiled again", zap.String("digest", digest), zap.Error(err))
	}
	if err = c.compile(ctx, b, w); err != nil {
		c.refused.Note(digest, err)
		return err
	}
	c.trust(digest)
	err = c.disk.Collect(func(other string) bool {
		return c.isSound(other, keepFor) || c.inUse != nil && c.inUse(other)
	})
	if err != nil {
		c.log.Warn("the disk has more compiled code than it should", zap.Error(err))
	}
	return nil
}

// compile waits for the build's turn and compiles the module.
func (c *Compiler) compile(ctx context.Context, b *build, w wanted) (err error) {
	digest := w.digest
	size, err := w.look(c.maxModule)
	if err != nil {
		return err
	}
	if err := c.await(ctx, b, size); err != nil {
		return err
	}
	defer c.leaveQueue(b)
	in, err := w.open()
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := c.disk.Create()
	if err != nil {
		return err
	}
	began := time.Now()
	err = c.runner.Run(ctx, compile.Module{Form: w.form, Digest: digest, Size: size}, in, out)
	if ctx.Err() == nil {
		c.told(false, time.Since(began), err)
	}
	if err == nil {
		if _, err = c.disk.Check(out, digest); err != nil {
			err = fmt.Errorf("using the compiler's result: %w", err)
		}
	}
	if err != nil {
		c.disk.Discard(out)
		return err
	}
	c.log.Debug("compiled a module", zap.String("digest", digest), zap.Int64("bytes", size), zap.Duration("took", time.Since(began)))
	return c.disk.Keep(out, digest)
}

// await waits for the build's turn. After success, the caller must call leaveQueue at the end of
// the turn.
func (c *Compiler) await(ctx context.Context, b *build, size int64) error {
	c.mu.Lock()
	c.queue.Enter(&b.ticket, size)
	b.queued = true
	turn := b.ticket.Turn()
	c.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		c.leaveQueue(b)
		return ctx.Err()
	}
}

func (c *Compiler) leaveQueue(b *build) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.Leave(&b.ticket)
	b.queued = false
}

// trust notes that the module's file is complete.
func (c *Compiler) trust(digest string) {
	info, err := c.disk.Stat(digest)
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
	c.sound[digest] = sound{at: time.Now(), file: info, parts: c.sound[digest].parts}
}

// isSound reports whether the module's file was found complete within this time, and has not
// changed.
func (c *Compiler) isSound(digest string, within time.Duration) bool {
	c.mu.Lock()
	s, is := c.sound[digest]
	c.mu.Unlock()
	if !is || time.Since(s.at) > within {
		return false
	}
	info, err := c.disk.Stat(digest)
	return err == nil && os.SameFile(info, s.file) && info.Size() == s.file.Size() && info.ModTime().Equal(s.file.ModTime())
}
