package binary

// The format's byte of a core sort is these, and that of another sort is those below. A core sort
// follows a sortCore.
var (
	coreSorts = map[byte]Sort{
		0x00: SortCoreFunc, 0x01: SortCoreTable, 0x02: SortCoreMemory, 0x03: SortCoreGlobal, 0x04: SortCoreTag,
		0x10: SortCoreType, 0x11: SortCoreModule, 0x12: SortCoreInstance,
	}
	sorts = map[byte]Sort{0x01: SortFunc, 0x03: SortType, 0x04: SortComponent, 0x05: SortInstance}
)

const (
	sortCore     = 0x00
	sortValue    = 0x02
	byteInstance = 0x12
	byteModule   = 0x11
	byteType     = 0x10
)

func (r *reader) coreSort() Sort {
	at := r.at
	b := r.byte()
	s, ok := coreSorts[b]
	if !ok {
		r.fail(at, "there is no sort 0x%x of core items", b)
	}
	return s
}

func (r *reader) sort() Sort {
	at := r.at
	b := r.byte()
	if b == sortCore {
		return r.coreSort()
	}
	return r.otherSort(at, b)
}

// otherSort is what b says, which is not sortCore.
func (r *reader) otherSort(at int, b byte) Sort {
	if b == sortValue {
		r.unsupported(at, "the component uses values, which are not supported")
	}
	s, ok := sorts[b]
	if !ok {
		r.fail(at, "there is no sort 0x%x of items", b)
	}
	return s
}

func (r *reader) ref() Ref     { return Ref{Sort: r.sort(), Index: r.u32()} }
func (r *reader) coreRef() Ref { return Ref{Sort: r.coreSort(), Index: r.u32()} }

// bundles reports whether an instance is made of items, and not of a module or component.
func (r *reader) bundles() bool { return r.flag("how an instance is made") }

func (r *reader) coreInstance() Definition {
	at := r.at
	if r.bundles() {
		return &CoreBundle{At: at, Exports: list(r, "exports", func(r *reader) CoreExport {
			return CoreExport{Name: r.name(), Ref: r.coreRef()}
		})}
	}
	return &CoreInstantiate{At: at, Module: r.u32(), Args: list(r, "arguments", func(r *reader) CoreArg {
		name := r.name()
		at := r.at
		if b := r.byte(); b != byteInstance {
			r.fail(at, "an argument for a core module is of sort 0x%x, and can only be an instance", b)
		}
		return CoreArg{Name: name, Instance: r.u32()}
	})}
}

func (r *reader) instance() Definition {
	at := r.at
	if r.bundles() {
		return &Bundle{At: at, Exports: list(r, "exports", func(r *reader) InlineExport {
			return InlineExport{Name: r.externName(), Ref: r.ref()}
		})}
	}
	return &Instantiate{At: at, Component: r.u32(), Args: list(r, "arguments", func(r *reader) Arg {
		return Arg{Name: r.name(), Ref: r.ref()}
	})}
}

// What an alias is of.
const (
	aliasExport     = 0
	aliasCoreExport = 1
	aliasOuter      = 2
)

// alias reads an *AliasExport, *AliasCoreExport or *AliasOuter.
func (r *reader) alias() Definition {
	at := r.at
	sort := r.sort()
	kindAt := r.at
	switch kind := r.byte(); kind {
	case aliasExport:
		if sort < SortFunc && sort != SortCoreModule {
			r.fail(at, "instances have no exports of this sort")
		}
		return &AliasExport{Sort: sort, Instance: r.u32(), Name: r.name(), At: at}
	case aliasCoreExport:
		if sort > SortCoreTag {
			r.fail(at, "core instances have no exports of this sort")
		}
		return &AliasCoreExport{Sort: sort, Instance: r.u32(), Name: r.name(), At: at}
	case aliasOuter:
		switch sort {
		case SortCoreModule, SortCoreType, SortType, SortComponent:
		default:
			r.fail(at, "items of this sort cannot be of an enclosing component")
		}
		return &AliasOuter{Sort: sort, Count: r.u32(), Index: r.u32(), At: at}
	default:
		r.fail(kindAt, "an alias of kind 0x%x is not known here", kind)
		return nil
	}
}

// Attributes of a name.
const (
	attributeImplements    = 0
	attributeVersionSuffix = 1
	attributeExternalID    = 2
)

func (r *reader) externName() ExternName {
	at := r.at
	form := r.byte()
	if form > 2 { // 0 and 1 are the same
		r.fail(at, "a name of form 0x%x is not known here", form)
	}
	n := ExternName{Name: r.name()}
	if form < 2 {
		return n
	}
	given := [3]bool{}
	list(r, "attributes", func(r *reader) struct{} {
		at := r.at
		kind := r.byte()
		if kind > attributeExternalID {
			r.fail(at, "an attribute 0x%x of a name is not known here", kind)
		}
		name, value := "", r.name()
		switch kind {
		case attributeImplements:
			name, n.Implements = "implements", value
		case attributeVersionSuffix:
			name, n.VersionSuffix = "versionsuffix", value
		case attributeExternalID:
			name, n.ExternalID = "external-id", value
		}
		if value == "" && kind != attributeExternalID {
			r.fail(at, "the attribute %s is empty", name)
		}
		if given[kind] {
			n.Repeated = name
		}
		given[kind] = true
		return struct{}{}
	})
	return n
}

func (r *reader) externType() ExternType {
	at := r.at
	b := r.byte()
	if b == sortCore {
		at = r.at
		if b := r.byte(); b != byteModule {
			r.fail(at, "imports and exports have no core sort 0x%x", b)
		}
		return ExternType{Sort: SortCoreModule, Index: r.u32()}
	}
	t := ExternType{Sort: r.otherSort(at, b)}
	if t.Sort == SortType {
		t.Resource = r.flag("the bound of a type")
	}
	if !t.Resource {
		t.Index = r.u32()
	}
	return t
}

func (r *reader) export() *Export {
	e := &Export{At: r.at}
	e.Name = r.externName()
	e.Ref = r.ref()
	if r.flag("whether an export says its type") {
		t := r.externType()
		e.Type = &t
	}
	return e
}
