// Package confine is what a worker process gives up before it runs its first guest, so that a guest that broke out of
// the engine finds little to steal. A worker runs as the same user as the agent, so this is all that stands between
// that guest and the agent's credentials.
//
// # In the worker: Apply
//
// Apply is called first in main, by one goroutine, once, before any guest and before other goroutines do anything
// that must not fail: for some milliseconds it interrupts every thread of the process. What it takes away is gone for
// all threads, those that run and those that are made later, and cannot be had back. What the kernel refuses is
// skipped and named in the result, in words made for a log; the rest still holds. Only a Config that makes no sense
// is an error.
//
//	part               what it does                                                     what it needs
//	no_new_privs       no program gives privileges by being executed                    Linux 3.5
//	capabilities       all dropped, in every set, but three (below)                     nothing
//	system calls       a filter (below)                                                 Linux 3.17 with seccomp, amd64 or arm64
//	files              Landlock: hidden, read-only and writable places (below)          Linux 5.19 with Landlock switched on
//	memory             other processes of the user cannot read the worker's (dumpable)  nothing
//	limits             no core files, open files up to the hard limit                   nothing
//	memory's end       the kernel takes the worker before the agent (oom_score_adj)     nothing
//	priority           RLIMIT_NICE, so that threads may take back their nice value      CAP_SYS_RESOURCE, or LimitNICE=+0 of the unit
//
// An ordinary user's worker loses nothing but the last, unless the unit grants it. With 20 threads it all takes 20
// ms, with the few of a fresh process 7 ms; afterwards a system call costs 50 ns more, and opening a file 0.6 µs.
//
// Before Apply a worker must have made its unix socket (listening), since it can make none afterwards, and opened
// what lies in places that it hides from itself. Files that are open stay open with the rights they have. Files may
// be opened at paths through /proc/self/fd as before. What a worker cannot do afterwards: start processes, make or
// connect unix sockets, signal other processes, listen to netlink but for routes and addresses.
//
// Three capabilities stay where the worker has them. CAP_NET_BIND_SERVICE: guests listen on ports below 1024.
// CAP_DAC_OVERRIDE and CAP_FOWNER: files of volumes belong to whoever made them, and a container of a usual runtime,
// which runs as root, reaches them, sets their times and removes them from sticky directories. Dropped, they would
// break volumes while they protect little: what is worth stealing on a node belongs to root, and a worker of a root
// agent is root. That is what Hidden and ReadOnly are for. A fourth, CAP_SYS_NICE, stays where RLIMIT_NICE cannot be
// raised. CAP_CHOWN, CAP_SETUID, CAP_KILL and the like have no use: WASI has no owners, users or signals. The
// bounding set can be emptied with CAP_SETPCAP only; an ordinary user's stays as it is, and gives nothing since
// nothing can be executed.
//
// # System calls
//
// Refused with EPERM: to execute and to fork, to mount and to change the root, namespaces, to trace or read other
// processes, owners, modes and extended attributes of files, kernel modules, kexec, bpf, perf, userfaultfd, io_uring, keys, quotas, clocks, swap, System V and POSIX
// message queues, signals and limits for other processes, sockets but those of IPv4, IPv6 and netlink's routes. Unix
// sockets are refused because a process of root's that may talk to systemd or a container runtime is root with all
// capabilities; Landlock cannot stop that before its version 9. clone3 gives ENOSYS, so that the C library takes
// clone, whose flags a filter can see. ENOSYS also for every call of another ABI (32 bit, x32) and every call newer
// than the filter's table: what nobody has looked at is not there.
//
// The filter does not ask for SECCOMP_FILTER_FLAG_SPEC_ALLOW. Since Linux 5.16 it makes no difference; before, a
// filter switches on the kernel's mitigation of speculative store bypass, which is right for a process whose guests
// do not trust each other, and makes their memory accesses slower.
//
// # Files
//
// Landlock only knows what is allowed. To hide DIR/config, everything else is allowed: all entries of / but the one
// that leads there, all entries of that one but the next, and so on. So whatever appears later directly in a
// directory that leads to a hidden place (/, DIR), and whatever is mounted on an entry of it, is out of reach, while
// entries of any other directory are not concerned; nor can the worker make or remove anything directly in such a
// directory. A pod whose volume is such a path needs a worker that starts after it was made.
//
// By itself the package makes /proc and /sys read-only (uid 0 may write much of both without any capability) and
// hides /dev but for null, zero, full, random and urandom, /sys/kernel/debug and /sys/kernel/tracing. The rest is the
// caller's. Nothing may be executed, and no device, socket or pipe made, anywhere. Names in hidden directories can be
// listed, and directories locked (flock); contents not be read. Landlock does not restrict stat and utime, nor chmod, chown and extended
// attributes, which the filter does. A file that has a second name (hard link, bind mount) is hidden only if both are named. Symbolic links in Config are
// followed first.
//
// Landlock also keeps the process from tracing, and from reading memory, environment and open files, of any process
// outside: the agent and other workers. Without Landlock, capabilities do that where the agent is root, and HideSelf
// where it is not.
//
// # In the agent: HideSelf and Groups
//
// HideSelf keeps other processes of the user from reading the agent's memory. Call it first in main.
//
// Groups places workers into cgroups (version 2 only) beside the agent's own, with a limit for all of them together
// and one for each. Where the agent's cgroup is /system.slice/NAME.service, the workers' is one of system.slice: what
// systemd does to the unit does not concern them. Better is a unit that says Delegate=yes and DelegateSubgroup=agent
// (systemd 254), which puts the agent into NAME.service/agent and the workers beside it, into a part of the tree that
// systemd leaves alone; it needs KillMode=process, or workers end with the agent. The agent must not move itself out
// of the unit's cgroup instead: one that hands controllers on cannot take a process, so the unit would not start
// again while workers live.
//
// A Groups has no state but the files; calls for different workers may be concurrent.
package confine
