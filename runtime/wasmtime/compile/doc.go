// Package compile decides when a module is compiled, with which limits, and in which process. It
// does not know the engine: the caller gives it the function that compiles (Engine).
//
// # When
//
// Modules wait in one of three lanes, by their size (bounds.go), so that a small module does not
// wait for large ones. In each lane the Queue runs as many compilations at once as it has slots, in
// the order of arrival. But each pod has only one running compilation at a time, in all lanes
// together (queue.go). A Queue never blocks, and its caller does the locking. Refusals remembers
// the modules that were refused because of their content, so that they are refused again at once
// (refusals.go). It may be used from any goroutine.
//
// # What it may take
//
// Each compilation has limits for memory, processor time, elapsed time, and the size of its output,
// in proportion to the size of the module (bounds.go).
//
// # In which process
//
// A Runner starts a process for each compilation (process.go): the program of its Argv, whose main
// function calls Main (main.go). The process has no environment and three open files: the module,
// the file for the code, and a pipe for an error. So the calling process never holds the bytes of
// either file. The new process sets its own limits from its arguments before it reads anything, and
// checks the module's digest while it reads. It is killed when the context of Run ends, or together
// with the process that started it. Run waits until it has exited. A Runner without Argv compiles
// in this process, without limits, and does not stop when the context ends.
package compile
