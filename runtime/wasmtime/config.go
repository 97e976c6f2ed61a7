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
	"github.com/krustlet-go/krustlet-wasi/runtime/network"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/codecache"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/compile"
)

// DefaultCacheSize bounds the compiled code on disk if the Config does not, in bytes. It is enough
// for some two hundred Go programs.
const DefaultCacheSize = 2 << 30

// The limits of one compilation if the Config does not set them: DefaultCompileMemory in bytes,
// DefaultCompileTime for an idle machine.
const (
	DefaultCompileMemory = compile.DefaultMemory
	DefaultCompileTime   = compile.DefaultTime
)

// bundledCompileMemory is the default with wasmtime-go's library, in bytes. With this limit, the
// compiler of that library cannot use numbers beyond their range.
const bundledCompileMemory = 2 << 30

// compileMemory is the default for the linked library, in bytes.
func compileMemory() int64 {
	if supported() {
		return DefaultCompileMemory
	}
	return bundledCompileMemory
}

// Config has the settings of an engine.
type Config struct {
	// CacheDir is the folder for compiled code. It is made if it is missing, must belong to this
	// user, and gets mode 0700.
	CacheDir string
	// CacheSize bounds the compiled code on disk, in bytes; 0 means DefaultCacheSize.
	CacheSize int64
	// Compiler is the beginning of the argument vector of a program that compiles one module. Its
	// main function calls CompileMain with the arguments after these. The agent uses its own
	// program, `/proc/self/exe`, and CompileCommand. If it is empty, the engine compiles in this
	// process, without the limits below: for tests, and for modules that are trusted.
	Compiler []string
	// LoadOnly makes an engine run only modules that are already compiled: Start returns
	// ErrNotCompiled for others. CacheDir may be missing or read-only, and nothing in it is
	// changed. A Compiler with the same CacheDir, in any process of this build, fills it.
	LoadOnly bool
	// MaxModuleSize bounds a module that is compiled, in bytes; 0 means runtime.DefaultMaxModule.
	MaxModuleSize int64
	// CompileMemory and CompileTime limit the compilation of a large module, in bytes and in time
	// of every processor. For memory, 0 means DefaultCompileMemory, or half of that with
	// wasmtime-go's library; for time it means DefaultCompileTime. Smaller modules have lower
	// limits, in proportion. In elapsed time, a compilation may take five times as long, so that it
	// can end on a busy machine, too.
	CompileMemory int64
	CompileTime   time.Duration
	// Compiled is called for modules that were requested from a Compiler. It gets whether the code
	// was in the cache, or how long the compilation took and its error. It may be nil, and must not
	// block.
	Compiled func(cached bool, took time.Duration, err error)
	// MaxGuests bounds the number of guests that run at the same time; 0 means no bound. The limits
	// of the system bound it in any case.
	MaxGuests int
	// Log gets messages about the engine, but not the output of guests.
	Log *zap.Logger
	// MaxMemory bounds the memory of a guest whose Spec has no limit, in bytes; 0 means 4 GiB.
	MaxMemory int64
	// Network is what decides for the guests in the network. If it is nil, the engine makes one that
	// knows no cluster. The engine closes it.
	Network *network.Cluster
	// AllowUnsafeEngine allows guests to run even if the linked engine is known to let them escape
	// on this machine.
	AllowUnsafeEngine bool
}

// prepare checks the settings, sets the defaults, and makes the folder.
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
	if !cfg.LoadOnly && !cfg.AllowUnsafeEngine { // with LoadOnly, the process that compiles does this check
		if err := checkEngine(goruntime.GOARCH, supported()); err != nil {
			return err
		}
	}
	return cfg.prepareCache()
}

// prepareCache makes sure that no other user can put code into the folder. It makes the folder if
// this engine may write it.
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

// cache is the cache of the compiled code of this build.
func (cfg *Config) cache() *codecache.Cache {
	return codecache.New(codecache.Config{Dir: cfg.CacheDir, Key: cacheKey(), Size: cfg.CacheSize, ReadOnly: cfg.LoadOnly})
}

// checkEngine returns an error if the engine is known to let guests escape.
func checkEngine(arch string, supported bool) error {
	if arch != "arm64" || supported {
		return nil
	}
	return fmt.Errorf("version %s lets guests out on arm64, in two ways that are known: build with `make engine`, or say --x-allow-unsafe-engine",
		bundledVersion)
}
