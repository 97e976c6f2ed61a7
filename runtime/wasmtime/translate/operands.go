package translate

// segments reads operands that name types, tables or segments.
func (s *scan) segments(o *op, at int) {
	m, r := s.m, s.r
	data := func() { r.index(at, "data segment", r.u32(), m.dataCount) }
	element := func() { r.index(at, "element segment", r.u32(), m.elementSegments) }
	switch o.shape {
	case tableAccess:
		if m.tables[s.table(at)].kind == managed {
			s.barrier(1)
		}
	case dataSegment:
		data()
	case dataToMemory:
		segment := r.u32()
		r.index(at, "data segment", segment, m.dataCount)
		s.bulk(added{operation: initMemory, from: segment, index: s.memory(at)}, at)
	case memoryToMemory:
		to := s.memory(at)
		s.bulk(added{operation: copyMemory, index: to, from: s.memory(at)}, at)
	case memoryFill:
		s.bulk(added{operation: fillMemory, index: s.memory(at)}, at)
	case elementSegment:
		element()
	case elementToTable:
		element()
		s.table(at)
	case tableToTable:
		s.table(at)
		s.table(at)
	case castOp:
		m.heapType(r)
	case arrayData:
		s.typeOfKind(at, arrayType)
		data()
	case arrayElement:
		s.typeOfKind(at, arrayType)
		element()
	case arrayToArray:
		s.typeOfKind(at, arrayType)
		s.typeOfKind(at, arrayType)
	default:
		s.objects(o, at)
	}
}

// objects reads operands that name types of structs or arrays.
func (s *scan) objects(o *op, at int) {
	m, r := s.m, s.r
	switch o.shape {
	case typeOp:
		i := r.u32()
		r.index(at, "type", i, len(m.types))
		switch t := &m.types[i]; t.composite {
		case structType: // a new struct: each field is written
			s.cost(uint64(t.params)*6, 0)
			s.barrier(countManaged(m.params(t)))
		case arrayType:
			s.barrier(countManaged(m.params(t)))
		case functionType:
			r.fail(at, "type %d is of another kind", i)
		}
	case fieldOp:
		t := s.typeOfKind(at, structType)
		i := r.u32()
		r.index(at, "field", i, int(t.params))
		if m.params(t)[i] == managed {
			s.barrier(1)
		}
	case arrayFixed:
		t := s.typeOfKind(at, arrayType)
		n := uint64(r.u32())
		s.cost(6*n, 0)
		if m.params(t)[0] == managed {
			s.barrier(n)
		}
	default:
		r.fail(at, "an instruction is not known here")
	}
}

func countManaged(kinds []kind) (n uint64) {
	for _, k := range kinds {
		if k == managed {
			n++
		}
	}
	return n
}

// growth notes an instruction that is replaced by a call.
func (s *scan) growth(o *op, at int) {
	m := s.m
	var callee uint32
	if o.shape == memoryGrow {
		callee = m.added.of(added{operation: growMemory, index: s.memory(at)})
	} else {
		callee = m.added.of(added{operation: growTable, index: s.table(at)})
	}
	m.sites = append(m.sites, site{start: at, end: s.r.at, callee: callee})
	s.r.bound(at, "instructions that grow memories or tables", uint64(len(m.sites)-m.bulks), m.limits.Growths)
	s.called(0)
}
