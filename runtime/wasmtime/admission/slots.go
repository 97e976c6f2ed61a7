package admission

import (
	"fmt"
	"sync"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Slots are for guests. Each guest has one or more, from before its start until after its end.
type Slots struct {
	ceiling Ceiling

	mu    sync.Mutex
	taken int
}

// NewSlots makes as many slots as the ceiling allows, all of them free.
func NewSlots(c Ceiling) *Slots { return &Slots{ceiling: c} }

// Take takes n slots, or none. The error is runtime.ErrFull.
func (s *Slots) Take(n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken+n > s.ceiling.Guests {
		return fmt.Errorf("%w: it holds %d guests, and %s allows no more", runtime.ErrFull, s.taken, s.ceiling.Of)
	}
	s.taken += n
	return nil
}

// Give returns n slots that were taken.
func (s *Slots) Give(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken -= n
}

// Taken returns how many slots are taken.
func (s *Slots) Taken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}
