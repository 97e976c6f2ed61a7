// Package pool runs guests in other processes, the workers. They live longer than the agent that
// started them. A Pool is the agent's side, and implements runtime.Engine. Package host is the
// worker's side, and package wire has what both share: messages, files and arguments.
//
// # Which worker
//
// Shared workers have numbers from 0, and a pod's number is computed from its UID. A pod with
// guests in a shared worker stays there. A pod whose runs are Isolated has its own worker. The pool
// starts a worker when the first guest needs it. A command (a guest that names a pod and no
// container, or nothing) goes to the worker of the run beside which it runs. Without such a run it
// goes to the worker for the pod's next container.
//
// Before each start, the pool has the module compiled (Config.Compiler), because workers only load
// code from disk.
//
// # A worker's life
//
// Package wire describes a worker's folder and the files beside it. The agent removes a folder that
// no process holds. The agent accepts only processes of its own user and of root at the other end
// of a connection.
//
// Open adopts the workers that it finds, and returns when each has listed its runs. It kills a
// worker that does not do so within Config.Patience, or whose protocol the agent does not
// understand, because the pods of such a worker will be started again. If the process that holds a
// lock is not a worker, by its user and its command, the agent does not touch it, and logs a
// warning with its number. The agent drains a worker of another build, or with a number that is no
// longer used: its guests continue, and commands beside them run there, but it gets no new runs.
// The agent shuts it down when the last of its runs is forgotten. It shuts down the worker of an
// isolated pod two seconds after that. A worker without runs and without an agent exits by itself
// (host.Config.Idle). Its folder stays for the next agent.
//
// # What the agent trusts
//
// A guest may have taken control of its worker. So the agent gets the worker's process from the
// lock, its start time from /proc, and its slot from the record. It uses nothing in the folder
// except the socket, which must belong to that process. Each start sends a mark of the run, made
// with NAME.key, and a worker sends this mark with each run that it lists. So a worker can only
// claim runs that an agent has started in it, and can say nothing about others. A message has at
// most 8 MiB, and a worker at most 65,536 runs; texts are cut to 4 KiB. About its own runs a worker
// can say anything.
//
// A worker that an agent of an earlier version has started has no record and no key. Its process is
// the one that the kernel lists for the lock (flock) of its folder, or the one that listens at its
// socket. The agent drains it, and believes it only about runs that no worker with a key has
// claimed.
//
// Close does not end workers and runs, but kills commands. Before that it sends workers the
// remaining calls (Stop, Forget), for at most two seconds.
//
// # No guest twice, every exit kept
//
// While an agent is connected to a worker, it has a Watch there: see package host. A start is in
// the list at the beginning of a Watch, or it will never succeed. A Start that is cancelled waits
// until the worker has undone it, for at most ten seconds. If the worker cannot be reached, it
// undoes the start later.
//
// Workers keep exits until Guest.Forget. If a connection breaks, the pool connects again, and the
// list has everything that has happened in between. The pool repeats Stop and Forget until they
// succeed. Commands end when the connection breaks.
//
// # Exit of a worker
//
// Only a worker's pidfd shows that it has exited; a broken connection does not show this. Exits
// that the worker reported before are kept. Guests that were running get code 128 + signal (137 if
// there was no signal or it is not known) and a message that names the process and how it exited. A
// running start is tried once more in a new worker.
//
// # The network
//
// Config.Network knows what the cluster says of the network, and the pool keeps nothing of it. With
// each new Watch, a worker is told everything, and then each change. A start of a run waits until
// its worker knows the state of the network at that time. A worker that outlives its agent keeps
// what it knows until the next agent tells everything. What the network refuses to guests is
// believed of the worker's own pods only.
//
// # Blocking
//
// Spans gives requests that handlers have answered, of all workers, until its context ends. The
// workers keep none while it is not called. Workers of older builds have none.
//
// Stop, Forget, Done, Exit and Runs do not wait for a worker. Stats, of one guest or of all, and
// HostCalls wait a second, and then return the last known values. Attach and commands carry
// streams. At most 1 MiB may be on its way that the reader has not read; then the guest waits. When
// a command was stopped, its reader is abandoned 100 ms after the grace period. When a command or
// an Attach has ended, Reads and Writes of the caller's streams that still block are abandoned:
// they return when the owner of the stream closes it.
//
// # Ownership
//
// Every goroutine of a Pool ends with Close, which waits for it, except goroutines that blocked
// streams hold. While the Pool is open, it reaps workers that are children of this process.
package pool
