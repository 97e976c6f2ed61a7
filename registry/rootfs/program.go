package rootfs

import (
	"os"
	"path"
	"strings"
)

// defaultPath is where programs are searched if the environment has no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Program finds the module that argv[0] of a guest names, as a shell would. name may be absolute,
// or relative to workDir or to the root. If it has no slash, it is also searched in the directories
// of PATH in env (entries KEY=VALUE). Each path is tried with `.wasm` at its end, too. It returns
// the module's path in the image, which is one of modules.
func Program(dir string, modules map[string]Module, name string, env []string, workDir string) (at string, found bool, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", false, err
	}
	defer root.Close() //nolint:errcheck // opened only for its names
	for _, candidate := range candidates(name, env, workDir) {
		at, err := find(root, candidate)
		if err != nil {
			continue // the file does not exist, or cannot be reached
		}
		if _, is := modules["/"+at]; is {
			return "/" + at, true, nil
		}
	}
	return "", false, nil
}

// candidates are the paths that name may stand for, in the order in which they are tried.
func candidates(name string, env []string, workDir string) []string {
	if name == "" || len(name) > maxPath {
		return nil
	}
	var dirs []string
	switch {
	case path.IsAbs(name):
		dirs = []string{"/"}
	case strings.Contains(name, "/"):
		dirs = []string{workDir, "/"}
	default:
		dirs = append(searched(env), workDir, "/")
	}
	var all []string
	for _, dir := range dirs {
		at := strings.TrimRight(dir, "/") + "/" + name // not cleaned, because `..` after a link may lead elsewhere
		all = append(all, at, at+".wasm")
	}
	return all
}

// searched are the absolute directories of PATH.
func searched(env []string) []string {
	value := defaultPath
	for _, entry := range env {
		if v, is := strings.CutPrefix(entry, "PATH="); is {
			value = v
		}
	}
	var dirs []string
	for dir := range strings.SplitSeq(value, ":") {
		if path.IsAbs(dir) && len(dirs) < 64 {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}
