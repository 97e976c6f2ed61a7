package compile

import (
	"errors"
	"sync"
)

// RefusedError means that a module can never be compiled because of its content: it is invalid,
// needs a feature that the engine does not have, or exceeds a limit. It is valid for a module by
// its digest.
type RefusedError struct{ Text string }

func (e *RefusedError) Error() string { return e.Text }

// maxRefusals bounds how many modules are remembered. Each has a message of at most 4 KiB.
const maxRefusals = 512

// Refusals are the modules that the compiler has refused because of their content. A later call for
// the same module, for example at each restart of a pod, gets the same error at once. Only this
// process remembers them, because another version of the program may be able to compile them.
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
