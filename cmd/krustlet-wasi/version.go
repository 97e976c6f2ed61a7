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
	// engineKey names the build of the engine's library. Its only use: the program is linked again
	// for another build.
	engineKey string //nolint:unused // only the linker reads it
)

// programVersion is the version that the build set. Without one it is the version of the module as
// Go's tools recorded it, and then "dev".
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
// build records it, so that it is right after an update. It is empty if the build does not have it.
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
