// Package pool runs guests in other processes: workers, which outlive the agent that started them.
// A Pool is the agent's side, and a runtime.Engine itself. Package host is the worker's side, and
// package wire what both agree on: messages, files and arguments.
//
// # Which worker
//
// Shared workers are numbered from 0, and a pod's number follows from its UID. A pod with guests in
// a shared worker stays there. A pod whose runs are Isolated has a worker of its own. The pool
// starts a worker when the first guest needs it. A command (a guest that names a pod and no
// container, or nothing) goes to the worker of the run that it is beside; without such a run it
// goes where the pod's next container would.
//
// Before each start, the pool has the module compiled (Config.Compiler): workers only load code
// from disk.
//
// # A worker's life
//
// Package wire describes a worker's folder and the files beside it. A folder that no process holds
// is rubbish, and the agent removes it. The agent turns processes of other users away, except
// root's.
//
// Open adopts the workers that it finds, and returns when each has said what it runs. It kills a
// worker that does not say so within Config.Patience, or whose protocol the agent does not
// understand: the pods of such a worker are about to be started again. If the process that holds a
// lock is no worker, by its user and its command, the agent leaves it, and a warning names it. The
// agent drains a worker of another build, or with a number that is no longer in use: its guests go
// on, and commands beside them run there, but it gets no new runs. The agent shuts it down when the
// last of its runs is forgotten. It shuts down the worker of an isolated pod two seconds after
// that. A worker without runs and without an agent exits by itself (host.Config.Idle). Its folder
// stays for the next agent.
//
// # What the agent believes
//
// A guest may have taken its worker over. So the agent learns the worker's process from the lock,
// its start from /proc, and what it is for from the record. It uses nothing in the folder except
// the socket, which must be that process's. With each start goes a mark of the run, made with
// NAME.key, and with each run that a worker lists comes its mark: a worker can only claim runs that
// an agent has started in it, and can say nothing of others. A message has at most 8 MiB, and a
// worker at most 65,536 runs; texts are cut to 4 KiB. Of its own runs it can say what it likes.
//
// A worker that an agent of an earlier version has started has neither record nor key. Its process
// is the one that the kernel lists for the lock (flock) of its folder, or the one that listens at
// its socket. The agent drains it, and believes it about runs that no worker with a key has
// claimed.
//
// Close leaves workers and runs alone, but kills commands. Before that it tells workers what they
// still have to be told (Stop, Forget), for at most two seconds.
//
// # No guest twice, no exit lost
//
// While an agent is connected to a worker, it has a Watch there: see package host. A start is in
// the list with which a Watch begins, or it will never succeed. A Start that is cancelled waits
// until the worker has undone it, for at most ten seconds. If the worker cannot be reached, it
// undoes the start later.
//
// Workers keep exits until Process.Forget. If a connection breaks, the pool connects again, and the
// list brings all that has happened; it repeats Stop and Forget until they arrive. Commands end
// when the connection breaks.
//
// # Exit of a worker
//
// Only its pidfd says that a worker has exited: a connection that breaks means nothing. Exits that
// the worker had told are kept. Guests that ran get code 128 + signal (137 if there was none or it
// is not known) and a message that names the process and how it exited. A start under way is tried
// once more in a new worker.
//
// # Blocking
//
// Stop, Forget, Done, Exit and Runs do not wait for a worker. Stats, of one guest or of all, and
// HostCalls wait a second, and then say what they saw last. Attach and commands carry streams, with
// at most 1 MiB on its way that the reader has not read; then the guest waits. A command that was
// stopped leaves its reader behind 100 ms after its grace period. Reads and Writes of the caller's
// streams that block when a command or an Attach has ended are left behind: they return when the
// owner of the stream closes it.
//
// # Ownership
//
// Every goroutine of a Pool ends with Close, which waits for it, except those that blocked streams
// keep. While the Pool is open, it reaps workers that are children of this process.
package pool
