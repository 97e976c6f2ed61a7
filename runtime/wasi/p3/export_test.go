package p3

// HTTPUsed returns how many objects of wasi:http the guest holds, and how many bytes they have.
func (h *Host) HTTPUsed() (objects, bytes int) { return h.web.Used() }

// Open returns how many streams are open, and how many exchanges have no end.
func (h *Host) Open() int { return h.room + len(h.exchanges) + len(h.unpublished) }
