// Package wasmtime runs containers in this process, on the wasmtime engine. It is the only package
// of the project with cgo. Its rooms need none:
//
//	admission   how many guests the system can bear, and the slots that guests take
//	codecache   compiled code on disk
//	compile     when a module is compiled, what that may take, and in which process
//	message     how long a text about a guest may be
//	processor   limits of processor time, turns, priorities
//	stdio       a guest's standard input and output, and the clients that are attached
//	translate   modules before the engine compiles them: read, bounded, rewritten
//
// # A guest's life
//
// Start loads the module, compiled (see below), makes a guest, and returns once the guest runs. A
// guest (guest.go) has what all kinds of runs share: its log and streams, its account of memory,
// its end. What it is asked to do is its work (work.go), of one kind so far: a
// WASI command in a core module (command.go). That has one instance in one store, and runs on the
// guest's own goroutine and thread, from its instantiation to its end. That goroutine makes, uses
// and deletes the store (store.go). Other goroutines may use its kill switch, an atomic flag, and
// read what it has used. All that is in what the stores of a guest share (shared.go).
//
// Host functions are the table of package runtime/wasi/preview1; each names the module that it
// belongs to. They are defined once, in a linker that all modules share. Each call finds its guest
// through the store that it comes from, and that guest's Go half by a number (handles.go). A call
// that ends its guest (proc_exit, a kill, a panic of the host function) leaves its reason with the
// guest and becomes a trap.
//
// Engine.Runs shows a run of a pod from the return of its Start until Forget. A run that has ended
// keeps its exit and what it has used, a few hundred bytes, and nothing else of its guest.
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
// Package stdio says how output and input travel. Done waits for Output.Close. An attached stream
// that fails is an error of the guest only where there is no log and it was attached at the start.
// Why a guest ended (see Exit.Message) is written to its standard error.
//
// # Stopping
//
// WASI has no signals. Stop with a grace period tells the guest in the two ways that it can see: at
// once its standard input is at its end, and its listening sockets accept no more connections (it
// keeps those that it has). Programs that serve what they read or accept then end by themselves. A
// guest that does not is killed at the end of the period. A later Stop can only bring that forward.
//
// A kill cancels the guest's context, which ends host calls that block, sets the flag, and moves
// the engine's epoch on, so that code that runs looks at the flag. While guests run, the epoch also
// moves every 10 ms, so that a kill that comes between the two is seen.
//
// # Processor time
//
// What a guest uses is what the kernel counts for its thread, host calls included. At each epoch in
// which it runs, a guest may be held back (package processor): it waits until its use is within its
// limit, and for its turn if it computes without a pause. Guests' threads are nicer by 5 than the
// process. A guest that is killed gets the priority of the process back, where the process has the
// privilege (CAP_SYS_NICE).
//
// # Memory
//
// A container has one account of memory, which its run and the commands beside it share
// (account.go). Memories and tables ask it before they grow, through functions that package
// translate adds; the collector's heap asks through the store's limiter. A guest whose account is
// full sees memory.grow fail. It is OOMKilled if it fails and what it asked for last was refused.
// What the host holds besides is taken from the account when the guest begins, as far as it is more
// than a container has free. A module that takes more than the guest may have is not given to the
// engine.
//
// A run kills its commands when it ends, and Done waits for them: none has memory of a container
// that has ended.
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
// The two halves may live in different processes: a Compiler fills the cache, and an engine with
// Config.LoadOnly only loads from it, changes nothing in it, and answers ErrNotCompiled for what is
// missing or damaged. Compile reads a file of the cache at most once a minute, so that it costs
// next to nothing before each start. Damage that left no trace on the file is repaired after that
// time.
//
// Package codecache keeps the code, and checks a file before the engine maps it, read-only. A
// module whose file does not match, or can be written by other users, is compiled again. So is one
// whose file the engine refuses, where the engine has a compiler. On a disk that is mounted noexec,
// code is copied. Code that no guest runs stays mapped for five minutes at most, 64 MiB and 16
// modules of it; a module costs an open file. Beyond CacheSize, the files that were used the
// longest ago are removed, but not those of guests that run in this process, or that were asked for
// within a minute or two.
//
// # How many
//
// New looks how many guests the system can bear (package admission), and logs the number. A Start
// beyond it gives ErrFull.
//
// # Ownership
//
// Engine.Close kills what runs and waits for it and for compilations under way. Nothing depends on
// finalizers. The process changes: see New.
package wasmtime
