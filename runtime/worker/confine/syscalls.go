package confine

import (
	seccomp "github.com/elastic/go-seccomp-bpf"
	"golang.org/x/sys/unix"
)

// absent are calls that programs try but do not need.
var absent = []string{
	"clone3", // a filter cannot see its flags, because they are in memory; the C library then uses clone
}

// refused are calls that no worker needs. Names that an architecture does not have are skipped
// there.
var refused = []string{
	// Calls for other programs and processes.
	"execve", "execveat", "fork", "vfork", "uselib",
	"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "pidfd_getfd", "kcmp",
	"move_pages", "migrate_pages",
	"tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal", // kill and tgkill are in conditions

	// Calls that give access to other names: mounts, roots, namespaces, files by handle.
	"mount", "umount", "umount2", "mount_setattr", "move_mount", "open_tree", "open_tree_attr",
	"fsopen", "fsconfig", "fsmount", "fspick", "statmount", "listmount",
	"pivot_root", "chroot", "unshare", "setns", "open_by_handle_at",

	// Calls for owners and modes of files, which Landlock does not restrict. WASI does not need
	// them.
	"chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "chown32", "lchown", "lchown32", "fchown", "fchown32", "fchownat",
	"setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr", "fremovexattr", "removexattrat",

	// Calls that change the kernel itself.
	"init_module", "finit_module", "delete_module", "create_module", "query_module", "get_kernel_syms",
	"kexec_load", "kexec_file_load", "reboot", "bpf", "perf_event_open", "userfaultfd",
	"io_uring_setup", "io_uring_enter", "io_uring_register",
	"iopl", "ioperm", "modify_ldt", "vm86", "vm86old", "personality", "syslog", "acct", "swapon", "swapoff",
	"lookup_dcookie", "nfsservctl", "sysfs", "_sysctl", "ustat", "vhangup", "vserver", "uretprobe",
	"quotactl", "quotactl_fd", "fanotify_init", "fanotify_mark",

	// Calls for the machine's clocks and names.
	"settimeofday", "clock_settime", "clock_settime64", "stime", "adjtimex", "clock_adjtime", "clock_adjtime64",
	"sethostname", "setdomainname",

	// Calls with which to talk to other processes of the user.
	"add_key", "request_key", "keyctl", "socketpair",
	"ipc", "shmget", "shmat", "shmctl", "semget", "semop", "semctl", "semtimedop", "msgget", "msgsnd", "msgrcv", "msgctl",
	"mq_open", "mq_unlink",
}

// namespaces are the flags of clone that make new namespaces.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID |
	unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP

// conditions are the calls that are refused for some arguments. All conditions of one entry must be
// true. A call may have several entries; one true entry is enough.
//
// The filter compares 64 bits, although the kernel uses only 32 of them for some arguments. So each
// condition compares with the allowed value. Then bits that the kernel ignores can only lead to a
// refusal.
func conditions(pid uint64) []seccomp.NameWithConditions {
	not := func(argument uint32, value uint64) seccomp.Condition {
		return seccomp.Condition{Argument: argument, Operation: seccomp.NotEqual, Value: value}
	}
	return []seccomp.NameWithConditions{
		// A worker makes threads but no processes.
		{Name: "clone", Conditions: []seccomp.Condition{{Argument: 0, Operation: seccomp.BitsNotSet, Value: unix.CLONE_THREAD}}},
		{Name: "clone", Conditions: []seccomp.Condition{{Argument: 0, Operation: seccomp.BitsSet, Value: namespaces}}},

		// Go uses netlink to get the machine's addresses.
		{Name: "socket", Conditions: []seccomp.Condition{
			not(0, unix.AF_INET), not(0, unix.AF_INET6), not(0, unix.AF_NETLINK)}},
		{Name: "socket", Conditions: []seccomp.Condition{
			not(0, unix.AF_INET), not(0, unix.AF_INET6), not(2, unix.NETLINK_ROUTE)}},

		// Go preempts its threads with signals.
		{Name: "kill", Conditions: []seccomp.Condition{not(0, pid)}},
		{Name: "tgkill", Conditions: []seccomp.Condition{not(0, pid)}},
		{Name: "prlimit64", Conditions: []seccomp.Condition{not(0, 0), not(0, pid)}},
	}
}
