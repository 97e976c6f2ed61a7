package wasmtime

// #include "guest.h"
import "C"

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"
)

// maxMemory is what a guest without a limit may take, in bytes.
const maxMemory = 4 << 30

// account bounds the memory of a container: that of its run and of the sessions beside it, together, as a control group would. It
// is freed when the last of them has closed it.
type account struct {
	native *C.account_t
	owners atomic.Int32
}

// newAccount makes an account with one owner. limit is in bytes.
func newAccount(limit int64) (*account, error) {
	a := &account{native: C.account_new(C.int64_t(limit))}
	if a.native == nil {
		return nil, errors.New("the host is out of memory")
	}
	a.owners.Store(1)
	return a, nil
}

// share counts one more owner in. The caller knows that there is another.
func (a *account) share() *account {
	a.owners.Add(1)
	return a
}

func (a *account) close() {
	if a.owners.Add(-1) == 0 {
		C.account_delete(a.native)
	}
}

// resize sets another limit. What is taken stays taken, even if it is more.
func (a *account) resize(limit int64) { C.account_resize(a.native, C.int64_t(limit)) }

func (a *account) used() int64 { return int64(C.account_used(a.native)) }

// freeCode is what each guest has free of what its module takes in this process, in bytes: its code, its constant data and what the
// engine knows of it. Most programs take less. What is more is taken from the account.
const freeCode = 6 << 20

// needs is what a guest of a module has at its start, in bytes.
type needs struct {
	memories, tables, code int64
}

func (n needs) sum() int64 { return n.memories + n.tables + n.code }

// check returns an error for a module that no account with the limit can bear.
func (n needs) check(limit int64) error {
	if n.sum() <= limit {
		return nil
	}
	if n.tables == 0 && n.code == 0 {
		return fmt.Errorf("the module's memory has %d bytes at the start, more than its limit of %d bytes", n.memories, limit)
	}
	return fmt.Errorf("the module needs %d bytes at the start (memory %d, tables %d, code %d), more than its limit of %d bytes",
		n.sum(), n.memories, n.tables, n.code, limit)
}

// saturated is n as an int64, or the largest one.
func saturated(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
