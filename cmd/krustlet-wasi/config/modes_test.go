package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// docs/security.md: "A file that every user may write is refused"
// docs/security.md: "This holds for kubeconfig and bootstrap file, certificates and keys, the
// clients' authority, the configuration file"
func TestFilesThatAllMayWriteAreRefused(t *testing.T) {
	for _, setting := range []string{"KUBECONFIG", "KRUSTLET_BOOTSTRAP_FILE", "KRUSTLET_CERT_FILE", "KRUSTLET_PRIVATE_KEY_FILE", "KRUSTLET_CLIENT_CA_FILE", "KRUSTLET_CONFIG"} {
		t.Run(setting, func(t *testing.T) {
			s := newScene(t)
			path := filepath.Join(t.TempDir(), "open")
			if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, 0o666); err != nil {
				t.Fatal(err)
			}
			s.env[setting] = path
			_, err := s.load(t, testMachine())
			if err == nil {
				t.Fatal("it is believed")
			}
			for _, part := range []string{path, "mode 0666", "chmod go-w " + path} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error does not say %q: %v", part, err)
				}
			}
		})
	}
}

// docs/security.md: "A secret that every user may read, and a file that a group may write, are
// used, with a warning at the start"
func TestWarnsOfModes(t *testing.T) {
	for mode, want := range map[os.FileMode]string{
		0o600: "", 0o400: "", 0o640: "",
		0o644: "read by every user", 0o660: "written by a group", 0o664: "read by every user",
	} {
		dir := t.TempDir()
		cfg := Config{DataDir: dir, Kubeconfig: filepath.Join(dir, "kubeconfig")}
		if err := os.WriteFile(cfg.Kubeconfig, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(cfg.Kubeconfig, mode); err != nil {
			t.Fatal(err)
		}
		core, logs := observer.New(zapcore.WarnLevel)
		WarnOfModes(cfg, func(string) (string, bool) { return "", false }, zap.New(core))
		var said string
		for _, e := range logs.All() {
			if e.ContextMap()["file"] == cfg.Kubeconfig {
				said += e.Message
			}
		}
		if want == "" && said != "" || !strings.Contains(said, want) {
			t.Errorf("mode %04o: %q", mode, said)
		}
	}
}
