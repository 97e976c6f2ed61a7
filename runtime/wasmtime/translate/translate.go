package translate

// Names of the exports that a translated module has in addition to those that it keeps. A module
// that already has an export with this prefix is refused.
const (
	OwnExports = "krustlet:"
	// StartExport is the function of the module's start section. The host calls it after
	// instantiation.
	StartExport = OwnExports + "start"
	// GrowExport is a table with one funcref. After instantiation, before it calls anything else,
	// the host puts a function of type (what i32, delta i32) -> i32 in its element 0. The module
	// calls this function before a memory or a table grows by delta. what is the memory's number,
	// or TableGrowth and the table's number. The result is 1 for granted and 0 for refused. If the
	// growth fails although it was granted, the module calls the function again with GrowthFailed
	// added to what; then the result does not matter.
	GrowExport = OwnExports + "grow"
)

// Bits in the argument what of GrowExport's function. The lower 16 bits are the number of a memory
// or a table.
const (
	TableGrowth  = 1 << 16
	GrowthFailed = 1 << 31
)

// CommandExports are the exports of a command of WASI preview 1 that the host uses.
var CommandExports = []string{"_start", "memory"}

// Translation is a module in the form that the engine compiles, and the data about it.
type Translation struct {
	Wasm []byte
	Info Info
}

// Module reads a module and rewrites it. It keeps the exports that keep names, or CommandExports if
// keep is empty. The error is a *FeatureError, a *LimitError or a *FormatError. Module does not
// change the module's bytes, and does not keep them. Time and memory are proportional to the
// module's size.
func Module(wasm []byte, f Features, l Limits, keep ...string) (*Translation, error) {
	if len(keep) == 0 {
		keep = CommandExports
	}
	m := &module{wasm: wasm, limits: l.filled()}
	for _, name := range keep {
		m.keep = append(m.keep, []byte(name))
	}
	return m.translate(f)
}

// Part is like Module for a module of a component. It keeps all exports, since other modules of the
// component import them. The engine will know the module by that name in backtraces.
func Part(wasm []byte, f Features, l Limits, name string) (*Translation, error) {
	m := &module{wasm: wasm, limits: l.filled(), keepAll: true, engineName: name}
	return m.translate(f)
}

func (m *module) translate(f Features) (t *Translation, err error) {
	defer func() {
		if r := recover(); r != nil {
			s, ok := r.(stop)
			if !ok {
				panic(r)
			}
			t, err = nil, s.err
		}
	}()
	m.read(f)
	w := m.write()
	return &Translation{Wasm: w.out, Info: m.info(w)}, nil
}
