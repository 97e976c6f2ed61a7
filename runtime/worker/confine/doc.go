// Package confine removes the rights of a worker process before it runs its first guest, so that a
// guest that broke out of the engine finds little to steal. A worker runs as the same user as the
// agent, so there is no other protection between that guest and the agent's credentials.
//
// # In the worker: Apply
//
// Call Apply first in main, once, before any guest runs, and before other goroutines do work that
// must not fail, because it interrupts every thread of the process for some milliseconds. All
// threads, running and later ones, lose what it takes away, and cannot get it back. If the kernel
// refuses a part, Apply skips it and names it in the result, in words for a log; the other parts
// are still applied. Only a Config that makes no sense is an error.
//
//	part          what it does                                    what it needs
//	no_new_privs  executing a program gives no privileges         Linux 3.5
//	capabilities  drops all except three from every set (below)   nothing
//	system calls  a filter (below)                                Linux 3.17, amd64 or arm64
//	files         Landlock: hidden and read-only paths (below)    Linux 5.19 with Landlock
//	memory        other processes of the user cannot read it      nothing
//	limits        no core files, open files up to the hard limit  nothing
//	memory's end  the kernel kills the worker before the agent    nothing
//	priority      threads may restore their nice value            CAP_SYS_RESOURCE or LimitNICE=+0
//
// An ordinary user's worker gets all of this except the last, which the unit must grant. Apply
// takes 20 ms with 20 threads, and 7 ms with the few threads of a new process. After it a system
// call takes 50 ns longer, and opening a file 0.6 µs longer.
//
// Before Apply a worker must have made its listening unix socket, and must have opened files in
// paths that it hides from itself, because later it can do neither. Open files stay open with their
// rights. Files can still be opened by paths through /proc/self/fd. After Apply a worker cannot
// start processes, make or connect unix sockets, or signal other processes. With netlink it can
// listen only to routes and addresses.
//
// A worker keeps three capabilities if it has them. CAP_NET_BIND_SERVICE is needed because guests
// listen on ports below 1024. CAP_DAC_OVERRIDE and CAP_FOWNER are needed because files of volumes
// may belong to any user. In a usual runtime, a container runs as root: it can access these files,
// set their times and remove them from sticky directories. Without these two capabilities, volumes
// would not work and little would be protected, because valuable files on a node belong to root,
// and a worker of a root agent is root. Hidden and ReadOnly protect these files. A worker keeps a
// fourth capability, CAP_SYS_NICE, if RLIMIT_NICE cannot be raised. CAP_CHOWN, CAP_SETUID, CAP_KILL
// and others are not needed, because WASI has no owners, users or signals. Only with CAP_SETPCAP
// can the bounding set be emptied. For an ordinary user it does not change, which does no harm,
// because no program can be executed.
//
// # System calls
//
// The filter refuses these with EPERM: executing and forking; mounting and changing the root;
// namespaces; tracing or reading other processes; owners, modes and extended attributes of files;
// kernel modules, kexec, bpf, perf, userfaultfd, io_uring, keys, quotas, clocks, swap, System V and
// POSIX message queues; signals and limits for other processes; sockets other than those of IPv4,
// IPv6 and netlink's routes. It refuses unix sockets because a process of root that may talk to
// systemd or a container runtime is root with all capabilities; Landlock cannot prevent this before
// its version 9. clone3 returns ENOSYS, so that the C library uses clone, whose flags a filter can
// check. Every call of another ABI (32 bit, x32) and every call newer than the filter's table also
// returns ENOSYS: calls that were not reviewed do not exist.
//
// The filter does not ask for SECCOMP_FILTER_FLAG_SPEC_ALLOW. Since Linux 5.16 this makes no
// difference. In earlier versions, a filter turns on the kernel's mitigation of speculative store
// bypass. This is right for a process whose guests do not trust each other, but makes their memory
// accesses slower.
//
// # Files
//
// Landlock has only rules that allow. To hide DIR/config, everything else must be allowed: all
// entries of / except the one that leads there, all entries of that one except the next, and so on.
// So a worker cannot access files that are made later directly in a directory that leads to a
// hidden path (/, DIR), or a file system that is mounted later on an entry of it. It also cannot
// make or remove anything directly in such a directory. Other directories are not affected. A pod
// with a volume at such a path needs a worker that starts after the path was made.
//
// By default the package makes /proc and /sys read-only (uid 0 may write much of both without any
// capability). It hides /dev except null, zero, full, random and urandom, and /sys/kernel/debug and
// /sys/kernel/tracing. The caller names the other paths. A worker may never execute a file, or make
// a device, a socket or a pipe. It can list names in hidden directories and lock them (flock), but
// cannot read contents. Landlock does not restrict stat and utime. It does not restrict chmod,
// chown and extended attributes either, but the filter does. If a file has a second name (hard
// link, bind mount), it is hidden only if both names are in Config. Symbolic links in Config are
// followed first.
//
// Landlock also stops the worker from tracing processes outside, and from reading their memory,
// environment and open files. This protects the agent and other workers. Without Landlock,
// capabilities do this if the agent is root, and HideSelf does it otherwise.
//
// # In the agent: HideSelf and Groups
//
// HideSelf stops other processes of the user from reading the agent's memory. Call it first in
// main.
//
// Groups puts workers into cgroups (version 2 only) beside the agent's own, with a limit for all of
// them together and one for each. If the agent's cgroup is /system.slice/NAME.service, the workers'
// cgroup is in system.slice, and systemd's actions on the unit do not affect it. A unit with
// Delegate=yes and DelegateSubgroup=agent (systemd 254) is better. Then the agent is in
// NAME.service/agent and the workers are beside it, in a part of the tree that systemd does not
// change. The unit also needs KillMode=process, or workers are killed together with the agent. The
// agent must not move itself out of the unit's cgroup, because a cgroup that delegates controllers
// cannot take a process. The unit could then not start again while workers run.
//
// A Groups has no state except the files. Calls for different workers may be concurrent.
package confine
