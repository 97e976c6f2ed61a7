package wasmtime

// #include "store.h"
import "C"

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"
)

// maxMemory is how many bytes of memory a guest without a limit may use.
const maxMemory = 4 << 30

// account bounds the memory of a container. The container's run and the commands beside it share
// it, as in a control group. It is freed when the last of them has closed it.
type account struct {
	native *C.account_t
	owners atomic.Int32
	limit  atomic.Int64
}

// newAccount makes an account with one owner. limit is in bytes.
func newAccount(limit int64) (*account, error) {
	a := &account{native: C.account_new(C.int64_t(limit), freeBeside)}
	if a.native == nil {
		return nil, errors.New("the host is out of memory")
	}
	a.owners.Store(1)
	a.limit.Store(limit)
	return a, nil
}

// share adds an owner. The caller must make sure that the last owner does not close the account at
// the same time.
func (a *account) share() *account {
	a.owners.Add(1)
	return a
}

func (a *account) close() {
	if a.owners.Add(-1) == 0 {
		C.account_delete(a.native)
	}
}

// resize sets another limit. Memory that is in use stays in use, even if it is above the limit.
func (a *account) resize(limit int64) {
	a.limit.Store(limit)
	C.account_resize(a.native, C.int64_t(limit))
}

// take takes n bytes, if the limit allows them.
func (a *account) take(n int) bool { return bool(C.account_take(a.native, C.int64_t(n))) }

func (a *account) give(n int) { C.account_give(a.native, C.int64_t(n)) }

func (a *account) used() int64 { return int64(C.account_used(a.native)) }

// freeBeside is how many bytes the host may hold for a container and its commands without counting
// them. Memories, tables and objects are always counted. This is enough for a program of 3 MB and a
// command or two. More is counted for the container's account.
const freeBeside = 14 << 20

// What the host may have to hold for each guest in addition to its module, in bytes: its stack, the
// memory of its host calls (package wasi), its output and input on their way, and with
// wasmtime-go's library a backtrace of its whole stack.
const (
	besideGuest     = 4 << 20
	besideBacktrace = 4 << 20
)

// needs is how much memory a module's guest needs at its start, in bytes.
type needs struct {
	memories, tables int64
	module           int64 // that the host holds once for the module
	instance         int64 // that the host holds for each guest
}

// beside returns what the host holds for a guest. This includes the module, unless paid is set:
// then another guest of the container pays for the module.
func (n needs) beside(paid bool) int64 {
	all := n.instance + besideGuest
	if !supported() {
		all += besideBacktrace
	}
	if !paid {
		all += n.module
	}
	return all
}

// check returns a needsError if the module needs more than an account with this limit has.
func (n needs) check(limit int64) error {
	beside := max(n.beside(false)-freeBeside, 0)
	if n.memories+n.tables+beside <= limit {
		return nil
	}
	return &needsError{memories: n.memories, tables: n.tables, code: beside, limit: limit}
}

// needsError means that a module needs more memory at the start than its guest may have, in bytes.
type needsError struct {
	memories, tables, code, limit int64
}

func (e *needsError) Error() string {
	if e.tables == 0 && e.code == 0 {
		return fmt.Sprintf("the module's memory has %d bytes at the start, more than its limit of %d bytes", e.memories, e.limit)
	}
	return fmt.Sprintf("the module needs %d bytes at the start (memory %d, tables %d, code %d), more than its limit of %d bytes",
		e.memories+e.tables+e.code, e.memories, e.tables, e.code, e.limit)
}

// saturated returns n as an int64, or the largest int64.
func saturated(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
