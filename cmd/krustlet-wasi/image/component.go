package image

import (
	"errors"
	"io/fs"
	"os"

	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/world"
	"github.com/krustlet-go/krustlet-wasi/runtime/visible"
)

// componentView is the printed form of a component. All its texts are fit to be shown.
type componentView struct {
	Type      string   `json:"type,omitempty"`      // command, handler, command and handler, or other
	World     []string `json:"world,omitempty"`     // lines like those of WIT
	Toolchain []string `json:"toolchain,omitempty"` // what made it
	Error     string   `json:"error,omitempty"`     // why it cannot run here
}

// moduleView is the printed form of a module in a root filesystem.
type moduleView struct {
	Path      string         `json:"path"` // in the image
	Main      bool           `json:"main,omitempty"`
	Module    string         `json:"module"` // digest
	Kind      string         `json:"kind"`   // module or component
	Size      int64          `json:"size"`   // bytes
	Component *componentView `json:"component,omitempty"`
}

// maxModules is how many modules of an image are shown. An image may have thousands.
const maxModules = 50

// look adds what the image's modules tell of themselves.
func (v *view) look(store *registry.Store, image registry.Image) error {
	if image.Module != "" && !image.Component {
		return nil
	}
	modules, err := store.Modules(image)
	if err != nil {
		return err
	}
	v.ModulesLeft = max(len(modules)-maxModules, 0)
	for _, m := range modules[:len(modules)-v.ModulesLeft] {
		shown := moduleView{Path: visible.Name([]byte(m.Name)), Main: m.Main, Module: m.Digest, Kind: "module", Size: m.Size}
		if m.Component {
			shown.Kind = "component"
			if shown.Component, err = componentIn(m.Path); err != nil {
				return err
			}
		}
		if m.Name == "" {
			v.Component = shown.Component
		} else {
			v.Modules = append(v.Modules, shown)
		}
	}
	return nil
}

// componentIn describes the component in a file. It is nil if the file was removed in the meantime.
func componentIn(path string) (*componentView, error) {
	file, err := os.ReadFile(path) // the store has checked its size
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := binary.Decode(file)
	if err != nil {
		return &componentView{Error: err.Error()}, nil
	}
	w := world.Of(c)
	v := &componentView{Type: w.Kind().String(), World: w.Lines()}
	if err := w.Check(); err != nil {
		v.Error = err.Error()
	}
	for _, p := range binary.Producers(c) {
		tool := p.Field + ": " + p.Name
		if p.Version != "" {
			tool += " " + p.Version
		}
		v.Toolchain = append(v.Toolchain, tool)
	}
	return v, nil
}
