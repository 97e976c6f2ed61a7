package confine

import (
	"encoding/binary"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// filter is the filter of process 77. It returns the error of a call, or 0 if the call is allowed.
func filter(t *testing.T) func(abi uint32, number int, arguments ...uint64) unix.Errno {
	t.Helper()
	raw, err := assemble(77)
	if err != nil {
		t.Fatal(err)
	}
	program, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("the filter has instructions that this test does not know")
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	return func(abi uint32, number int, arguments ...uint64) unix.Errno {
		t.Helper()
		// struct seccomp_data has the machine's byte order; this VM needs the network's byte order
		// in each word.
		data := make([]byte, 64)
		binary.BigEndian.PutUint32(data, uint32(number))
		binary.BigEndian.PutUint32(data[4:], abi)
		for i, a := range arguments {
			low, high := 16+8*i, 20+8*i
			if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
				low, high = high, low
			}
			binary.BigEndian.PutUint32(data[low:], uint32(a))
			binary.BigEndian.PutUint32(data[high:], uint32(a>>32))
		}
		came, err := vm.Run(data)
		if err != nil {
			t.Fatal(err)
		}
		switch action := uint32(came); action & unix.SECCOMP_RET_ACTION_FULL {
		case unix.SECCOMP_RET_ALLOW:
			return 0
		case unix.SECCOMP_RET_ERRNO:
			return unix.Errno(action & unix.SECCOMP_RET_DATA)
		default:
			t.Fatalf("call %d of ABI %x: action %x", number, abi, action)
			return 0
		}
	}
}

func TestFilter(t *testing.T) {
	table, err := arch.GetInfo("")
	if err != nil {
		t.Fatal(err)
	}
	native := uint32(table.ID)
	call := filter(t)

	// These are the flags with which Go's runtime and the C library make threads, and with which
	// fork and namespaces are made.
	const goThread = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD
	const cThread = goThread | unix.CLONE_SETTLS | unix.CLONE_PARENT_SETTID | unix.CLONE_CHILD_CLEARTID
	const high = 1 << 32 // the kernel ignores these bits

	for _, c := range []struct {
		name      string
		number    int
		arguments []uint64
		want      unix.Errno
	}{
		{"read", unix.SYS_READ, nil, 0},
		{"openat2", unix.SYS_OPENAT2, nil, 0},
		{"mmap", unix.SYS_MMAP, []uint64{0, 4096, unix.PROT_READ | unix.PROT_EXEC}, 0},
		{"execve", unix.SYS_EXECVE, nil, unix.EPERM},
		{"execveat", unix.SYS_EXECVEAT, nil, unix.EPERM},
		{"io_uring_setup", unix.SYS_IO_URING_SETUP, nil, unix.EPERM},
		{"clone3", unix.SYS_CLONE3, nil, unix.ENOSYS},
		{"a thread of Go's", unix.SYS_CLONE, []uint64{goThread}, 0},
		{"a thread of C's", unix.SYS_CLONE, []uint64{cThread}, 0},
		{"fork", unix.SYS_CLONE, []uint64{uint64(unix.SIGCHLD)}, unix.EPERM},
		{"vfork", unix.SYS_CLONE, []uint64{unix.CLONE_VFORK | unix.CLONE_VM | uint64(unix.SIGCHLD)}, unix.EPERM},
		{"a user namespace", unix.SYS_CLONE, []uint64{unix.CLONE_NEWUSER | uint64(unix.SIGCHLD)}, unix.EPERM},
		{"a thread in a mount namespace", unix.SYS_CLONE, []uint64{goThread&^unix.CLONE_FS | unix.CLONE_NEWNS}, unix.EPERM},
		{"IPv4", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, 6}, 0},
		{"IPv6", unix.SYS_SOCKET, []uint64{unix.AF_INET6, unix.SOCK_DGRAM, 17}, 0},
		{"routes", unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE}, 0},
		{"audit", unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT}, unix.EPERM},
		{"unix", unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_STREAM, 0}, unix.EPERM},
		{"unix in disguise", unix.SYS_SOCKET, []uint64{high | unix.AF_UNIX, unix.SOCK_STREAM, 0}, unix.EPERM},
		{"packets", unix.SYS_SOCKET, []uint64{unix.AF_PACKET, unix.SOCK_RAW, 0}, unix.EPERM},
		{"virtual machines", unix.SYS_SOCKET, []uint64{unix.AF_VSOCK, unix.SOCK_STREAM, 0}, unix.EPERM},
		{"a signal to itself", unix.SYS_KILL, []uint64{77, 10}, 0},
		{"a signal to another", unix.SYS_KILL, []uint64{78, 9}, unix.EPERM},
		{"a signal to all", unix.SYS_KILL, []uint64{1<<64 - 1, 9}, unix.EPERM},
		{"a signal to another in disguise", unix.SYS_KILL, []uint64{high | 78, 9}, unix.EPERM},
		{"a signal to a thread", unix.SYS_TGKILL, []uint64{77, 80, 23}, 0},
		{"a signal to another's thread", unix.SYS_TGKILL, []uint64{78, 78, 9}, unix.EPERM},
		{"its own limits", unix.SYS_PRLIMIT64, []uint64{0}, 0},
		{"another's limits", unix.SYS_PRLIMIT64, []uint64{78}, unix.EPERM},
		{"a call of the future", 3000, nil, unix.ENOSYS},
		{"x32", 0x40000000 | unix.SYS_READ, nil, unix.ENOSYS},
	} {
		if got := call(native, c.number, c.arguments...); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if got := call(uint32(arch.I386.ID), 11); got != unix.ENOSYS { // execve in 32 bit
		t.Errorf("a call of 32 bit: %v, want %v", got, unix.ENOSYS)
	}
}

// TestNamesAreKnown finds spelling mistakes: each name must be a call of some architecture.
func TestNamesAreKnown(t *testing.T) {
	for _, name := range append(refused, absent...) {
		known := false
		for _, table := range []*arch.Info{arch.X86_64, arch.AARCH64, arch.I386, arch.ARM} {
			_, here := table.SyscallNames[name]
			known = known || here
		}
		if !known {
			t.Errorf("no architecture has a system call %s", name)
		}
	}
}
