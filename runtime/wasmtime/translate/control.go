package translate

// push opens a block.
func (s *scan) push(code byte, params, results uint32) {
	s.r.bound(s.r.at, "blocks within each other", uint64(len(s.frames)), s.m.limits.Nesting)
	f := frame{opcode: code, entered: s.reachable, params: params, results: results, handlers: s.handlers, edge: -1}
	if s.reachable {
		s.values += uint64(params) + uint64(results)
		if code == opLoop {
			f.label = s.flow.openLoop()
		} else {
			f.label = s.flow.open()
		}
	}
	s.frames = append(s.frames, f)
}

// arity returns how many values a branch to the block passes.
func (f *frame) arity() uint64 {
	if f.opcode == opLoop {
		return uint64(f.params)
	}
	return uint64(f.results)
}

// stop notes that control does not reach the next instruction.
func (s *scan) stop() {
	if s.reachable {
		s.flow.stop()
		s.reachable = false
	}
}

// branch notes a branch to a label.
func (s *scan) branch(depth uint32, at int) {
	if uint64(depth) >= uint64(len(s.frames)) {
		s.r.fail(at, "there is no label %d", depth)
	}
	if s.reachable {
		f := &s.frames[len(s.frames)-1-int(depth)]
		s.arguments += f.arity()
		s.flow.edge(f.label)
	}
}

// control reads instructions that begin or end blocks, and branches.
func (s *scan) control(code uint32, at int) {
	r := s.r
	switch code {
	case opBlock, opLoop, opIf:
		params, results := s.blockType(at)
		s.push(byte(code), params, results)
		if f := &s.frames[len(s.frames)-1]; code == opIf && f.entered {
			s.arguments += uint64(params)
			f.edge = s.flow.edge(f.label)
		}
		if code == opLoop {
			s.cost(24, 0) // a check of the epoch
		}
	case opElse:
		s.elsePart(at)
	case opEnd:
		s.end()
	case opBr:
		s.branch(r.u32(), at)
		s.stop()
	case opBrIf, opBrOnNull, opBrOnNonNull:
		s.branch(r.u32(), at)
	case opBrTable:
		n := r.count("targets of a br_table")
		r.bound(at, "targets of a br_table", uint64(n), s.m.limits.Targets)
		s.cost(2*uint64(n), 0)
		for range n + 1 {
			s.branch(r.u32(), at)
		}
		s.stop()
	case opReturn:
		s.cost(uint64(s.typeOf.results), 0)
		s.stop()
	case opTryTable:
		s.tryTable(at)
	}
}

// blockType reads the parameters and results of a block.
func (s *scan) blockType(at int) (params, results uint32) {
	r := s.r
	b := r.b[min(r.at, len(r.b)-1)]
	switch {
	case b == typeEmpty:
		r.byte()
		return 0, 0
	case b < 0x80 && b&0x40 != 0:
		s.m.valueType(r)
		return 0, 1
	}
	r.need(MultiValue, at)
	i := r.signed(33)
	if i < 0 || i >= int64(len(s.m.types)) || s.m.types[i].composite != functionType {
		r.fail(at, "a block of a type %d that is no function's", i)
	}
	t := &s.m.types[i]
	return uint32(t.params), uint32(t.results)
}

func (s *scan) elsePart(at int) {
	f := &s.frames[len(s.frames)-1]
	if f.opcode != opIf {
		s.r.fail(at, "an else without its if")
	}
	f.opcode = opElse
	if !f.entered {
		return
	}
	if s.reachable {
		s.arguments += uint64(f.results)
		s.flow.edge(f.label)
		s.stop()
	}
	s.flow.elsePart(f.edge)
	s.reachable = true
}

func (s *scan) end() {
	f := s.frames[len(s.frames)-1]
	s.frames = s.frames[:len(s.frames)-1]
	if f.opcode == opTryTable && f.entered {
		s.flow.closeHandlers(s.handlers)
	}
	s.handlers = f.handlers
	if !f.entered {
		return
	}
	if s.reachable {
		s.arguments += uint64(f.results)
	}
	if f.opcode == opLoop {
		return // control reaches the next instruction only from the end of the block
	}
	s.reachable = s.flow.close(f.label, s.reachable)
}

// tryTable reads a try_table. Each call in it may lead to each of its catches, and to the catches
// around it.
func (s *scan) tryTable(at int) {
	m, r := s.m, s.r
	params, results := s.blockType(at)
	n := r.count("catches")
	var targets []uint32
	for range n {
		which := r.byte()
		var payload uint64
		if which < 2 {
			tag := r.u32()
			r.index(at, "tag", tag, len(m.tags))
			payload = uint64(m.tags[tag].params)
		} else if which > 3 {
			r.fail(at, "a catch 0x%x is not known here", which)
		}
		depth := r.u32()
		if uint64(depth) >= uint64(len(s.frames)) {
			r.fail(at, "there is no label %d", depth)
		}
		s.cost(20+barrierValues*payload, barrierJoins*uint32(payload))
		if s.reachable {
			targets = append(targets, s.frames[len(s.frames)-1-int(depth)].label)
		}
	}
	s.push(opTryTable, params, results)
	if s.reachable {
		s.handlers = s.flow.openHandlers(s.handlers, targets)
		r.bound(at, "catches around a place", s.flow.handlers(s.handlers), m.limits.Catches)
	}
}

// called counts a call's results, and its edges to the catches around it.
func (s *scan) called(results uint64) {
	if !s.reachable {
		return
	}
	s.values += results
	if s.handlers >= 0 {
		s.values += results
		s.arguments += s.flow.throwTo(s.handlers)
	}
}

// call reads the operands of a call.
func (s *scan) call(code uint32, at int) {
	m, r := s.m, s.r
	var t *typeInfo
	switch code {
	case opCall, opReturnCall:
		i := r.u32()
		r.index(at, "function", i, len(m.functions))
		t = m.typeOf(i)
	case opCallIndir, opReturnIndir:
		t = s.typeOfKind(at, functionType)
		s.table(at)
	default:
		t = s.typeOfKind(at, functionType)
	}
	s.cost(uint64(t.params), 0)
	switch code {
	case opReturnCall, opReturnIndir, opReturnRef:
		s.stop()
	default:
		s.called(uint64(t.results))
	}
}

func (s *scan) throw(code uint32, at int) {
	var payload uint64
	if code == opThrow {
		tag := s.r.u32()
		s.r.index(at, "tag", tag, len(s.m.tags))
		payload = uint64(s.m.tags[tag].params)
	}
	s.cost(6*payload, 0)
	s.barrier(payload)
	s.called(0)
	s.stop()
}
