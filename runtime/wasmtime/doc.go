// Package wasmtime runs containers in this process, on the wasmtime engine. It is the only package
// of the project with cgo. Its subpackages need none:
//
//	admission   how many guests the system allows, and the slots that guests take
//	codecache   compiled code on disk
//	compile     when a module is compiled, with which limits, and in which process
//	message     the length limit of texts about a guest
//	processor   limits of processor time, turns, priorities
//	stdio       a guest's standard input and output, and the attached clients
//	translate   reads, bounds and rewrites modules before the engine compiles them
//
// # A guest's life
//
// Start loads the compiled module (see below), makes a guest, and returns when the guest runs. A
// guest (guest.go) has what all kinds of runs share: its log and streams, its account of memory,
// its end. What it is asked to do is its work (work.go). A WASI command in a core module
// (command.go) has one instance in one store, and runs on the guest's own goroutine and thread,
// from its instantiation to its end. That goroutine makes, uses and deletes the store (store.go).
// Other goroutines may use its kill switch, an atomic flag, and read what it has used. All that is
// in what the stores of a guest share (shared.go). A command that is a component
// (componentcommand.go) is the same with a machine in the place of the store.
//
// An HTTP handler (componenthandler.go) has a server and its sockets, and neither a thread nor an
// instance while there are no requests. Each instance is a machine of its own, made when a request
// needs one; package runtime/component/handler decides when, and runs it on the threads of the
// requests. All machines take from the guest's account and share its limit of processor time.
//
// Host functions are the table of package runtime/wasi/preview1; each has the name of its module.
// They are defined once, in a linker that all modules share. Each call finds its guest through the
// store that it comes from, and the guest's Go part by a number (handles.go). A call that ends its
// guest (proc_exit, a kill, a panic of the host function) stores its reason in the guest and
// becomes a trap.
//
// Engine.Runs shows a run of a pod from the return of its Start until Forget. For a run that has
// ended, only its exit and its usage are kept, a few hundred bytes.
//
// # Components
//
// The engine knows core modules only. A component's plan (package runtime/component/plan) says
// which of them are instantiated in which stores. It is translated for C once (plan.go), and
// checked: a plan that cannot be carried out is an error, whatever made it. An instance of a
// component is a machine (machine.go), with a store for each of the plan's. Steps up to a stop are
// carried out in one call of C (plan.c). Host functions are numbers, which Go answers for each
// store.
//
// What a guest has holds for all its stores together: account, limit of processor time, kill
// switch, what it was refused. Its threads are those that the machine was told of (Thread, Go). A
// store is entered by one of them at a time, and a thread that is inside may enter again; another
// one that tries ends the guest, since the engine would end the process. Each store may use a whole
// stack, so a thread enters one only while that much of its own stack is left.
//
// The type of what the host calls is not compared with each call. Translation notes which exports
// of a part have numbers only, and how many, and the plan has that of each item: so a wrong number
// of values, or a value that is no number, never reaches the engine. That the types are the right
// ones is for validation.
//
// # Streams
//
// Package stdio describes how output and input travel. Done waits for Output.Close. If an attached
// stream fails, this is an error of the guest only if there is no log and the stream was attached
// at the start. The reason why a guest ended (see Exit.Message) is written to its standard error.
//
// # Stopping
//
// WASI has no signals. A Stop with a grace period tells the guest in the two ways that it can
// notice: at once its standard input ends, and its listening sockets accept no more connections
// (the guest keeps those that it has). Programs that serve what they read or accept then end by
// themselves. Other guests are killed at the end of the period. A later Stop can only make the kill
// earlier.
//
// A kill cancels the guest's context, which ends host calls that block. It sets the flag, and
// advances the engine's epoch, so that running code checks the flag. While guests run, the epoch
// also advances every 10 ms, so that a kill between these two steps is noticed.
//
// # Processor time
//
// The usage of a guest is the processor time that the kernel counts for its thread, with host
// calls. At each epoch in which it runs, a guest may have to wait (package processor): until its
// usage is within its limit, and for its turn if it computes without a pause. The nice value of
// guests' threads is 5 above that of the process. A guest that is killed gets the priority of the
// process back, if the process has the privilege (CAP_SYS_NICE).
//
// # Memory
//
// A container has one account of memory, which its run and the commands beside it share
// (account.go). Memories and tables ask the account before they grow, through functions that
// package translate adds; the garbage collector's heap asks through the store's limiter. If the
// account is full, memory.grow fails in the guest. The guest is OOMKilled if it fails and its last
// request for memory was refused. The host's own memory for the guest is taken from the account
// when the guest starts, except for an amount that each container has free. If a module needs more
// than the guest may have, it is not loaded into the engine.
//
// A run kills its commands when it ends, and Done waits for them, so that no command uses memory of
// a container that has ended.
//
// # Compiled code
//
// A module is compiled once per digest, engine version and settings, however many calls ask for it
// at the same time. A component's modules are compiled one by one, each in the form of a part,
// which keeps all exports: components that have the same module share its code. Package compile
// says when, and with which bounds. With Config.Compiler, a process of its own compiles it; that is
// killed when no call waits for it any more. Without, it is compiled here, and that goes on when no
// call waits. A module that was refused because of its content is refused at once when it is asked
// for again, 512 of them. One that took too much is not remembered, nor are errors of the system.
//
// The compiler and the engine may be in different processes: a Compiler fills the cache, and an
// engine with Config.LoadOnly only loads from it. Such an engine changes nothing in the cache, and
// returns ErrNotCompiled for missing or damaged code. Compile reads a file of the cache at most
// once a minute, so that a call before each start costs almost nothing. Damage that does not change
// the file's attributes is repaired after that time.
//
// Package codecache keeps the code, and checks a file before the engine maps it, read-only. If a
// module's file does not match, or other users can write it, the module is compiled again. The same
// happens if the engine refuses the file and has a compiler. From a disk that is mounted noexec,
// code is copied. Code that no guest runs stays mapped for at most five minutes, and only for 64
// MiB and 16 modules. Each module costs an open file. When the cache is larger than CacheSize, the
// least recently used files are removed, except those of guests that run in this process, and those
// that were requested within the last minute or two.
//
// # How many
//
// New finds out how many guests the system allows (package admission), and logs the number. A Start
// above it returns ErrFull.
//
// # Ownership
//
// Engine.Close kills all guests, and waits for them and for running compilations. The package needs
// no finalizers. The engine changes its process: see New.
package wasmtime
