package translate

// asks is the number that the function passes to the host.
func (a added) asks() uint32 {
	if a.operation == growTable {
		return TableGrowth | a.index
	}
	return a.index
}

// growTable is the added table, and its index. The table holds the host's function.
func (m *module) growTable() (index uint32, b []byte) {
	return uint32(len(m.tables)), []byte{typeFuncref, 1, 1, 1}
}

// growFunction is the body of a function that asks the host and grows. If the growth fails, it
// gives the host's grant back.
//
//	if ask(what, delta) { r = grow(delta); if r == -1 { ask(what|failed, delta) } } else { r = -1 }
func (m *module) growFunction(a added) []byte {
	delta := byte(0)
	if a.operation == growTable {
		delta = 1 // it comes after the value of the new elements
	}
	result := delta + 1
	ask := func(b []byte, what uint32) []byte {
		table, _ := m.growTable()
		b = appendSigned(append(b, opI32Const), int32(what))
		b = append(b, opLocalGet, delta, opI32Const, 0, opCallIndir)
		return appendU32(appendU32(b, m.hostType()), table)
	}
	const minusOne = 0x7f // as a signed number
	b := []byte{1, 1, typeI32}
	b = ask(b, a.asks())
	b = append(b, opIf, typeEmpty)
	if a.operation == growTable {
		b = append(b, opLocalGet, 0, opLocalGet, delta, prefixMisc, 15)
	} else {
		b = append(b, opLocalGet, delta, opMemoryGrow)
	}
	b = appendU32(b, a.index)
	b = append(b, opLocalTee, result, opI32Const, minusOne, opI32Equal, opIf, typeEmpty)
	b = append(ask(b, a.asks()|GrowthFailed), opDrop, opEnd)
	b = append(b, opElse, opI32Const, minusOne, opLocalSet, result, opEnd)
	return append(b, opLocalGet, result, opEnd)
}
