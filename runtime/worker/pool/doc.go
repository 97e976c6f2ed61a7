// Package pool runs guests in other processes: workers, which outlive the agent that started them. Serve is the
// whole of a worker process, around any runtime.Engine. A Pool is the agent's side, and a runtime.Engine itself. The
// protocol between them (workerpb) is versioned, since an agent finds workers of other builds.
//
// # Which worker
//
// Shared workers are numbered from 0; a pod's number follows from its UID. A pod of which guests run in a shared worker
// stays there. A pod whose runs are Isolated has a worker of its own. Workers are started when the first guest
// needs them. Sessions (runs that name a pod and no container, or nothing) go where their pod's next container would.
//
// Before each start, the pool has the module compiled (Config.Compiler): workers only load code from disk.
//
// # A worker's life
//
// Each worker has a folder NAME (0700): `socket`, `worker.json` (Info) and `log`, its standard error. Beside it, where no worker may
// write, the agent keeps NAME.json, what the worker is for (Info), and NAME.key. The worker holds a lock (fcntl) on NAME.json for
// as long as it lives; a folder without is rubbish, and removed by the agent. Processes of other users are turned away, root excepted.
//
// Open adopts what it finds: it returns when each worker has said what it runs. A worker that does not within ten
// seconds, or that speaks another protocol, is killed, for its guests are about to be started anew. Where the process that holds a
// lock is no worker, by its user and its command, it is left, and named in a warning. A worker of another
// build, or with a number that is no longer in use, is drained: its guests go on, it gets no new ones, and it is
// shut down when the last of its runs is forgotten. So is the worker of an isolated pod, two seconds later.
// A worker without runs (running, or ended and not forgotten) and without an agent ends by itself after
// ServerConfig.Idle. Its folder stays for the next agent.
//
// # What is believed
//
// A worker may have been taken over by a guest. So the agent takes its process from the lock, its start from /proc, and what it is for
// from the record. Whatever the folder has is not asked, but for the socket, which must be that process's. With each start goes a
// mark of the run, made with NAME.key, and with each run that a worker lists comes its mark: a worker cannot claim a run that an agent has not
// started in it, nor say anything of another's. Messages have 8 MiB at most, and a worker 65,536 runs; texts are cut to 4 KiB. Of its own runs it
// can say what it likes.
//
// A worker that an agent of an earlier version has started has neither record nor key. Its process is the one that the kernel lists for
// the lock (flock) of its folder, or the one that listens at its socket. It is drained, and believed what no worker with a key has claimed. The
// lock of the folder and `worker.json` are kept for such agents, should one come back.
//
// Close leaves workers and guests alone, but for sessions, which are killed. What workers still have to be told
// (Stop, Forget) is told before, for at most two seconds.
//
// # No guest twice, no exit lost
//
// An agent's presence is its Watch, which begins with the list of all runs. A start names its Watch, and is refused
// if there is a newer one; starts under way are given up, and waited for, before a new Watch's list is made. So a
// start is either in the list, or will never be. A Start that is cancelled waits until the worker has undone it, for at
// most ten seconds; it is undone later where the worker cannot be reached.
//
// Exits are kept by the worker until Process.Forget. A connection that breaks is made anew, and all that has happened
// comes with the list; Stop and Forget are repeated until they arrive. Sessions do not survive that.
//
// # Death of a worker
//
// The end of a process is seen by its pidfd, and by nothing else: a connection that breaks means nothing. Exits that
// the worker had told are kept; what ran ends with code 128 + signal (137 where there was none or it is not known),
// and a message that names the process and its end. A start under way is tried once more in a new worker.
//
// # Blocking
//
// Stop, Forget, Done, Exit and Runs do not wait for a worker. Stats, of one guest or of all, and HostCalls do for a second, and
// then say what they saw last.
// Attach and sessions carry streams with 1 MiB of what a reader has not read on its way; then the guest waits. A
// session that was stopped leaves its reader behind 100 ms after its grace period. Reads and Writes of the
// caller's streams which block when a session or an Attach is over are left behind: they end when whoever owns the
// stream closes it.
//
// # Ownership
//
// Every goroutine of a Pool ends with Close, which waits, but for those of blocked streams. Workers that are children of this process are
// reaped by it while the Pool is open.
//
// Bind needs of the system: reading NAME.json, and making a unix socket. Serve: reading /proc/PID/stat of itself, /proc/self/fd, and
// making and renaming files in its folder.
package pool
