package kubeletapi

// defaultFiles is how many files the API may have open, if no other number is set.
const defaultFiles = 16384

// retryAfter is the time in seconds after which a client may try again that was refused because of
// a limit.
const retryAfter = "1"

// slots limit how many open files are in use at one time.
type slots chan struct{}

// newSlots makes n slots. If n is 0, it makes as many as otherwise says.
func newSlots(n, otherwise int) slots {
	if n == 0 {
		n = otherwise
	}
	return make(slots, n)
}

func (s slots) most() int { return cap(s) }

// take reports whether a slot was free. The caller must give it back.
func (s slots) take() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s slots) give() { <-s }
