package binary

// constant passes over a constant expression. Its types are not looked at.
func (r *reader) constant() {
	for {
		at := r.at
		switch op := r.byte(); op {
		case 0x0b: // end
			return
		case 0x23, 0xd2: // global.get, ref.func
			r.u32()
		case 0x41: // i32.const
			r.signed(32)
		case 0x42: // i64.const
			r.signed(64)
		case 0x43: // f32.const
			r.take(4)
		case 0x44: // f64.const
			r.take(8)
		case 0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e: // add, sub, mul of i32 and i64
		case 0xd0: // ref.null
			r.coreHeap()
		case 0xfb:
			r.constantObject(at)
		case 0xfd:
			if sub := r.u32(); sub != 12 { // v128.const
				r.fail(at, "instruction 0xfd %d cannot be in a constant", sub)
			}
			r.take(16)
		default:
			r.fail(at, "instruction 0x%x cannot be in a constant", op)
		}
	}
}

// constantObject passes over an instruction of the core's garbage collection.
func (r *reader) constantObject(at int) {
	switch sub := r.u32(); sub {
	case 0, 1, 6, 7: // struct.new, struct.new_default, array.new, array.new_default
		r.u32()
	case 8: // array.new_fixed
		r.u32()
		r.u32()
	case 26, 27, 28: // any.convert_extern, extern.convert_any, ref.i31
	default:
		r.fail(at, "instruction 0xfb %d cannot be in a constant", sub)
	}
}
