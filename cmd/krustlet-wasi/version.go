package main

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime"
)

// The build sets these: -ldflags "-X main.version=v1.2.3 -X main.engineKey=KEY".
var (
	version string
	// engineKey names the build of the engine's library. Its only purpose: if the library changes,
	// the program is linked again.
	engineKey string //nolint:unused // only the linker reads it
)

// programVersion is the version that the build set. If there is none, it is the module's version
// that Go's tools recorded, or else "dev".
func programVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

// versionLine is what --version prints.
func versionLine() string {
	parts := []string{"wasmtime " + wasmtime.Version}
	if v := moduleVersion("k8s.io/api"); v != "" {
		// k8s.io/api v0.36.3 is the API of Kubernetes 1.36.3.
		parts = append(parts, "kubernetes 1."+strings.TrimPrefix(v, "0."))
	}
	return fmt.Sprintf("krustlet-wasi %s (%s)", programVersion(), strings.Join(parts, ", "))
}

// moduleVersion is the version, without its v, of the module whose path begins with prefix. The
// build records it, so it stays right after an update. It is empty if the build did not record it.
func moduleVersion(prefix string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, dep := range info.Deps {
		if strings.HasPrefix(dep.Path, prefix) {
			return strings.TrimPrefix(dep.Version, "v")
		}
	}
	return ""
}
