// Package confine is what a worker process gives up before it runs its first guest, so that a guest
// that broke out of the engine finds little to steal. A worker runs as the same user as the agent,
// so nothing else stands between that guest and the agent's credentials.
//
// # In the worker: Apply
//
// Call Apply first in main, once, before any guest, and before other goroutines do anything that
// must not fail: for some milliseconds it interrupts every thread of the process. All threads lose
// what it takes away, those that run and those that are made later, and cannot get it back. It
// skips what the kernel refuses and names it in the result, in words for a log; the rest still
// holds. Only a Config that makes no sense is an error.
//
//	part          what it does                                    what it needs
//	no_new_privs  no program gives privileges by being executed   Linux 3.5
//	capabilities  drops all from every set, but three (below)     nothing
//	system calls  a filter (below)                                Linux 3.17, amd64 or arm64
//	files         Landlock: hidden and read-only paths (below)    Linux 5.19 with Landlock
//	memory        other processes of the user cannot read it      nothing
//	limits        no core files, open files up to the hard limit  nothing
//	memory's end  the kernel kills the worker before the agent    nothing
//	priority      threads may take back their nice value          CAP_SYS_RESOURCE or LimitNICE=+0
//
// An ordinary user's worker gets all of this but the last, which the unit must grant. With 20
// threads Apply takes 20 ms, with the few threads of a fresh process 7 ms. After it a system call
// costs 50 ns more, and opening a file 0.6 µs more.
//
// Before Apply a worker must have made its unix socket, which listens, and opened files in paths
// that it hides from itself: it can do neither later. Files that are open stay open with the rights
// they have. Files may be opened at paths through /proc/self/fd as before. After Apply a worker
// cannot start processes, make or connect unix sockets, or signal other processes. It can listen to
// netlink for routes and addresses only.
//
// A worker keeps three capabilities if it has them. CAP_NET_BIND_SERVICE: guests listen on ports
// below 1024. CAP_DAC_OVERRIDE and CAP_FOWNER: files of volumes may belong to any user, and a
// container of a usual runtime, which runs as root, reaches them, sets their times and removes them
// from sticky directories. Without these two, volumes would break and little would be protected:
// what is worth stealing on a node belongs to root, and a worker of a root agent is root. Hidden
// and ReadOnly protect that. A worker keeps a fourth, CAP_SYS_NICE, if RLIMIT_NICE cannot be
// raised. CAP_CHOWN, CAP_SETUID, CAP_KILL and others have no use: WASI has no owners, users or
// signals. Only CAP_SETPCAP can empty the bounding set. That of an ordinary user stays as it is,
// and gives nothing, because nothing can be executed.
//
// # System calls
//
// The filter refuses with EPERM: to execute and to fork; to mount and to change the root;
// namespaces; to trace or read other processes; owners, modes and extended attributes of files;
// kernel modules, kexec, bpf, perf, userfaultfd, io_uring, keys, quotas, clocks, swap, System V and
// POSIX message queues; signals and limits for other processes; sockets other than those of IPv4,
// IPv6 and netlink's routes. It refuses unix sockets because a process of root that may talk to
// systemd or a container runtime is root with all capabilities; Landlock cannot stop that before
// its version 9. clone3 gives ENOSYS, so that the C library uses clone, whose flags a filter can
// see. ENOSYS is also the answer to every call of another ABI (32 bit, x32) and to every call newer
// than the filter's table: calls that were not reviewed do not exist.
//
// The filter does not ask for SECCOMP_FILTER_FLAG_SPEC_ALLOW. Since Linux 5.16 it makes no
// difference. Before, a filter switches on the kernel's mitigation of speculative store bypass.
// That is right for a process whose guests do not trust each other, and makes their memory accesses
// slower.
//
// # Files
//
// Landlock only knows what is allowed. To hide DIR/config, everything else is allowed: all entries
// of / but the one that leads there, all entries of that one but the next, and so on. So a worker
// cannot reach what is made later directly in a directory that leads to a hidden path (/, DIR), or
// what is mounted on an entry of it. Nor can it make or remove anything directly in such a
// directory. Entries of other directories are not concerned. A pod with a volume at such a path
// needs a worker that starts after the path was made.
//
// By itself the package makes /proc and /sys read-only (uid 0 may write much of both without any
// capability). It hides /dev except null, zero, full, random and urandom, and /sys/kernel/debug and
// /sys/kernel/tracing. The caller names the rest. Nowhere may a worker execute a file, or make a
// device, a socket or a pipe. It can list names in hidden directories and lock them (flock), but
// cannot read contents. Landlock does not restrict stat and utime. It does not restrict chmod,
// chown and extended attributes either, but the filter does. A file that has a second name (hard
// link, bind mount) is hidden only if both are named. Symbolic links in Config are followed first.
//
// Landlock also keeps the worker from tracing any process outside, and from reading its memory,
// environment and open files: those of the agent and of other workers. Without Landlock,
// capabilities do that if the agent is root, and HideSelf if it is not.
//
// # In the agent: HideSelf and Groups
//
// HideSelf keeps other processes of the user from reading the agent's memory. Call it first in
// main.
//
// Groups puts workers into cgroups (version 2 only) beside the agent's own, with a limit for all of
// them together and one for each. If the agent's cgroup is /system.slice/NAME.service, the workers'
// is one of system.slice, and not affected by what systemd does to the unit. Better is a unit that
// says Delegate=yes and DelegateSubgroup=agent (systemd 254). Then the agent is in
// NAME.service/agent and the workers beside it, in a part of the tree that systemd leaves alone.
// The unit also needs KillMode=process, or workers are killed with the agent. The agent must not
// move itself out of the unit's cgroup: a cgroup that delegates controllers cannot take a process,
// so the unit would not start again while workers run.
//
// A Groups has no state but the files. Calls for different workers may be concurrent.
package confine
