package wit

import "errors"

// resolver binds names to what they mean.
type resolver struct {
	options  Options
	packages map[string]*Package
}

func (r *resolver) resolve() error {
	all := r.sorted()
	steps := []func(*Package) error{r.filterPackage, r.checkNames, r.defineTypes, r.bindUses, r.bindTypes, r.markWorlds}
	for _, step := range steps {
		for _, p := range all {
			if err := step(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// unique reports a name that is there twice.
type unique map[string]bool

func (u unique) add(id Ident) error {
	if u[id.Name] {
		return id.Pos.errorf("%s is defined twice", id.Name)
	}
	u[id.Name] = true
	return nil
}

func (r *resolver) checkNames(p *Package) error {
	names := unique{}
	for _, i := range p.Interfaces {
		if err := errors.Join(names.add(i.Ident), checkInterface(i)); err != nil {
			return err
		}
	}
	for _, w := range p.Worlds {
		if err := names.add(w.Ident); err != nil {
			return err
		}
	}
	return nil
}

// checkInterface checks what can be checked without knowing what names mean.
func checkInterface(i *Interface) error {
	names := unique{}
	for _, d := range i.Types {
		if err := errors.Join(names.add(d.Ident), checkDef(d)); err != nil {
			return err
		}
	}
	for _, f := range i.Funcs {
		if err := errors.Join(names.add(f.Ident), checkFields(f.Params)); err != nil {
			return err
		}
	}
	return nil
}

// maxFlags is how many flags the component model allows.
const maxFlags = 32

func checkDef(d *TypeDef) error {
	if len(d.Fields) == 0 && d.Kind != Alias && d.Kind != Resource {
		return d.Pos.errorf("%s is empty", d.Name)
	}
	if d.Kind == Flags && len(d.Fields) > maxFlags {
		return d.Pos.errorf("%s has more than %d flags", d.Name, maxFlags)
	}
	if err := checkFields(d.Fields); err != nil {
		return err
	}
	names := unique{}
	for _, f := range d.Funcs {
		if err := errors.Join(names.add(f.Ident), checkFields(f.Params)); err != nil {
			return err
		}
	}
	return nil
}

func checkFields(fields []Field) error {
	names := unique{}
	for _, f := range fields {
		if err := names.add(f.Ident); err != nil {
			return err
		}
	}
	return nil
}

// defineTypes puts the types of interfaces, and placeholders of those that they use, into scope.
func (r *resolver) defineTypes(p *Package) error {
	for _, i := range p.Interfaces {
		for _, d := range i.Types {
			i.scope[d.Name] = d
		}
		for _, u := range i.uses {
			for _, n := range u.names {
				if _, ok := i.scope[n.as.Name]; ok {
					return n.as.Pos.errorf("%s is defined twice", n.as.Name)
				}
				i.scope[n.as.Name] = &TypeDef{Kind: used, Interface: i, Ident: n.as}
			}
		}
	}
	return nil
}

// find returns the interface or world that a path names.
func (r *resolver) find(p *Package, names fileNames, at reference) (*Interface, *World, error) {
	if at.namespace == "" {
		if of, ok := names[at.name.Name]; ok && of.name != at.name {
			return r.find(p, nil, of)
		}
	} else {
		q := Package{Namespace: at.namespace, Name: at.pkg, Version: at.version}
		of, ok := r.packages[q.FullName()]
		if !ok {
			return nil, nil, at.name.Pos.errorf("there is no package %s", q.FullName())
		}
		p = of
	}
	for _, i := range p.Interfaces {
		if i.Name == at.name.Name {
			return i, nil, nil
		}
	}
	for _, w := range p.Worlds {
		if w.Name == at.name.Name {
			return nil, w, nil
		}
	}
	return nil, nil, at.name.Pos.errorf("there is no interface or world %s in %s", at.name.Name, p.FullName())
}

func (r *resolver) bindUses(p *Package) error {
	for _, i := range p.Interfaces {
		for _, u := range i.uses {
			from, _, err := r.find(p, i.names, u.path)
			if err != nil {
				return err
			}
			if from == nil {
				return u.path.name.Pos.errorf("%s is a world, and types are used of interfaces", u.path.name.Name)
			}
			for _, n := range u.names {
				of, ok := from.scope[n.name.Name]
				if !ok {
					return n.name.Pos.errorf("%s has no type %s", from.FullName(), n.name.Name)
				}
				i.scope[n.as.Name].of = of
			}
		}
	}
	return nil
}

// markWorlds marks the interfaces that the package's worlds import and export.
func (r *resolver) markWorlds(p *Package) error {
	for _, w := range p.Worlds {
		if err := r.markWorld(w, map[*World]bool{}); err != nil {
			return err
		}
	}
	return nil
}

func (r *resolver) markWorld(w *World, seen map[*World]bool) error {
	if seen[w] {
		return nil
	}
	seen[w] = true
	mark := func(all []gatedPath, on func(*Interface)) error {
		for _, g := range all {
			i, _, err := r.find(w.Package, w.names, g.path)
			if err != nil {
				return err
			}
			if i == nil {
				return g.path.name.Pos.errorf("%s is a world, and is no interface", g.path.name.Name)
			}
			on(i)
		}
		return nil
	}
	err := errors.Join(
		mark(w.imports, func(i *Interface) { i.Imported = true }),
		mark(w.exports, func(i *Interface) { i.Exported = true }))
	if err != nil {
		return err
	}
	for _, g := range w.includes {
		_, of, err := r.find(w.Package, w.names, g.path)
		if err != nil {
			return err
		}
		if of == nil {
			return g.path.name.Pos.errorf("%s is an interface, and a world includes worlds", g.path.name.Name)
		}
		if err := r.markWorld(of, seen); err != nil {
			return err
		}
	}
	return nil
}
