package p3

// HTTPUsed returns how many objects of wasi:http the guest holds, and how many bytes they have.
func (h *Host) HTTPUsed() (objects, bytes int) { return h.web.Used() }
