package wasi

// scratch is memory that bindings use during a call. It is kept to reuse it in the next one.
type scratch struct {
	data   []byte
	vector [1][]byte
}

// KeptScratch is how many bytes of Scratch are kept between calls.
const KeptScratch = 64 << 10

// Scratch returns n bytes that hold until the next call of Scratch.
func (g *Guest) Scratch(n int) []byte {
	if n > KeptScratch {
		return make([]byte, n)
	}
	s := &g.scratch
	if n > cap(s.data) {
		s.data = make([]byte, max(n, min(2*cap(s.data), KeptScratch)))
	}
	return s.data[:n]
}

// One returns a list of one buffer, for a transfer. It holds until the next call of One: One(nil)
// forgets memory that must not be kept.
func (g *Guest) One(p []byte) [][]byte {
	g.scratch.vector[0] = p
	return g.scratch.vector[:]
}
