package translate

// maxPiece is how many bytes one instruction writes at most, with exceptions for constant data. The
// engine checks the epoch only before an instruction, and a guest that is killed must end at once.
const maxPiece = 1 << 20

// Opcodes that only added functions use.
const (
	opLocalSet    = 0x21
	opLocalTee    = 0x22
	opMemorySize  = 0x3f
	opI32Equal    = 0x46
	opI32Above    = 0x4b // unsigned
	opI64Above    = 0x56
	opI32Add      = 0x6a
	opI32Subtract = 0x6b
	opI64Add      = 0x7c
	opI64Shift    = 0x86
	opI64Extend   = 0xad // unsigned, of 32 bits
	opDrop        = 0x1a
	opI64Const    = 0x42
)

// Numbers of the instructions after prefixMisc.
const (
	miscInit = 8
	miscCopy = 10
	miscFill = 11
)

// bulk notes an instruction that may write a long range of memory. It does not note one whose
// length is known and short, or one that control cannot reach; these stay unchanged.
func (s *scan) bulk(a added, at int) {
	m := s.m
	if !s.reachable || s.length >= 0 && s.length <= maxPiece {
		return
	}
	if a.operation == initMemory && (int(a.from) >= len(m.dataLengths) || m.dataLengths[a.from] <= maxPiece) {
		return
	}
	s.r.bound(at, "instructions that fill or copy memory", uint64(m.bulks)+1, m.limits.Bulks)
	m.bulks++
	m.sites = append(m.sites, site{start: at, end: s.r.at, callee: m.added.of(a)})
	s.called(0)
}

// bulkFunction is the body of a function of (to, value or from, length). It does the work of its
// instruction in pieces. b.instruction writes the instruction, for one piece or for the rest.
func (a added) bulkFunction() []byte {
	const to, from, length = 0, 1, 2
	w := bulkWriter{a: a, b: []byte{0}} // no locals
	w.longerThanPiece()
	w.add(opIf, typeEmpty)
	for _, local := range []byte{to, length} {
		w.add(opLocalGet, local, opI64Extend)
	}
	w.add(opI64Add, opMemorySize)
	w.b = appendU32(w.b, a.index)
	w.add(opI64Extend, opI64Const, 16, opI64Shift, opI64Above, opIf, typeEmpty)
	w.instruction(false)
	w.add(opUnreachable, opEnd)
	if a.operation == copyMemory && a.index == a.from {
		w.add(opLocalGet, to, opLocalGet, from, opI32Above, opIf, typeEmpty)
		w.backward()
		w.add(opElse)
		w.forward()
		w.add(opEnd)
	} else {
		w.forward()
	}
	w.add(opEnd)
	w.instruction(false)
	w.add(opEnd)
	return w.b
}

// bulkWriter writes the body.
type bulkWriter struct {
	a added
	b []byte
}

func (w *bulkWriter) add(code ...byte) { w.b = append(w.b, code...) }

func (w *bulkWriter) piece() { w.b = appendSigned(append(w.b, opI32Const), maxPiece) }

func (w *bulkWriter) longerThanPiece() {
	w.add(opLocalGet, 2)
	w.piece()
	w.add(opI32Above)
}

// move adds the size of a piece to a local, or subtracts it.
func (w *bulkWriter) move(local, operation byte) {
	w.add(opLocalGet, local)
	w.piece()
	w.add(operation, opLocalSet, local)
}

// instruction writes the instruction for one piece, or for the rest.
func (w *bulkWriter) instruction(piece bool) {
	w.add(opLocalGet, 0, opLocalGet, 1)
	if piece {
		w.piece()
	} else {
		w.add(opLocalGet, 2)
	}
	w.operation()
}

func (w *bulkWriter) operation() {
	w.add(prefixMisc)
	switch w.a.operation {
	case fillMemory:
		w.b = appendU32(append(w.b, miscFill), w.a.index)
	case copyMemory:
		w.b = appendU32(appendU32(append(w.b, miscCopy), w.a.index), w.a.from)
	case initMemory:
		w.b = appendU32(appendU32(append(w.b, miscInit), w.a.from), w.a.index)
	}
}

func (w *bulkWriter) forward() {
	w.add(opLoop, typeEmpty)
	w.instruction(true)
	w.move(0, opI32Add)
	if w.a.operation != fillMemory {
		w.move(1, opI32Add)
	}
	w.move(2, opI32Subtract)
	w.longerThanPiece()
	w.add(opBrIf, 0, opEnd)
}

func (w *bulkWriter) backward() {
	w.add(opLoop, typeEmpty)
	w.move(2, opI32Subtract)
	w.add(opLocalGet, 0, opLocalGet, 2, opI32Add, opLocalGet, 1, opLocalGet, 2, opI32Add)
	w.piece()
	w.operation()
	w.longerThanPiece()
	w.add(opBrIf, 0, opEnd)
}
