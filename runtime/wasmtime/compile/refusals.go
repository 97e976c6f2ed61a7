package compile

import (
	"errors"
	"sync"
)

// RefusedError says that a module is never compiled because of its content, however often it is
// tried: it is invalid, or asks for what the engine does not have, or its content is beyond a
// bound. It holds for a module by its digest.
type RefusedError struct{ Text string }

func (e *RefusedError) Error() string { return e.Text }

// maxRefusals bounds the modules that are remembered. Each has a message of 4 KiB at most.
const maxRefusals = 512

// Refusals are the modules that the compiler has refused because of their content. A call that asks
// for one again, as a pod does at each of its restarts, gets the same answer at once. Only this
// process remembers them, since another version of the program may compile them.
type Refusals struct {
	mu   sync.Mutex
	why  map[string]error // by digest
	ages []string         // digests, the oldest first
}

// Find returns why the module was refused, or nil.
func (r *Refusals) Find(digest string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.why[digest]
}

// Note remembers err if it is a RefusedError.
func (r *Refusals) Note(digest string, err error) {
	var refused *RefusedError
	if !errors.As(err, &refused) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, is := r.why[digest]; is {
		return
	}
	if len(r.ages) == maxRefusals {
		delete(r.why, r.ages[0])
		r.ages = r.ages[1:]
	}
	if r.why == nil {
		r.why = map[string]error{}
	}
	r.why[digest] = err
	r.ages = append(r.ages, digest)
}
