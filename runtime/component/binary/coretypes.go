package binary

// Bytes of the core format's types.
const (
	coreTypeFunc     = 0x60
	coreTypeStruct   = 0x5f
	coreTypeArray    = 0x5e
	coreTypeCont     = 0x5d
	coreTypeShared   = 0x65
	coreTypeSub      = 0x50
	coreTypeSubFinal = 0x4f
	coreTypeRec      = 0x4e
	coreTypeModule   = 0x50 // where a component defines it
	coreI32          = 0x7f
	coreI64          = 0x7e
	coreF32          = 0x7d
	coreF64          = 0x7c
	coreV128         = 0x7b
	coreI8           = 0x78
	coreI16          = 0x77
	coreRefNull      = 0x63
	coreRef          = 0x64
	coreNoCont       = 0x75
	coreCont         = 0x68
	coreNoExn        = 0x74 // the first of the heap types
	coreExn          = 0x69 // the last of them
)

// coreTypeDef reads a core type as a component defines it: in a module type there are no module
// types.
func (r *reader) coreTypeDef(modules bool) *CoreTypeDef {
	at := r.at
	d := &CoreTypeDef{At: at}
	switch r.peek() {
	case coreTypeModule:
		r.at++
		if !modules {
			r.fail(at, "a module type cannot be in a module type")
		}
		d.Module = &CoreModuleType{Decls: list(r, "declarations", (*reader).moduleDecl)}
	case 0x00: // a type that would else look like a module type
		r.at++
		if b := r.peek(); b != coreTypeSub {
			r.fail(r.at, "a core type 0x%x is not known here", b)
		}
		d.Types = []CoreSubType{r.coreSubType()}
	default:
		d.Types = r.coreRecType()
	}
	return d
}

// coreRecType reads a recursion group, or a type alone.
func (r *reader) coreRecType() []CoreSubType {
	if r.peek() != coreTypeRec {
		return []CoreSubType{r.coreSubType()}
	}
	r.at++
	return list(r, "types", (*reader).coreSubType)
}

func (r *reader) coreSubType() CoreSubType {
	t := CoreSubType{Final: true}
	if b := r.peek(); b == coreTypeSub || b == coreTypeSubFinal {
		r.at++
		t.Final = b == coreTypeSubFinal
		t.Supers = list(r, "supertypes", (*reader).u32)
	}
	at := r.at
	switch b := r.byte(); b {
	case coreTypeFunc:
		t.Type = &CoreFuncType{Params: list(r, "parameters", (*reader).coreValType), Results: list(r, "results", (*reader).coreValType)}
	case coreTypeStruct:
		t.Type = &CoreStructType{Fields: list(r, "fields", (*reader).coreField)}
	case coreTypeArray:
		t.Type = &CoreArrayType{Field: r.coreField()}
	case coreTypeCont:
		r.unsupported(at, "it has types of stack switching, which are not supported")
	case coreTypeShared:
		r.unsupported(at, "it has shared types, which are not supported")
	default:
		r.fail(at, "a core type 0x%x is not known here", b)
	}
	return t
}

func (r *reader) coreField() CoreField {
	f := CoreField{}
	switch r.peek() {
	case coreI8:
		r.at++
		f.Type.Kind = CoreI8
	case coreI16:
		r.at++
		f.Type.Kind = CoreI16
	default:
		f.Type = r.coreValType()
	}
	f.Mutable = r.flag("whether a field is mutable")
	return f
}

func (r *reader) coreValType() CoreValType {
	switch r.peek() {
	case coreI32:
		r.at++
		return CoreValType{Kind: CoreI32}
	case coreI64:
		r.at++
		return CoreValType{Kind: CoreI64}
	case coreF32:
		r.at++
		return CoreValType{Kind: CoreF32}
	case coreF64:
		r.at++
		return CoreValType{Kind: CoreF64}
	case coreV128:
		r.at++
		return CoreValType{Kind: CoreV128}
	default:
		return r.coreRefType()
	}
}

func (r *reader) coreRefType() CoreValType {
	t := CoreValType{Kind: CoreRef, Null: true}
	switch b := r.peek(); b {
	case coreRef, coreRefNull:
		r.at++
		t.Null = b == coreRefNull
		t.Heap = r.coreHeap()
	default:
		if h, ok := r.abstractHeap(); ok {
			t.Heap = h
			return t
		}
		r.fail(r.at, "a core type of values 0x%x is not known here", b)
	}
	return t
}

func (r *reader) coreHeap() CoreHeap {
	if h, ok := r.abstractHeap(); ok {
		return h
	}
	at := r.at
	i := r.s33()
	if i < 0 {
		r.fail(at, "a reference's type 0x%x is not known here", r.b[at])
	}
	return CoreHeap{Index: uint32(i)}
}

// abstractHeap reads the byte of a heap type, if there is one.
func (r *reader) abstractHeap() (h CoreHeap, ok bool) {
	switch b := r.peek(); {
	case b == coreCont || b == coreNoCont:
		r.unsupported(r.at, "it has types of stack switching, which are not supported")
	case b == coreTypeShared:
		r.unsupported(r.at, "it has shared types, which are not supported")
	case b >= coreExn && b <= coreNoExn:
		r.at++
		return CoreHeap{Abstract: b}, true
	}
	return CoreHeap{}, false
}

// Kinds of declarations of a module type.
const (
	moduleImport = 0
	moduleType   = 1
	moduleAlias  = 2
	moduleExport = 3
)

func (r *reader) moduleDecl() CoreModuleDecl {
	at := r.at
	r.defined(at)
	switch kind := r.byte(); kind {
	case moduleImport:
		i := r.coreImport()
		return &i
	case moduleType:
		return r.coreTypeDef(false)
	case moduleAlias:
		at = r.at
		if sort, target := r.byte(), r.byte(); sort != byteType || target != 1 {
			r.fail(at, "a module type has aliases of outer core types only, not 0x%x 0x%x", sort, target)
		}
		return &CoreAlias{Count: r.u32(), Index: r.u32()}
	case moduleExport:
		return &CoreExportDecl{Name: r.name(), Type: r.coreExtern()}
	default:
		r.fail(at, "a declaration of kind 0x%x is not known here", kind)
		return nil
	}
}

func (r *reader) coreImport() CoreImport {
	return CoreImport{Module: r.name(), Name: r.name(), Type: r.coreExtern()}
}

// coreExtern reads the type of an import or export of a module.
func (r *reader) coreExtern() CoreExtern {
	at := r.at
	b := r.byte()
	if b > 4 {
		r.fail(at, "a core item of kind 0x%x is not known here", b)
	}
	switch sort := coreSorts[b]; sort {
	case SortCoreFunc:
		return CoreExtern{Sort: sort, Type: r.u32()}
	case SortCoreTable:
		return r.coreTable()
	case SortCoreMemory:
		return r.coreMemory()
	case SortCoreGlobal:
		return r.coreGlobal()
	default:
		return r.coreTag()
	}
}

func (r *reader) coreTable() CoreExtern {
	return CoreExtern{Sort: SortCoreTable, Value: r.coreRefType(), Limits: r.coreLimits(false)}
}

func (r *reader) coreMemory() CoreExtern {
	return CoreExtern{Sort: SortCoreMemory, Limits: r.coreLimits(true)}
}

func (r *reader) coreGlobal() CoreExtern {
	t := CoreExtern{Sort: SortCoreGlobal, Value: r.coreValType()}
	t.Mutable = r.flag("whether a global is mutable")
	return t
}

func (r *reader) coreTag() CoreExtern {
	r.zero("the form of a tag")
	return CoreExtern{Sort: SortCoreTag, Type: r.u32()}
}

// Flags of limits.
const (
	limitMax    = 1
	limitShared = 2
	limit64     = 4
	limitPages  = 8 // of a memory only: the size of a page follows
)

// wasmPageBits is the logarithm of the size of a page that a memory has unless it says another.
const wasmPageBits = 16

func (r *reader) coreLimits(memory bool) CoreLimits {
	at := r.at
	flags := r.byte()
	known := byte(limitMax | limitShared | limit64)
	if memory {
		known |= limitPages
	}
	if flags&^known != 0 {
		r.fail(at, "flags of a size 0x%x are not known here", flags)
	}
	l := CoreLimits{HasMax: flags&limitMax != 0, Shared: flags&limitShared != 0, Is64: flags&limit64 != 0}
	width := 32
	if l.Is64 {
		width = 64
	}
	l.Min = r.unsigned(width)
	if l.HasMax {
		l.Max = r.unsigned(width)
	}
	if memory {
		l.PageBits = wasmPageBits
	}
	if flags&limitPages != 0 {
		at = r.at
		bits := r.u32()
		if bits != 0 && bits != wasmPageBits {
			r.fail(at, "a page of 2^%d bytes cannot be", bits)
		}
		l.PageBits = uint8(bits)
	}
	return l
}
