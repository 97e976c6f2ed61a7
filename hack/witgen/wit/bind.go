package wit

// maxUses bounds how many interfaces pass on a type that is used.
const maxUses = 100

// definition returns the definition of a name, where it is.
func definition(i *Interface, id Ident) (*TypeDef, error) {
	d, ok := i.scope[id.Name]
	if !ok {
		return nil, id.Pos.errorf("there is no type %s", id.Name)
	}
	for range maxUses {
		if d.Kind != used {
			return d, nil
		}
		d = d.of
	}
	return nil, id.Pos.errorf("the uses of %s lead in a circle", id.Name)
}

// bindTypes binds the names in the types of a package, and checks that none contains itself.
func (r *resolver) bindTypes(p *Package) error {
	for _, i := range p.Interfaces {
		for _, u := range i.uses {
			for _, n := range u.names {
				if _, err := definition(i, n.as); err != nil {
					return err
				}
			}
		}
		for _, d := range i.Types {
			if err := bindDef(d); err != nil {
				return err
			}
		}
		for _, f := range i.Funcs {
			if err := bindFunc(i, f); err != nil {
				return err
			}
		}
		for _, d := range i.Types {
			for _, f := range d.Funcs {
				if err := bindFunc(i, f); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func bindFunc(i *Interface, f *Func) error {
	for _, p := range f.Params {
		if err := bind(i, p.Type); err != nil {
			return err
		}
	}
	if f.Result == nil {
		return nil
	}
	if err := bind(i, f.Result); err != nil {
		return err
	}
	if f.Kind == Constructor {
		return checkConstructor(f)
	}
	return nil
}

func checkConstructor(f *Func) error {
	made := f.Result.Meaning()
	if made.Kind == Result && made.Args[0] != nil {
		made = made.Args[0].Meaning()
	}
	if made.Kind != Own || made.Def != f.Of {
		return f.Pos.errorf("a constructor of %s returns %s, or a result of it", f.Of.Name, f.Of.Name)
	}
	return nil
}

// States of the search for types that contain themselves.
const (
	fresh = iota
	open
	bound
)

// bindDef binds the names in a definition. It is called once more for each use of it, and then
// knows that it is bound, or that it contains itself.
func bindDef(d *TypeDef) error {
	switch d.state {
	case bound:
		return nil
	case open:
		return d.Pos.errorf("%s contains itself", d.Name)
	}
	d.state = open
	if d.Type != nil {
		if err := bind(d.Interface, d.Type); err != nil {
			return err
		}
	}
	for _, f := range d.Fields {
		if f.Type != nil {
			if err := bind(d.Interface, f.Type); err != nil {
				return err
			}
		}
	}
	d.state = bound
	return nil
}

func bind(i *Interface, t *Type) error {
	for _, a := range t.Args {
		if a != nil {
			if err := bind(i, a); err != nil {
				return err
			}
		}
	}
	switch t.Kind {
	case Map:
		return checkKey(t)
	case Named, Own, Borrow:
	default:
		return nil
	}
	d, err := definition(i, t.name)
	if err != nil {
		return err
	}
	t.Def = d
	if err := bindDef(d); err != nil {
		return err
	}
	resource := d.Kind == Resource || d.Kind == Alias && d.Type.Meaning().Kind == Own
	if t.Kind != Named && !resource {
		return t.Pos.errorf("%s is no resource, and handles are of resources", d.Name)
	}
	if resource && t.Kind == Named {
		t.Kind = Own
	}
	return nil
}

func checkKey(t *Type) error {
	switch k := t.Args[0].Meaning(); k.Kind {
	case "bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "char", "string":
		return nil
	default:
		return k.Pos.errorf("the key of a map is a whole number, a bool, a char or a string")
	}
}
