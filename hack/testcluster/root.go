package testcluster

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
)

// module is the first line of the go.mod in the repository's root folder.
const module = "module github.com/krustlet-go/krustlet-wasi\n"

// Root is the repository's root folder. It panics if the program was not started in the root or
// below it. go test starts tests in their package's folder.
func Root() string { return root() }

var root = sync.OnceValue(func() string {
	start, err := os.Getwd()
	if err != nil {
		panic("testcluster: " + err.Error())
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(content, []byte(module)) {
			return dir
		}
		if dir == filepath.Dir(dir) {
			panic("testcluster: no go.mod of krustlet-wasi in " + start + " or above: run tests inside the repository")
		}
	}
})

func binary() string { return filepath.Join(Root(), "bin", "cluster") }
