package wasmtime

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"time"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/codecache"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/compile"
)

// DefaultCacheSize bounds the compiled code on disk where the Config does not, in bytes: it holds
// some two hundred Go programs.
const DefaultCacheSize = 2 << 30

// The most that one compilation may take where the Config does not say it: DefaultCompileMemory in
// bytes, DefaultCompileTime on an idle machine.
const (
	DefaultCompileMemory = compile.DefaultMemory
	DefaultCompileTime   = compile.DefaultTime
)

// bundledCompileMemory is the default with wasmtime-go's library, in bytes. Within it no compiler
// of that library takes numbers beyond their range.
const bundledCompileMemory = 2 << 30

// compileMemory is the default for the linked library, in bytes.
func compileMemory() int64 {
	if supported() {
		return DefaultCompileMemory
	}
	return bundledCompileMemory
}

// Config is what an engine needs.
type Config struct {
	// CacheDir is the folder for compiled code. It is made if it is missing, must be this user's,
	// and gets mode 0700.
	CacheDir string
	// CacheSize bounds the compiled code on disk, in bytes; 0 is DefaultCacheSize.
	CacheSize int64
	// Compiler is the start of the argument vector of a program that compiles one module: its main
	// calls CompileMain with the arguments behind these. The agent names itself, `/proc/self/exe`
	// and CompileCommand. Empty compiles in this process, without the bounds below: for tests, and
	// for modules that are trusted.
	Compiler []string
	// LoadOnly makes an engine run only modules that are compiled already: Start gives
	// ErrNotCompiled for others. CacheDir may be missing, and may be read-only; nothing in it is
	// changed. A Compiler with the same CacheDir, in any process of this build, fills it.
	LoadOnly bool
	// MaxModuleSize bounds a module that is compiled, in bytes; 0 is runtime.DefaultMaxModule.
	MaxModuleSize int64
	// CompileMemory and CompileTime bound the compilation of a large module, in bytes and in time
	// of every processor. 0 is DefaultCompileMemory, or half of that with wasmtime-go's library,
	// and DefaultCompileTime. Smaller modules have less, in proportion. By the wall clock a
	// compilation may take five times as long, so that it ends on a busy machine too.
	CompileMemory int64
	CompileTime   time.Duration
	// Compiled is called for modules that a Compiler was asked for. It is told that their code was
	// in the cache, or how long it took to compile them and what went wrong. It may be nil, and
	// must not block.
	Compiled func(cached bool, took time.Duration, err error)
	// MaxGuests bounds the guests at a time. What the system can bear bounds them too, and alone
	// if this is 0.
	MaxGuests int
	// Log gets what concerns the engine and not one guest's own output.
	Log *zap.Logger
	// MaxMemory bounds the memory of a guest whose Spec has no limit, in bytes; 0 is 4 GiB.
	MaxMemory int64
	// AllowUnsafeEngine lets guests run although the linked engine is known to let them out on this
	// machine.
	AllowUnsafeEngine bool
}

// prepare checks the settings, sets those that are not set, and makes the folder.
func (cfg *Config) prepare() error {
	if cfg.Log == nil {
		return errors.New("no logger")
	}
	if !filepath.IsAbs(cfg.CacheDir) {
		return fmt.Errorf("the folder for compiled code must be an absolute path, got %q", cfg.CacheDir)
	}
	if min(cfg.CacheSize, cfg.MaxModuleSize, cfg.CompileMemory, int64(cfg.CompileTime), int64(cfg.MaxGuests), cfg.MaxMemory) < 0 {
		return errors.New("CacheSize, MaxModuleSize, CompileMemory, CompileTime, MaxGuests and MaxMemory must not be negative")
	}
	if cfg.MaxModuleSize == 0 {
		cfg.MaxModuleSize = runtime.DefaultMaxModule
	}
	if cfg.CacheSize == 0 {
		cfg.CacheSize = DefaultCacheSize
	}
	if cfg.CompileMemory == 0 {
		cfg.CompileMemory = compileMemory()
	}
	if cfg.CompileTime == 0 {
		cfg.CompileTime = DefaultCompileTime
	}
	if err := compile.CheckArgv(cfg.Compiler); err != nil {
		return fmt.Errorf("making the engine: %w", err)
	}
	if !cfg.LoadOnly && !cfg.AllowUnsafeEngine { // the process that compiles answers for the engine
		if err := checkEngine(goruntime.GOARCH, supported()); err != nil {
			return err
		}
	}
	return cfg.prepareCache()
}

// prepareCache makes sure that no other user puts code into the folder, and makes it where this
// engine may write it.
func (cfg *Config) prepareCache() error {
	prepare := codecache.Prepare
	if cfg.LoadOnly {
		prepare = codecache.CheckOwner
	}
	err := prepare(cfg.CacheDir)
	if cfg.LoadOnly && errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("making the folder for compiled code: %w", err)
	}
	return nil
}

// cache is where the compiled code of this build is.
func (cfg *Config) cache() *codecache.Cache {
	return codecache.New(codecache.Config{Dir: cfg.CacheDir, Key: cacheKey(), Size: cfg.CacheSize, ReadOnly: cfg.LoadOnly})
}

// checkEngine returns an error where the engine is known to let guests out.
func checkEngine(arch string, supported bool) error {
	if arch != "arm64" || supported {
		return nil
	}
	return fmt.Errorf("version %s lets guests out on arm64, in two ways that are known: build with `make engine`, or say --x-allow-unsafe-engine",
		bundledVersion)
}
