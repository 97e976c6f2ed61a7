package manifest

import (
	"encoding/json"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

// MaxConfig is the largest config of an image, in bytes.
const MaxConfig = 4 << 20

// Config says how an image should run: the defaults for what a pod does not say.
type Config struct {
	Entrypoint []string `json:"entrypoint,omitempty"`
	Cmd        []string `json:"cmd,omitempty"`
	Env        []string `json:"env,omitempty"`        // entries KEY=VALUE
	WorkingDir string   `json:"workingDir,omitempty"` // absolute and clean, or empty
	User       string   `json:"user,omitempty"`       // as it is written: a name or a number, and maybe a colon and a group
	Ports      []uint16 `json:"ports,omitempty"`      // TCP ports that it exposes, in ascending order
}

// Argv is the argv of the image's own command.
func (c Config) Argv() []string { return slices.Concat(c.Entrypoint, c.Cmd) }

// ConfigFile is the part of an image's config that this node uses.
type ConfigFile struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Config       struct {
		Entrypoint []string          `json:"Entrypoint"`
		Cmd        []string          `json:"Cmd"`
		Env        []string          `json:"Env"`
		WorkingDir string            `json:"WorkingDir"`
		User       string            `json:"User"`
		Labels     map[string]string `json:"Labels"`
		// Keys are PORT, or PORT/PROTOCOL.
		ExposedPorts map[string]struct{} `json:"ExposedPorts"`
	} `json:"config"`
	RootFS struct {
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// ReadConfig reads the config of a container image. Its error is of the class ErrInvalidImage.
func ReadConfig(data []byte) (ConfigFile, error) {
	var c ConfigFile
	if err := json.Unmarshal(data, &c); err != nil {
		return ConfigFile{}, fault.New(fault.ErrInvalidImage, err, "the image's config cannot be read: %v", err)
	}
	for _, list := range [][]string{c.Config.Entrypoint, c.Config.Cmd, c.Config.Env, {c.Config.WorkingDir, c.Config.User}} {
		if slices.ContainsFunc(list, func(s string) bool { return strings.IndexByte(s, 0) >= 0 }) {
			return ConfigFile{}, fault.New(fault.ErrInvalidImage, nil, "the image's config has a string with a zero byte in it")
		}
	}
	return c, nil
}

// Run is the part of the config that a container needs to run.
func (c ConfigFile) Run() Config {
	run := Config{Entrypoint: c.Config.Entrypoint, Cmd: c.Config.Cmd, User: c.Config.User}
	for _, v := range c.Config.Env {
		if i := strings.IndexByte(v, '='); i > 0 {
			run.Env = append(run.Env, v)
		}
	}
	if c.Config.WorkingDir != "" {
		run.WorkingDir = path.Join("/", c.Config.WorkingDir)
	}
	for key := range c.Config.ExposedPorts {
		number, protocol, _ := strings.Cut(key, "/")
		port, err := strconv.ParseUint(number, 10, 16)
		if err == nil && port > 0 && (protocol == "" || protocol == "tcp") {
			run.Ports = append(run.Ports, uint16(port))
		}
	}
	slices.Sort(run.Ports)
	run.Ports = slices.Compact(run.Ports)
	return run
}

// Annotations and labels with which an image with a root filesystem says that it is for
// WebAssembly, whatever its platform is. They are crun's: the variant ("compat"), and the handler,
// which other tools use, too.
const (
	variantKey = "module.wasm.image/variant"
	handlerKey = "run.oci.handler"
)

// forWasm reports whether an image with a root filesystem is meant for WebAssembly: by its
// platform, by an annotation or a label, or because its program is called NAME.wasm.
func (m Manifest) forWasm(c ConfigFile) bool {
	for _, said := range []map[string]string{m.Annotations, c.Config.Labels} {
		if v := said[variantKey]; v == "compat" || v == "compat-smart" {
			return true
		}
		if said[handlerKey] == "wasm" {
			return true
		}
	}
	argv := c.Run().Argv()
	return isWasm(c.OS, c.Architecture) || len(argv) > 0 && strings.HasSuffix(argv[0], ".wasm")
}

// CheckRootfs refuses an image with a root filesystem if it is not for this node, or if its parts
// do not fit together.
func (m Manifest) CheckRootfs(c ConfigFile) error {
	if !m.forWasm(c) {
		return fault.New(fault.ErrNotWasm, nil, "found a container image for %s (%s), which needs a container runtime; this node runs WebAssembly: %s",
			platform(c.OS, c.Architecture), m.forms(), whatWorks)
	}
	return m.CheckDiffIDs(c)
}

// CheckDiffIDs refuses an image whose config does not have a digest for each of its layers.
func (m Manifest) CheckDiffIDs(c ConfigFile) error {
	ids := c.RootFS.DiffIDs
	if len(ids) != len(m.Layers) {
		return fault.New(fault.ErrInvalidImage, nil, "the image's config tells of %d layers, its manifest of %d", len(ids), len(m.Layers))
	}
	for _, id := range ids {
		if !IsDigest(id) {
			return fault.New(fault.ErrInvalidImage, nil, "a layer's digest in the image's config is %.100q; it must be sha256: and 64 hexadecimal digits", id)
		}
	}
	return nil
}
