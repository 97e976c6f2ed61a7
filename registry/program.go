package registry

import (
	"path/filepath"
	"regexp"
	"strings"
)

// become makes the module at a path of the root filesystem the one of m.
func (m *Module) become(at string) {
	found := m.Root.modules[at]
	m.Path, m.Digest, m.Component = filepath.Join(m.Root.Dir, filepath.FromSlash(at)), found.Digest, found.Component
}

// Program is m with the module that a guest of that argv, environment (entries KEY=VALUE) and working directory is an instance of. In an image
// with a root filesystem it is the one that argv[0] names, as a shell would find it, with or without `.wasm` at its end;
// if it names none, as in an image that is one module, it is the image's own. The error is of the class ErrNoProgram.
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

func (m Module) noProgram(argv []string) error {
	names := m.Root.names()
	if len(names) > 8 {
		names = append(names[:8], "…")
	}
	what := "nothing says which is to run"
	if len(argv) > 0 {
		what = "none of them is " + argv[0]
	}
	return fail(ErrNoProgram, nil, "the image has no ENTRYPOINT that is a module, but several modules (%s), and %.200s; name one in the container's command",
		strings.Join(names, ", "), what)
}

// Beside is the module that a guest of that argv, environment and working directory is an instance of in the image that has
// the module at path, as of Module.Path: for commands that run beside a container's own. If argv[0] names none, it is the same
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

// rootOf finds the folder of the root filesystem that a path leads into: the outermost, as an image may have such names too.
var rootOf = regexp.MustCompile(`^(.*?/` + rootsFolder + `/[0-9a-f]{64})/` + treeFolder + `/`)
