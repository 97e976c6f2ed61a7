package wit

import "slices"

// there reports whether an item is there in a version of its package.
func (r *resolver) there(g Gate, p *Package) (bool, error) {
	if g.Feature != "" {
		return slices.Contains(r.options.Features, g.Feature), nil
	}
	if g.Since == "" {
		return true, nil
	}
	if p.Version == "" {
		return false, g.Pos.errorf("an item is gated, and the package has no version")
	}
	since, err := parseVersion(g.Since)
	if err != nil {
		return false, err
	}
	target, err := parseVersion(p.Version)
	if err != nil {
		return false, err
	}
	return !since.after(target), nil
}

// filter returns the items that are there.
func filter[T any](r *resolver, p *Package, all []T, gate func(T) Gate) ([]T, error) {
	var kept []T
	for _, item := range all {
		ok, err := r.there(gate(item), p)
		if err != nil {
			return nil, err
		}
		if ok {
			kept = append(kept, item)
		}
	}
	return kept, nil
}

// filterPackage leaves out what is not there.
func (r *resolver) filterPackage(p *Package) (err error) {
	if p.Interfaces, err = filter(r, p, p.Interfaces, func(i *Interface) Gate { return i.Gate }); err != nil {
		return err
	}
	if p.Worlds, err = filter(r, p, p.Worlds, func(w *World) Gate { return w.Gate }); err != nil {
		return err
	}
	for _, w := range p.Worlds {
		for _, paths := range []*[]gatedPath{&w.imports, &w.exports, &w.includes} {
			if *paths, err = filter(r, p, *paths, func(g gatedPath) Gate { return g.gate }); err != nil {
				return err
			}
		}
	}
	for _, i := range p.Interfaces {
		if err := r.filterInterface(p, i); err != nil {
			return err
		}
	}
	return nil
}

func (r *resolver) filterInterface(p *Package, i *Interface) (err error) {
	gate := func(f *Func) Gate { return f.Gate }
	if i.uses, err = filter(r, p, i.uses, func(u *use) Gate { return u.gate }); err != nil {
		return err
	}
	if i.Types, err = filter(r, p, i.Types, func(d *TypeDef) Gate { return d.Gate }); err != nil {
		return err
	}
	if i.Funcs, err = filter(r, p, i.Funcs, gate); err != nil {
		return err
	}
	for _, d := range i.Types {
		if d.Funcs, err = filter(r, p, d.Funcs, gate); err != nil {
			return err
		}
	}
	return nil
}
