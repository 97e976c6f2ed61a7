package clusternet

import "github.com/krustlet-go/krustlet-wasi/runtime"

// kept is how many updates the state keeps for workers that lack only some. The others are told
// everything.
const kept = 256

// state is what workers have to know. Its number grows with each update. Cluster.mu guards it.
type state struct {
	number  uint64                  // 0 before the first complete state
	updates []runtime.NetworkUpdate // the last ones, up to number
	more    chan struct{}           // closed at the next update
}

func newState() *state { return &state{more: make(chan struct{})} }

// add adds an update.
func (s *state) add(u runtime.NetworkUpdate) {
	s.number++
	if len(s.updates) == kept {
		s.updates = append(make([]runtime.NetworkUpdate, 0, kept), s.updates[kept/2:]...)
	}
	s.updates = append(s.updates, u)
	s.wake()
}

// wake lets those look again who wait for more.
func (s *state) wake() {
	close(s.more)
	s.more = make(chan struct{})
}

// since returns all updates after a number. ok is false if the state has not kept all of them.
func (s *state) since(after uint64) (u runtime.NetworkUpdate, ok bool) {
	missing := s.number - after
	if after == 0 || after > s.number || missing > uint64(len(s.updates)) {
		return u, false
	}
	for _, one := range s.updates[uint64(len(s.updates))-missing:] {
		u.Sets = append(u.Sets, one.Sets...)
		u.Services = append(u.Services, one.Services...)
		u.Pods = append(u.Pods, one.Pods...)
	}
	return u, true
}
