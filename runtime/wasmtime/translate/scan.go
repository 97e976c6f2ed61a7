package translate

// scan reads the bodies of functions, one after the other, and counts the values that the compiler
// will make for each. The compiler omits code that control cannot reach, and the count does the
// same.
type scan struct {
	m *module
	r *reader // the body

	frames    []frame
	reachable bool
	constant  int64 // of the last instruction if that was an i32.const; otherwise -1
	length    int64 // the same for the instruction before it
	values    uint64
	arguments uint64
	bound     uint64 // of values

	groups   []localGroup
	locals   uint32
	uniform  bool // all locals are numbers
	managed  bool // some are references that the garbage collector follows
	handlers int  // the innermost try_table, or -1
	flow     flow

	managesObjects bool // whether any body has an instruction of garbage collection or exceptions

	typeOf   *typeInfo
	refersTo numbers // functions that ref.func names in any body
	start    int     // position of the function
	live     liveness
}

// localGroup is a sequence of locals of one kind.
type localGroup struct {
	end  uint32 // the number of the first local after it
	kind kind
}

// frame is an open block.
type frame struct {
	opcode          byte
	entered         bool // whether control can reach its beginning
	params, results uint32
	label           uint32 // in flow, if it is entered
	handlers        int    // around it
	edge            int    // for an if, the event of its branch to the else part; -1 when there is an else part
}

// body reads one function.
func (s *scan) body(r *reader, t *typeInfo) {
	m := s.m
	s.r, s.typeOf, s.start = r, t, r.at
	s.values = uint64(t.params) + uint64(t.results) + 40 // 40 values are in every function
	s.arguments, s.bound = 0, m.limits.Values
	s.constant = -1
	s.frames, s.handlers, s.reachable = s.frames[:0], -1, true
	r.bound(r.at, "bytes of a function", uint64(len(r.b)-r.at), m.limits.BodyBytes)
	s.readLocals(t)
	s.flow.reset(s.locals)
	s.push(opBlock, 0, uint32(t.results))
	for len(s.frames) > 0 {
		at := r.at
		s.instruction()
		if s.values > s.bound {
			s.tooMany(at)
		}
	}
	if r.more() {
		r.fail(r.at, "code behind the end of the function")
	}
	s.countLive()
}

func (s *scan) tooMany(at int) {
	s.r.bound(at, "values for the compiler", s.values, s.bound)
}

// readLocals reads the declarations of locals.
func (s *scan) readLocals(t *typeInfo) {
	m, r := s.m, s.r
	s.groups, s.uniform, s.managed, s.locals = s.groups[:0], true, false, 0
	add := func(n uint32, k kind) {
		s.locals += n
		s.groups = append(s.groups, localGroup{s.locals, k})
		s.uniform = s.uniform && k == number
		s.managed = s.managed || k == managed
	}
	for _, k := range m.params(t) {
		add(1, k)
	}
	for range r.count("groups of locals") {
		at := r.at
		n := r.u32()
		r.bound(at, "locals", uint64(s.locals)+uint64(n), m.limits.Locals)
		add(n, m.valueType(r))
		s.values += 2
	}
}

func (s *scan) localKind(i uint32) kind {
	if s.uniform {
		return number
	}
	lo, hi := 0, len(s.groups)
	for lo < hi {
		if mid := (lo + hi) / 2; s.groups[mid].end > i {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return s.groups[lo].kind
}

// cost adds the cost of an instruction if control reaches it.
func (s *scan) cost(values uint64, joins uint32) {
	if !s.reachable {
		return
	}
	s.values += values
	if joins > 0 {
		s.flow.inside(joins)
	}
}

// barrier adds the cost of n accesses of references that the garbage collector follows.
func (s *scan) barrier(n uint64) { s.cost(n*barrierValues, uint32(min(n, 1<<20))*barrierJoins) }

// instruction reads an instruction.
func (s *scan) instruction() {
	at := s.r.at
	s.length, s.constant = s.constant, -1
	code := s.r.byte()
	o := &ops[code]
	switch o.shape {
	case plain, localAccess, memoryAccess, int32Const: // the most frequent ones
		if o.feature != firstVersion {
			s.r.need(o.feature, at)
		}
		s.operands(o, uint32(code), at)
		if s.reachable {
			s.values += uint64(o.values)
			if code == opUnreachable {
				s.stop()
			}
		}
	case prefixed:
		s.prefixed(code, at)
	default:
		s.general(o, uint32(code), at)
	}
}

// prefixed reads the rest of an instruction whose opcode has two parts.
func (s *scan) prefixed(prefix byte, at int) {
	code := s.r.u32()
	var o op
	switch {
	case prefix == prefixMisc && code < uint32(len(miscOps)):
		o = miscOps[code]
	case prefix == prefixSIMD && code < uint32(len(simdOps)):
		o = simdOps[code]
	case prefix == prefixGC && code < uint32(len(gcOps)):
		o = gcOps[code]
	case prefix == prefixAtomic && code < uint32(len(atomicOps)):
		o = atomicOps[code]
	}
	if o.shape == unknown {
		s.r.fail(at, "an instruction 0x%x 0x%x is not known here", prefix, code)
	}
	s.general(&o, uint32(prefix)<<16|code, at)
}

// general reads the operands of an instruction, and counts it.
func (s *scan) general(o *op, code uint32, at int) {
	if o.shape == unknown {
		s.r.fail(at, "an instruction 0x%x is not known here", code)
	}
	if o.feature != firstVersion {
		s.r.need(o.feature, at)
	}
	s.managesObjects = s.managesObjects || o.feature == GC || o.feature == ExceptionHandling
	switch o.shape {
	case control:
		s.cost(uint64(o.values), 0)
		s.control(code, at)
		return
	case callOp:
		s.cost(uint64(o.values), uint32(o.joins))
		s.call(code, at)
		return
	case castBranch:
		s.cost(uint64(o.values), uint32(o.joins))
		if flags := s.r.byte(); flags > 3 {
			s.r.fail(at, "flags of a cast 0x%x are not known here", flags)
		}
		s.branch(s.r.u32(), at)
		s.m.heapType(s.r)
		s.m.heapType(s.r)
		return
	}
	s.cost(uint64(o.values), uint32(o.joins))
	s.operands(o, code, at)
}

// operands reads the operands of an instruction that does not change the control flow.
func (s *scan) operands(o *op, code uint32, at int) {
	m, r := s.m, s.r
	switch o.shape {
	case plain:
	case localAccess:
		s.local(byte(code), at)
	case globalAccess:
		i := r.u32()
		r.index(at, "global", i, len(m.globals))
		if m.globals[i] == managed {
			s.barrier(1)
		}
	case memoryAccess, laneAccess:
		s.memarg(at)
		if o.shape == laneAccess {
			r.byte()
		}
	case lane:
		r.byte()
	case memoryIndex:
		s.memory(at)
	case int32Const:
		s.constant = int64(uint32(r.signed(32)))
	case int64Const:
		r.signed(64)
	case bytes4:
		r.take(4)
	case bytes8:
		r.take(8)
	case bytes16:
		r.take(16)
	case selectTyped:
		for range r.count("types of a select") {
			m.valueType(r)
		}
	case refNull:
		m.heapType(r)
	case refFunc:
		i := r.u32()
		r.index(at, "function", i, len(m.functions))
		s.refersTo.add(i)
	case memoryGrow, tableGrow:
		s.growth(o, at)
	case throwOp:
		s.throw(code, at)
	default:
		s.segments(o, at)
	}
}

// local reads the number of a local.
func (s *scan) local(code byte, at int) {
	i := s.r.u32()
	if i >= s.locals {
		s.r.fail(at, "there is no local %d", i)
	}
	if !s.reachable {
		return
	}
	if !s.uniform && s.localKind(i) != number {
		s.values++ // a cast, or a load after a call that may move the object
	}
	if code == opLocalGet {
		s.flow.get(i)
	} else {
		s.flow.set(i)
	}
}

func (s *scan) memarg(at int) {
	const hasMemory, alignment = 1 << 6, 1<<6 - 1
	flags := s.r.u32()
	switch {
	case flags&^(hasMemory|alignment) != 0:
		s.r.fail(at, "flags of a memory access 0x%x are not known here", flags)
	case flags&hasMemory != 0:
		s.r.need(MultiMemory, at)
		s.memory(at)
	default:
		s.r.index(at, "memory", 0, len(s.m.memories))
	}
	s.r.u32()
}

// memory reads the number of a memory.
func (s *scan) memory(at int) uint32 {
	i := s.r.u32()
	if i > 0 {
		s.r.need(MultiMemory, at)
	}
	s.r.index(at, "memory", i, len(s.m.memories))
	return i
}

// table reads the number of a table.
func (s *scan) table(at int) uint32 {
	i := s.r.u32()
	if i > 0 {
		s.r.need(ReferenceTypes, at)
	}
	s.r.index(at, "table", i, len(s.m.tables))
	return i
}

// typeOfKind reads the number of a type.
func (s *scan) typeOfKind(at int, c composite) *typeInfo {
	i := s.r.u32()
	s.r.index(at, "type", i, len(s.m.types))
	t := &s.m.types[i]
	if t.composite != c {
		s.r.fail(at, "type %d is of another kind", i)
	}
	return t
}
