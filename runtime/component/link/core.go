package link

import (
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
)

func (f *frame) defineModule(d *binary.CoreModule) error {
	m, ok := f.linker.modules[d]
	if !ok {
		imports, err := moduleImports(d)
		if err != nil {
			return f.at(d.At, err)
		}
		m = &module{number: int32(len(f.out.Plan.Modules)), imports: imports}
		f.out.Plan.Modules = append(f.out.Plan.Modules, d.Bytes)
		f.linker.modules[d] = m
	}
	f.modules = append(f.modules, m)
	return nil
}

func (f *frame) coreInstantiate(d *binary.CoreInstantiate) error {
	m, err := element(f.modules, d.Module)
	if err != nil {
		return err
	}
	if err := f.spend(len(d.Args) + len(m.imports)); err != nil {
		return err
	}
	from := make(map[string]*coreInstance, len(d.Args))
	for _, a := range d.Args {
		if from[a.Name], err = element(f.cores, a.Instance); err != nil {
			return err
		}
	}
	s := plan.Step{Op: plan.Instantiate, Module: m.number}
	for _, i := range m.imports {
		source := from[i.Module]
		if source == nil {
			return fmt.Errorf("%w: import %q of a core module", errNoItem, short(i.Module))
		}
		item, err := f.coreExport(source, i.Name)
		if err != nil {
			return err
		}
		s.Args = append(s.Args, item)
	}
	if f.store == None {
		return errNoStore
	}
	store := &f.out.Plan.Stores[f.store]
	s.Instance = int32(store.Instances)
	store.Instances++
	f.cores = append(f.cores, &coreInstance{number: s.Instance, items: map[string]int32{}})
	return f.step(s)
}

// coreExport returns the item of an export of a core instance. The first time it takes a step.
func (f *frame) coreExport(i *coreInstance, name string) (int32, error) {
	if item, ok := i.items[name]; ok {
		return item, nil
	}
	if i.bundle || f.store == None {
		return 0, fmt.Errorf("%w: %q of a core instance", errNoExport, short(name))
	}
	store := &f.out.Plan.Stores[f.store]
	item := int32(store.Items)
	store.Items++
	i.items[name] = item
	return item, f.step(plan.Step{Op: plan.Export, Instance: i.number, Name: name, Item: item})
}

func (f *frame) coreBundle(d *binary.CoreBundle) error {
	if err := f.spend(len(d.Exports)); err != nil {
		return err
	}
	i := &coreInstance{bundle: true, items: make(map[string]int32, len(d.Exports))}
	for _, x := range d.Exports {
		item, err := f.coreItem(x.Sort, x.Index)
		if err != nil {
			return err
		}
		i.items[x.Name] = item
	}
	f.cores = append(f.cores, i)
	return nil
}

func (f *frame) coreItem(s binary.Sort, index uint32) (int32, error) {
	if int(s) >= len(f.core) {
		return 0, errWrong
	}
	return element(f.core[s], index)
}

func (f *frame) aliasCoreExport(d *binary.AliasCoreExport) error {
	i, err := element(f.cores, d.Instance)
	if err != nil {
		return err
	}
	if int(d.Sort) >= len(f.core) {
		return errWrong
	}
	item, err := f.coreExport(i, d.Name)
	f.core[d.Sort] = append(f.core[d.Sort], item)
	return err
}
