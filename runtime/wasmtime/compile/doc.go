// Package compile says when a module is compiled, what that may take, and in which process it is
// done. It does not know the engine: the caller gives it the function that compiles (Engine).
//
// # When
//
// Modules wait in one of three lanes, by their size (bounds.go), so that a small one does not wait
// for large ones. In each lane as many are compiled at once as the Queue has slots: those that came
// first, but of a pod one at a time in all lanes together (queue.go). A Queue never blocks, and
// leaves locking to its caller. Refusals remembers the modules that were refused because of their
// content, so that they are refused again at once (refusals.go). It may be used from any goroutine.
//
// # What it may take
//
// Each compilation is bounded in memory, in processor time, in time, and in the size of what it
// writes, in proportion to the size of the module (bounds.go).
//
// # In which process
//
// A Runner starts a process for each compilation (process.go): the program of its Argv, whose main
// calls Main (main.go). The process has no environment and three open files: the module, the file
// for the code, and a pipe for an error. So the bytes of neither file are in the process that asks.
// It bounds itself by its arguments before it reads anything, and checks the module's digest as it
// reads. It is killed when the context of Run ends, or with the process that started it. Run waits
// until it has exited. A Runner without Argv compiles in this process, without bounds, and does not
// stop when the context ends.
package compile
