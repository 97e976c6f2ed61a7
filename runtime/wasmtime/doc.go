// Package wasmtime runs containers in this process, on the wasmtime engine. It is the only package of the
// project with cgo.
//
// # A guest's life
//
// Start reads the module, compiled (see below), makes a guest, and returns once the guest runs. A guest (guest.go) has what is the
// same whatever it is asked to do: its log and streams, its account of memory, its end. What it is asked to do is its work
// (work.go), of one kind so far: a WASI command in a core module (command.go). A command has one instance in one store, and runs on
// the guest's own goroutine and thread, from its instantiation to its end. That goroutine makes, uses and deletes the store
// (store.go). What others may touch is its kill switch, an atomic flag, and what it has used.
//
// Host functions are the table of package runtime/wasi/preview1; each names the module that it belongs
// to. They are defined once, in a linker that all modules share; each call finds its guest through the
// store that it comes from, and that guest's Go half by a number (handles). A call that ends its guest
// (proc_exit, a kill, a panic of the host function) leaves its reason with the guest and becomes a trap.
//
// A run of a pod is found by Engine.Runs from the return of its Start until Forget. One that has ended keeps its exit and
// what it has used, a few hundred bytes, and nothing of its guest.
//
// # Streams
//
// What a guest writes goes to its log, and to the streams that are attached, at its start or later, through a goroutine
// of each attacher: both streams in the order of its writes. 64 KiB may be on the way to each; then the guest waits for the
// reader. When the guest has ended by itself, Done waits until the reader has taken everything, for at most
// a second where the guest has a log, else until a kill. A killed guest's reader has 10 ms. Then a Write
// that still blocks is left behind, and ends when the owner of the stream closes it. An attached stream that
// fails is left out from then on; only where there is no log, and it was attached at the start, the guest gets the error. An
// Attach whose context ends, or of which a stream fails, returns at once and holds the guest no more. What is
// said of a guest's end (see Exit.Message) goes the way of its standard error.
//
// Standard input that is kept open (Spec.Stdin) is fed by one attacher at a time. Nothing of it is stored here: an
// attacher's Read is under way from the start, and what it has read waits, 16 KiB at most, until the guest reads; what an
// attacher that goes had read and not given is lost. A guest that reads while nobody is attached waits. Such a Read that does not
// return when its attacher goes is left to the stream's owner, and its bytes go nowhere.
//
// # Stopping
//
// WASI has no signals. Stop with a grace period tells the guest in the two ways that it can see: at once its
// standard input is at its end, and its listening sockets accept nothing more (connections that it has
// stay). Programs that serve what they read or accept come to their end by themselves; one that does not is
// killed when the period is over. A later Stop can only bring that forward.
//
// A kill cancels the guest's context, which ends host calls that block, sets the flag, and moves the
// engine's epoch on, which makes code that runs look at the flag. While guests run, the epoch also moves
// every 10 ms, so that a kill that comes between the two is seen.
//
// # Processor time
//
// What a guest uses is what its thread uses by the kernel's account, host calls included. At each epoch in
// which it runs, a guest with a limit waits until its use is within it, seen over 100 ms (throttle.go).
// Guests that compute without a pause take turns, as many at a time as there are processors (turns.go), so
// that a guest that waits for something, the agent, and a guest that is killed find a free processor,
// however many guests spin. Guests' threads are nicer by 5 than the process; a guest that is killed loses
// that, where the process has the privilege (CAP_SYS_NICE).
//
// # Memory
//
// A container has one account of memory, which its run and the sessions beside it share (account.go). Memories and tables ask it
// before they grow, through functions that package translate adds; the collector's heap asks through the store's limiter. A guest
// whose account is full sees memory.grow fail. It is OOMKilled if it ends badly and what it asked for last was refused. What the host
// holds besides is taken from the account when the guest begins, as far as it is more than a container has free. A module that
// takes more than the guest may have is not given to the engine.
//
// A run ends its sessions, and is done when they are: none has memory of a container that has ended.
//
// # Compiled code
//
// A module is compiled once per digest, engine version and settings, however many ask at the same time. Modules wait in one
// of three lanes, by their size (bounds.go); in each, at most GOMAXPROCS are compiled at once, those that came first, but of a pod
// one at a time in all lanes together (queue.go). With Config.Compiler, a process of its own does it, without environment; its
// open files are the module's, the file for the code, and a pipe for an error, so that the bytes of neither are in this process. It
// checks the module's digest as it reads. It is bound in memory, processor time, time and size of the file, in proportion to the
// size of the module, and of low priority; it is killed when nobody waits for it any more, or with this process. Without
// Config.Compiler, it is done here, and goes on when nobody waits.
//
// A module that was refused for what it is, 512 of them, is refused at once when it is asked for again; one that took too much is
// not remembered, nor are errors of the system.
//
// The two halves may live in different processes: a Compiler fills the cache, and an engine with Config.LoadOnly
// only loads from it, changes nothing in it, and answers ErrNotCompiled for what is missing or damaged. Compile looks at
// a file of the cache at most once a minute, so that it costs next to nothing before each start; what is damaged
// without a trace on the file is made good after that time.
//
// Compiled code is kept in CacheDir, a file a module. A SHA-256 over code, digest, engine version and
// settings is checked before the engine maps the file, read-only; a file that does not match, or that others
// may write, is compiled anew, and so is one that the engine refuses, where it is the one that compiles. A file is never changed
// once it has its name; removed, it lives on for those who have it mapped. On a disk that is mounted noexec, code is copied. Code that
// nothing runs stays mapped for five minutes at most, 64 MiB and 16 modules of it; a module costs an open file. The files that
// were used the longest ago are removed beyond CacheSize, never those of guests that run in this process, or that were asked for
// within a minute or two. Folders of other versions, and of machines with another
// processor, go, an hour after their last use.
//
// # How many
//
// New computes how many guests the system can bear: memory areas (vm.max_map_count), threads (kernel, user,
// control group), memory, addresses, open files. The number is logged. A Start beyond it gives ErrFull; to go on would
// end the process, with all guests. What other processes take later is not foreseen but for a reserve.
//
// # Ownership
//
// Engine.Close kills what runs and waits for it and for compilations under way. Nothing depends on
// finalizers. The process changes: see New.
package wasmtime
