// Package instance runs linked components: handles, calls between component instances, resources,
// tasks, waitables, streams and futures, as the canonical ABI has them.
//
// # Turns
//
// Of all that happens in an Instance, one thing happens at a time. What runs has the turn. A
// goroutine that calls an export takes the turn when it is free, and then runs all tasks of the
// Instance until its own call has a result. Functions of the host are called in the turn; a
// function that is async may answer later. Post, from any goroutine, has something done in the
// turn.
//
// # Stacks
//
// A component instance has a store, and a store has at most one stack. A task that waits in a
// callback has none. A task that waits within the guest keeps its goroutine, and what else has to
// run in that store then runs above it, on the same goroutine. Where a lower call on such a stack
// would have to go on before the one above it, the guest traps.
//
// Tasks that the host calls, and callbacks, run on the goroutine that has the turn. A goroutine is
// added where one component calls another one without waiting for it, and where a task waits within
// the guest while there are others. A Call whose task waits within the guest on the caller's
// goroutine returns when that task has gone on to its end or to its next callback, even if there
// was a result before; lift is called when there is one.
//
// # Faults
//
// A trap, or an error that a function of the host unwinds with, ends the Instance: nothing in it
// runs again. A panic of the host does, too; it becomes a Panic. Kill does the same from outside.
// Its caller must also interrupt the engine, as guest code that runs does not look. Close waits
// until all goroutines have left.
package instance
