package config

import (
	"os"
	"path/filepath"
	"testing"
)

// TestKubeconfig: KUBECONFIG says where the node's own kubeconfig is, unless it leads to the
// bootstrap file. The agent must never write to the bootstrap file.
func TestKubeconfig(t *testing.T) {
	link := func(t *testing.T, target, name string) {
		t.Helper()
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name  string
		value func(t *testing.T, home, bootstrap string) string
		want  string // relative to the home directory
	}{
		{"not set", func(*testing.T, string, string) string { return "" }, ".krustlet/config/kubeconfig"},
		{"another file", func(_ *testing.T, home, _ string) string { return home + "/node.conf" }, "node.conf"},
		{"the bootstrap file, as in the tutorials", func(_ *testing.T, _, bootstrap string) string { return bootstrap }, ".krustlet/config/kubeconfig"},
		{"the bootstrap file in other words", func(_ *testing.T, home, _ string) string {
			return home + "/x/..//bootstrap.conf"
		}, ".krustlet/config/kubeconfig"},
		{"a symbolic link to the bootstrap file", func(t *testing.T, home, bootstrap string) string {
			link(t, bootstrap, home+"/link")
			return home + "/link"
		}, ".krustlet/config/kubeconfig"},
		{"a hard link to the bootstrap file", func(t *testing.T, home, bootstrap string) string {
			if err := os.Link(bootstrap, home+"/hard"); err != nil {
				t.Fatal(err)
			}
			return home + "/hard"
		}, ".krustlet/config/kubeconfig"},
		{"the bootstrap file by a link to its directory", func(t *testing.T, home, _ string) string {
			link(t, home, home+"/dir")
			return home + "/dir/bootstrap.conf"
		}, ".krustlet/config/kubeconfig"},
		{"a copy of the bootstrap file", func(t *testing.T, home, _ string) string {
			if err := os.WriteFile(home+"/copy", []byte("bootstrap"), 0o600); err != nil {
				t.Fatal(err)
			}
			return home + "/copy"
		}, "copy"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScene(t)
			s.env["KUBECONFIG"] = tc.value(t, s.home, s.home+"/bootstrap.conf")
			if got, want := s.mustLoad(t).Kubeconfig, filepath.Join(s.home, tc.want); got != want {
				t.Errorf("the node's kubeconfig is %s, want %s", got, want)
			}
			if b, err := os.ReadFile(s.home + "/bootstrap.conf"); err != nil || string(b) != "bootstrap" {
				t.Errorf("the bootstrap file holds %q, %v", b, err)
			}
		})
	}
}

func TestKubeconfigFollowsTheDataDirectory(t *testing.T) {
	s := newScene(t)
	s.env["KUBECONFIG"] = s.home + "/bootstrap.conf"
	s.flags = []string{"--data-dir=" + s.home + "/data"}
	if got, want := s.mustLoad(t).Kubeconfig, s.home+"/data/config/kubeconfig"; got != want {
		t.Errorf("the node's kubeconfig is %s, want %s", got, want)
	}
}

// TestKubeconfigOfADeletedBootstrapFile: some users delete the token once the node has joined, but
// leave the variable in the unit file.
func TestKubeconfigOfADeletedBootstrapFile(t *testing.T) {
	s := newScene(t)
	s.env["KUBECONFIG"] = s.home + "/bootstrap.conf"
	want := s.write(t, ".krustlet/config/kubeconfig", "the node's own")
	if err := os.Remove(s.home + "/bootstrap.conf"); err != nil {
		t.Fatal(err)
	}
	if got := s.mustLoad(t).Kubeconfig; got != want {
		t.Errorf("the node's kubeconfig is %s, want %s", got, want)
	}
}
