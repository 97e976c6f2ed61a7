package registry

import (
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
)

// become sets the module of m to a module of its root filesystem. at is the path of the module.
func (m *Module) become(at string) {
	found := m.Root.modules[at]
	m.Path, m.Digest, m.Component = filepath.Join(m.Root.Dir, filepath.FromSlash(at)), found.Digest, found.Component
}

// Program returns m with the module that runs for this argv, environment (entries KEY=VALUE) and
// working directory. In an image with a root filesystem, argv[0] names the module. It is found as a
// shell would find it; `.wasm` at its end may be left out. If argv[0] names no module, or if the
// image is one module, the result is the image's own module. The error is of the class
// ErrNoProgram.
func (m Module) Program(argv, env []string, workDir string) (Module, error) {
	if m.Root == nil {
		return m, nil
	}
	at, found, err := m.Root.find(argv, env, workDir)
	if err != nil {
		return Module{}, err
	}
	if found {
		m.become(at)
	}
	if m.Path == "" {
		return Module{}, m.noProgram(argv)
	}
	return m, nil
}

// Argv is the argv of a guest. command and args are those of the container: command replaces the
// image's entrypoint and cmd, args replaces the cmd. If an image is one module without an
// entrypoint, its own name is the entrypoint. Argv has at least one element.
func (m Module) Argv(command, args []string) []string {
	var config manifest.Config
	if m.Config != nil {
		config = *m.Config
	}
	entry, cmd := config.Entrypoint, config.Cmd
	if len(command) > 0 {
		entry, cmd = command, nil
	}
	if len(args) > 0 {
		cmd = args
		if len(entry) == 0 && m.Root == nil {
			entry = []string{m.name()}
		}
	}
	argv := slices.Concat(entry, cmd)
	if len(argv) == 0 {
		argv = []string{m.name()}
	}
	return argv
}

// name is the module's name if no argv gives another. In a root filesystem it is the name of the
// file, otherwise the last part of the image's repository.
func (m Module) name() string {
	if m.Root != nil && m.Path != "" {
		return filepath.Base(m.Path)
	}
	name, _, _ := strings.Cut(path.Base(m.Image), "@")
	name, _, _ = strings.Cut(name, ":")
	return name
}

// Environ is the environment of a guest, entries KEY=VALUE. It has all of own, and the image's
// entries whose name is not in own.
func (m Module) Environ(own []string) []string {
	if m.Config == nil {
		return own
	}
	var all []string
	for _, v := range m.Config.Env {
		name, _, _ := strings.Cut(v, "=")
		if !slices.ContainsFunc(own, func(o string) bool { return strings.HasPrefix(o, name+"=") }) {
			all = append(all, v)
		}
	}
	return append(all, own...)
}

func (m Module) noProgram(argv []string) error {
	names := m.Root.names()
	if len(names) > 8 {
		names = append(names[:8], "…")
	}
	what := "nothing says which is to run"
	if len(argv) > 0 {
		what = "none of them is " + argv[0]
	}
	return fault.New(fault.ErrNoProgram, nil, "the image has no ENTRYPOINT that is a module, but several modules (%s), and %.200s; name one in the container's command",
		strings.Join(names, ", "), what)
}

// Beside finds the module of a command that runs beside a container's run. file and digest are the
// path and the digest of the container's module. The command's argv, environment and working
// directory select a module of the same image. If argv[0] names none, the result is the container's
// module.
func Beside(file, digest string, argv, env []string, workDir string) (Module, error) {
	same := Module{Path: file, Digest: digest}
	dir := rootOf.FindStringSubmatch(file)
	if dir == nil {
		return same, nil
	}
	root, err := openRoot(dir[1])
	if err != nil {
		return Module{}, err
	}
	same.Root = root
	return same.Program(argv, env, workDir)
}

// rootOf finds the folder of the root filesystem in a path. It takes the outermost match, because
// an image may contain such names too.
var rootOf = regexp.MustCompile(`^(.*?/` + rootsFolder + `/[0-9a-f]{64})/` + treeFolder + `/`)
