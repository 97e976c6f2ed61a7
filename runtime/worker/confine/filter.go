package confine

import (
	"fmt"
	"runtime"
	"unsafe"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Offsets in the filter's input (struct seccomp_data of linux/seccomp.h).
const (
	offsetNumber = 0
	offsetArch   = 4
)

// refuse makes a system call return an error.
func refuse(errno unix.Errno) seccomp.Action { return seccomp.ActionErrno | seccomp.Action(errno) }

// policy says which calls are forbidden for the process with this number.
func policy(table *arch.Info, pid int) seccomp.Policy {
	known := func(names []string) (here []string) {
		for _, name := range names {
			if _, ok := table.SyscallNames[name]; ok {
				here = append(here, name)
			}
		}
		return here
	}
	return seccomp.Policy{
		DefaultAction: seccomp.ActionAllow,
		Syscalls: []seccomp.SyscallGroup{
			{Names: known(absent), Action: refuse(unix.ENOSYS)},
			{Names: known(refused), NamesWithCondtions: conditions(uint64(pid)), Action: refuse(unix.EPERM)},
		},
	}
}

// assemble is the filter in the kernel's form.
func assemble(pid int) ([]bpf.RawInstruction, error) {
	table, err := arch.GetInfo("")
	if err != nil {
		return nil, err
	}
	if len(table.SyscallNumbers) == 0 {
		return nil, fmt.Errorf("no table of system calls for %s", runtime.GOARCH)
	}
	newest := 0
	for number := range table.SyscallNumbers {
		newest = max(newest, number)
	}
	p := policy(table, pid)
	body, err := p.Assemble()
	if err != nil {
		return nil, err
	}
	// The library's filter uses its default action for calls of other ABIs, and for calls that it
	// has no name for. So these instructions refuse both first. All calls of the ABI x32 have
	// numbers above the table's.
	absent := bpf.RetConstant{Val: uint32(refuse(unix.ENOSYS))}
	head := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(table.ID), SkipTrue: 1},
		absent,
		bpf.LoadAbsolute{Off: offsetNumber, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpLessOrEqual, Val: uint32(newest), SkipTrue: 1},
		absent,
	}
	return bpf.Assemble(append(head, body...))
}

// loadFilter loads the filter for all threads. The process needs no_new_privs.
func loadFilter(pid int) error {
	raw, err := assemble(pid)
	if err != nil {
		return fmt.Errorf("assembling the filter: %w", err)
	}
	program := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		program[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	// The calling thread must have no_new_privs. The kernel applies its filter to the other
	// threads.
	argument := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&argument)))
	if errno != 0 {
		return fmt.Errorf("loading the filter: %w", errno)
	}
	if thread != 0 {
		return fmt.Errorf("load the filter: thread %d has one of its own", thread)
	}
	return nil
}
