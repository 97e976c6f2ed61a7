package wit

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// maxFiles bounds how many files are read; WASI 0.2 has 30 in its own repositories.
const maxFiles = 1000

// Options say what is there of items that are gated.
type Options struct {
	// Features are those whose items are there.
	Features []string
}

// Load reads all .wit files in a tree: those of one folder are one package. It returns the packages
// in the order of their names.
func Load(tree fs.FS, o Options) ([]*Package, error) {
	r := &resolver{options: o, packages: map[string]*Package{}}
	folders := map[string]*Package{}
	files := 0
	err := fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(name, ".wit") {
			return err
		}
		if files++; files > maxFiles {
			return fmt.Errorf("there are more than %d files", maxFiles)
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		f, err := parse(name, string(text))
		if err != nil {
			return err
		}
		return r.add(folders, path.Dir(name), f)
	})
	if err != nil {
		return nil, fmt.Errorf("reading WIT: %w", err)
	}
	for folder, p := range folders {
		if p.Name == "" {
			return nil, fmt.Errorf("reading WIT: no file in %s names the package", folder)
		}
		if err := r.register(p); err != nil {
			return nil, fmt.Errorf("reading WIT: %w", err)
		}
	}
	if err := r.resolve(); err != nil {
		return nil, fmt.Errorf("reading WIT: %w", err)
	}
	return r.sorted(), nil
}

// add adds what a file has to the package of its folder, and to the packages.
func (r *resolver) add(folders map[string]*Package, folder string, f *file) error {
	for _, p := range f.nested {
		if err := r.register(p); err != nil {
			return err
		}
	}
	if f.declared == nil && len(f.main.Interfaces)+len(f.main.Worlds) == 0 {
		return nil
	}
	p, ok := folders[folder]
	if !ok {
		p = &Package{}
		folders[folder] = p
	}
	if d := f.declared; d != nil {
		if p.Name != "" && p.FullName() != d.FullName() {
			return d.Pos.errorf("the package is %s, and another file of the folder names %s", d.FullName(), p.FullName())
		}
		p.Namespace, p.Name, p.Version, p.Pos = d.Namespace, d.Name, d.Version, d.Pos
	}
	for _, i := range f.main.Interfaces {
		i.Package = p
	}
	for _, w := range f.main.Worlds {
		w.Package = p
	}
	p.Interfaces = append(p.Interfaces, f.main.Interfaces...)
	p.Worlds = append(p.Worlds, f.main.Worlds...)
	return nil
}

func (r *resolver) register(p *Package) error {
	if _, ok := r.packages[p.FullName()]; ok {
		return p.Pos.errorf("the package %s is there twice", p.FullName())
	}
	r.packages[p.FullName()] = p
	return nil
}

func (r *resolver) sorted() []*Package {
	var all []*Package
	for _, p := range r.packages {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *Package) int { return strings.Compare(a.FullName(), b.FullName()) })
	return all
}
