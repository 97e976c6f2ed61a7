package wasmtime

import (
	"errors"
	"fmt"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/preview1"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/codecache"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/translate"
)

// wasmPage is the unit of a memory's size, in bytes.
const wasmPage = 64 << 10

var (
	errNoStart = errors.New("the module has no function _start: only WASI command modules can run as containers")

	errNotWasm = errors.New("the file is no WebAssembly module or component")
)

// module is compiled code. It can be instantiated any number of times, also at the same time.
type module struct {
	digest   string
	pooled   bool
	native   *wasmtimego.Module
	imports  *prepared // of a command
	info     *translate.Info
	codeSize int64 // mapped bytes of its file
	known    int64 // bytes of the engine's data about it
	needs    needs // of each guest
	slots    int   // number of the engine's slots that each guest takes
}

// newModule makes a module from the data in its file. The engine has not loaded its part yet.
func newModule(digest string, f *codecache.File) (*module, error) {
	info, err := translate.ReadInfo(f.Info)
	if err != nil {
		return nil, fmt.Errorf("loading compiled code: what is known of the module: %w", err)
	}
	resident, err := f.Resident()
	if err != nil {
		return nil, fmt.Errorf("loading compiled code: %w", err)
	}
	known := int64(len(f.Info)) + int64(min(info.Overhead, 1<<40))
	return &module{digest: digest, info: info, codeSize: f.Size, known: known, slots: slotsOf(info), needs: needs{
		memories: saturated(info.MemoryBytes()),
		tables:   saturated(info.TableBytes()),
		module:   resident + known,
		instance: int64(min(info.InstanceOverhead, 1<<40)),
	}}, nil
}

// key implements unit.
func (m *module) key() string { return unitKey(m.digest, m.pooled) }

// holds implements unit.
func (m *module) holds() int64 { return m.codeSize + m.known }

// takes implements unit.
func (m *module) takes(runtime.Spec) int { return m.slots }

// listens implements unit.
func (m *module) listens() bool { return true }

// check implements unit.
func (m *module) check(limit int64) error { return m.needs.check(limit) }

// slotsOf returns how many slots a guest takes. Each memory after the first, and a heap of objects,
// takes as much as another guest's memory. Large tables take memory areas, too.
func slotsOf(info *translate.Info) int {
	heaps := 0
	if info.Heap {
		heaps = 1
	}
	return slotsFor(len(info.Memories), len(info.Tables), heaps)
}

func slotsFor(memories, tables, heaps int) int {
	const tablesOfSlot = 8
	return max(memories, 1) + tables/tablesOfSlot + heaps
}

// prepared makes the module ready for instances. After an error it closes the module.
func (m *module) prepared(l *linker) (*module, error) {
	err := m.checkCommand()
	if err == nil {
		m.imports, err = l.prepare(m.native)
	}
	if err != nil {
		m.native.Close()
		return nil, err
	}
	return m, nil
}

// close implements unit.
func (m *module) close() {
	if m.imports != nil {
		m.imports.close()
	}
	m.native.Close()
}

// checkCommand returns an error for a module that lacks something that a command module must have,
// or that needs something that this host does not have.
func (m *module) checkCommand() error {
	type function struct{ module, name string }
	known := map[function]bool{}
	for _, f := range hostCalls {
		known[function{f.Module, f.Import}] = true
	}
	for _, i := range m.native.Imports() {
		name := ""
		if i.Name() != nil {
			name = *i.Name()
		}
		if !known[function{i.Module(), name}] || i.Type().FuncType() == nil {
			return fmt.Errorf("the module imports %q from %q, which is no function of WASI preview 1 (%s)", name, i.Module(), preview1.Module)
		}
	}
	start := false
	for _, e := range m.native.Exports() {
		switch {
		case e.Name() == "_start":
			f := e.Type().FuncType()
			start = f != nil && len(f.Params()) == 0 && len(f.Results()) == 0
		}
	}
	if !start {
		return errNoStart
	}
	return nil
}
