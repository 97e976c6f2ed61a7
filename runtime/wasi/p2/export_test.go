package p2

// Held is how many resources the guest holds.
func (h *Host) Held() (n int) {
	for _, k := range h.held {
		n += k
	}
	return n
}
