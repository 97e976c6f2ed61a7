package kubeletapi

// defaultFiles is what the API may have of open files where nothing else is set.
const defaultFiles = 16384

// retryAfter is when a client may try again that was refused because of a limit, in seconds.
const retryAfter = "1"

// slots limit how many open files are in use at one time.
type slots chan struct{}

// newSlots makes a number of slots, or another where that is 0.
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
