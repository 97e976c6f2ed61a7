package wasmtime

import (
	"errors"
	"sync"
)

// maxRefusals bounds the modules that are known to be refused; each has a message of 4 KiB at most.
const maxRefusals = 512

// refusals are the modules that the compiler has refused for what they are. Whoever asks for one again, as a pod does at each of
// its restarts, gets the same answer at once. They are this process's: another version of the settings is in another one.
type refusals struct {
	mu   sync.Mutex
	why  map[string]error // by digest
	ages []string         // digests, the oldest first
}

func (r *refusals) find(digest string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.why[digest]
}

// note keeps err if it says something of the module itself.
func (r *refusals) note(digest string, err error) {
	var refused *refusedError
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
