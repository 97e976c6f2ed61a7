package wasmtime

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unsafe"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/command"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/codecache"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/compile"
)

// maxParts bounds the core modules of a component. Python's components, which link some libraries
// at run time, have about 40. Each is compiled by a process of its own, and costs an open file.
const maxParts = 256

// checkParts returns an error for modules that are too many, or larger together than one may be.
func checkParts(modules [][]byte, most int64) error {
	if len(modules) > maxParts {
		return fmt.Errorf("the component has %d core modules, and may have %d", len(modules), maxParts)
	}
	var all int64
	for _, wasm := range modules {
		all += int64(len(wasm))
	}
	if all > most {
		return fmt.Errorf("%w: the component's core modules have %d bytes, and may have %d (--max-module-size)", ErrModuleTooLarge, all, most)
	}
	return nil
}

// part is a core module of a component, by its bytes in the component's file.
type part struct {
	At     int64  `json:"at"`
	Size   int64  `json:"size"`
	Digest string `json:"digest"` // codecache.PartDigestOf
}

// componentMark begins the info of a component's file in the cache. The info of a module begins in
// another way.
var componentMark = []byte("component\n")

// checkComponent checks that a component can run here, and returns what is kept of it: its bytes,
// and where its core modules are.
func checkComponent(wasm []byte) (kept, info []byte, err error) {
	p, err := command.Load(wasm)
	if err != nil {
		return nil, nil, err
	}
	modules := p.Plan().Modules
	if err := checkParts(modules, int64(len(wasm))); err != nil {
		return nil, nil, err
	}
	parts := make([]part, 0, len(modules))
	for _, m := range modules {
		parts = append(parts, part{At: offsetIn(wasm, m), Size: int64(len(m)), Digest: codecache.PartDigestOf(m)})
	}
	text, err := json.Marshal(parts)
	if err != nil {
		return nil, nil, err
	}
	return wasm, append(bytes.Clone(componentMark), text...), nil
}

// offsetIn returns where a core module begins in the component. Its bytes are the component's own:
// see package binary.
func offsetIn(component, module []byte) int64 {
	return int64(uintptr(unsafe.Pointer(unsafe.SliceData(module))) - uintptr(unsafe.Pointer(unsafe.SliceData(component))))
}

// isComponentInfo reports whether a file of the cache is a component's.
func isComponentInfo(info []byte) bool { return bytes.HasPrefix(info, componentMark) }

var errParts = errors.New("what is kept of the component is damaged")

// readParts reads what checkComponent wrote, which was another process. size is the component's.
func readParts(info []byte, size int64) ([]part, error) {
	var parts []part
	if !isComponentInfo(info) || json.Unmarshal(info[len(componentMark):], &parts) != nil || len(parts) > maxParts {
		return nil, errParts
	}
	for _, p := range parts {
		if p.At < 0 || p.Size < 0 || p.At > size || p.Size > size-p.At || codecache.CheckDigest(p.Digest) != nil {
			return nil, errParts
		}
	}
	return parts, nil
}

// partsOf returns the core modules of a component that is in the cache.
func (c *Compiler) partsOf(digest, file string) ([]wanted, error) {
	c.mu.Lock()
	parts := c.sound[digest].parts
	c.mu.Unlock()
	if parts == nil {
		kept, err := c.disk.Open(digest)
		if err != nil {
			return nil, err
		}
		defer func() { _ = kept.Close() }()
		if parts, err = readParts(kept.Info, kept.Code); err != nil {
			return nil, err
		}
		c.mu.Lock()
		if s, ok := c.sound[digest]; ok {
			s.parts = parts
			c.sound[digest] = s
		}
		c.mu.Unlock()
	}
	all := make([]wanted, 0, len(parts))
	for _, p := range parts {
		all = append(all, wanted{digest: p.Digest, form: compile.AsPart, file: file, at: p.At, size: p.Size})
	}
	return all, nil
}
