package config

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
)

// testMachine is a host named Wasm-1.example.org with an address of each family.
func testMachine() Machine {
	return Machine{
		Hostname: func() (string, error) { return "Wasm-1.example.org", nil },
		Lookup: func(context.Context, string) ([]netip.Addr, error) {
			return addrs("127.0.1.1", "192.0.2.7", "2001:db8::7"), nil
		},
		Interfaces: func() ([]netip.Addr, error) { return nil, nil },
	}
}

func addrs(list ...string) []netip.Addr {
	var all []netip.Addr
	for _, a := range list {
		all = append(all, netip.MustParseAddr(a))
	}
	return all
}

// scene is a home directory and the user's input.
type scene struct {
	home  string
	flags []string          // as on the command line
	env   map[string]string // besides HOME
	file  string            // the content of the default configuration file; empty: no file
}

// newScene makes a scene without mistakes: its home directory has a bootstrap file.
func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{home: t.TempDir(), env: map[string]string{}}
	s.env["KRUSTLET_BOOTSTRAP_FILE"] = s.write(t, "bootstrap.conf", "bootstrap")
	return s
}

// write makes a file below the home directory and returns its path.
func (s *scene) write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(s.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *scene) lookupEnv(name string) (string, bool) {
	value, ok := s.env[name]
	if !ok && name == "HOME" {
		return s.home, s.home != ""
	}
	return value, ok
}

func (s *scene) load(t *testing.T, m Machine) (Config, error) {
	t.Helper()
	if s.file != "" {
		s.write(t, ".krustlet/config/config.json", s.file)
	}
	flags, set := cmdline.Values{}, pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.Define(set, Flags()...)
	if err := set.Parse(cmdline.JoinBoolean(FlagLocalModules, s.flags, nil)); err != nil {
		t.Fatalf("flags %q: %v", s.flags, err)
	}
	return Load(t.Context(), flags, s.lookupEnv, m)
}

func (s *scene) mustLoad(t *testing.T) Config {
	t.Helper()
	cfg, err := s.load(t, testMachine())
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return cfg
}

func TestSettingsAreConsistent(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range settings() {
		for _, name := range []string{"flag " + s.flag, "short " + s.short, "env " + s.env, "key " + s.key} {
			if !strings.HasSuffix(name, " ") && seen[name] {
				t.Errorf("%s is used twice", name)
			}
			seen[name] = true
		}
		if s.env == "" || s.usage == "" || s.arg == "" || s.def == "" || s.apply == nil {
			t.Errorf("setting %s lacks one of variable, meaning, placeholder, default, apply", s.name())
		}
		if !slices.Contains(groups, s.group) {
			t.Errorf("setting %s is in no group of --help", s.name())
		}
	}
}

// TestContract checks the names that users of Krustlet have in their scripts and files.
func TestContract(t *testing.T) {
	contract := [][4]string{ // flag, short, variable, key
		{"addr", "a", "KRUSTLET_ADDRESS", "listenerAddress"},
		{"port", "p", "KRUSTLET_PORT", "listenerPort"},
		{"max-pods", "", "MAX_PODS", "maxPods"},
		{"cert-file", "", "KRUSTLET_CERT_FILE", "tlsCertificateFile"},
		{"private-key-file", "", "KRUSTLET_PRIVATE_KEY_FILE", "tlsPrivateKeyFile"},
		{"node-ip", "n", "KRUSTLET_NODE_IP", "nodeIP"},
		{"node-labels", "", "NODE_LABELS", "nodeLabels"},
		{"hostname", "", "KRUSTLET_HOSTNAME", "hostname"},
		{"node-name", "", "KRUSTLET_NODE_NAME", "nodeName"},
		{"data-dir", "", "KRUSTLET_DATA_DIR", "dataDir"},
		{"bootstrap-file", "", "KRUSTLET_BOOTSTRAP_FILE", "bootstrapFile"},
		{"plugins-dir", "", "KRUSTLET_PLUGINS_DIR", "pluginsDir"},
		{"device-plugins-dir", "", "KRUSTLET_DEVICE_PLUGINS_DIR", "devicePluginsDir"},
		{"x-allow-local-modules", "", "KRUSTLET_ALLOW_LOCAL_MODULES", "allowLocalModules"},
		{"insecure-registries", "", "KRUSTLET_INSECURE_REGISTRIES", "insecureRegistries"},
	}
	have := map[[4]string]bool{}
	for _, s := range settings() {
		have[[4]string{s.flag, s.short, s.env, s.key}] = true
	}
	for _, want := range contract {
		if !have[want] {
			t.Errorf("no setting with flag, letter, variable and key %q", want)
		}
	}
}

func exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Lstat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}
