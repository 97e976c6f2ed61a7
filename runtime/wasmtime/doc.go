// Package wasmtime runs containers in this process, on the wasmtime engine. It is the only package of the
// project with cgo.
//
// # A guest's life
//
// Start reads the module, compiled (see below), makes a process, and returns once its instance exists. Each
// guest has one goroutine, locked to one thread, from its instantiation to its end; everything of the engine
// that belongs to a guest (its store) is made, used and deleted by that goroutine. The one thing that others
// touch is the guest's kill switch, an atomic flag that stays valid until the process has forgotten it.
//
// Host functions are the table of package runtime/wasi. They are defined once, in a linker that all modules
// share; each call finds its guest through the store that it comes from. A call that ends its guest (proc_exit,
// a kill, a panic of the host function) leaves its reason with the guest and becomes a trap.
//
// # Stopping
//
// A kill cancels the guest's context, which ends host calls that block, sets the flag, and moves the engine's
// epoch on, which makes code that runs look at the flag. While guests run, the epoch also moves every 10 ms, so
// that a kill that comes between the two is seen.
//
// # Compiled code
//
// A module is compiled once per digest, engine version and settings, however many ask at the same time; at
// most GOMAXPROCS compile at once. Who waits may give up, the compilation goes on and is kept. Compiled code is
// kept in CacheDir, a file a module, whose SHA-256 is checked before any of it is given to the engine; a file
// that does not match is compiled anew. Nobody but this user may be able to write there.
//
// # Ownership
//
// Engine.Close kills what runs and waits for it and for compilations under way. Nothing depends on finalizers.
package wasmtime
