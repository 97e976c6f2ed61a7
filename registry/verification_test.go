package registry

import (
	"os"
	"slices"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
)

// docs/security.md: "unless the node's own policy says so; it also says [which images every pod may
// have](registries.md#who-may-have-an-image-that-is-on-the-node)."
func TestVerification(t *testing.T) {
	srv := newServer(t)
	for _, name := range []string{"app", "team/both", "team/pods", "team/nodes", "old"} {
		srv.push(t, name, wasm(name, 20))
	}
	srv.guard("right", "node")
	pods := newStore(t, Config{})
	pull := func(preload bool, image string, c credentials.Credential) Pulled {
		t.Helper()
		s := pods
		if preload {
			s = newStore(t, Config{Dir: pods.dir, Preload: true})
		}
		p, err := s.Pull(t.Context(), srv.host()+image, keys{c})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	own, nodes := secretOf("own", "right"), credentials.Credential{Username: "node", Password: "node"}
	pull(true, "/app", nodes)
	pull(false, "/team/both", own)
	pull(true, "/team/both", nodes)
	pull(false, "/team/pods", own)
	pull(false, "/team/nodes", nodes)
	old := pull(false, "/old", own)
	if err := os.Remove(pods.rights.path(old.ImageID)); err != nil { // as if the image were older than the rights
		t.Fatal(err)
	}
	const preloaded, both, podsOwn, nodesOwn, unknown = "/app", "/team/both", "/team/pods", "/team/nodes", "/old"
	for _, tt := range []struct {
		verify  Verification
		allowed []string
		none    []string // images for a caller without credentials
		shown   []string // images for a caller with the credentials of a pod that pulled them
	}{
		{NeverVerify, nil, []string{preloaded, both, podsOwn, nodesOwn, unknown}, []string{preloaded, both, podsOwn, nodesOwn, unknown}},
		{"", nil, []string{preloaded, both, nodesOwn, unknown}, []string{preloaded, both, podsOwn, nodesOwn, unknown}},
		{NeverVerifyPreloadedImages, nil, []string{preloaded, both, nodesOwn, unknown}, []string{preloaded, both, podsOwn, nodesOwn, unknown}},
		{AlwaysVerify, nil, []string{nodesOwn}, []string{both, podsOwn, nodesOwn}},
		{NeverVerifyAllowlistedImages, nil, []string{nodesOwn}, []string{both, podsOwn, nodesOwn}},
		{NeverVerifyAllowlistedImages, []string{"x/*", srv.host() + "/app"}, []string{preloaded, nodesOwn}, []string{preloaded, both, podsOwn, nodesOwn}},
		{NeverVerifyAllowlistedImages, []string{srv.host() + "/team/*"}, []string{both, podsOwn, nodesOwn}, []string{both, podsOwn, nodesOwn}},
		{NeverVerifyAllowlistedImages, []string{srv.host() + "/*"}, []string{preloaded, both, podsOwn, nodesOwn, unknown}, []string{preloaded, both, podsOwn, nodesOwn, unknown}},
	} {
		s := newStore(t, Config{Dir: pods.dir, Verify: tt.verify, Allowed: tt.allowed})
		for name, want := range map[string]struct {
			keys   distribution.Keys
			images []string
		}{
			"nothing": {keys{}, tt.none}, "a pod's": {keys{own}, tt.shown},
			"may have everything": {nil, []string{preloaded, both, podsOwn, nodesOwn, unknown}},
		} {
			var got []string
			for _, image := range []string{preloaded, both, podsOwn, nodesOwn, unknown} {
				_, present, err := s.Lookup(t.Context(), srv.host()+image, want.keys)
				if err != nil {
					t.Error(err)
				}
				if present {
					got = append(got, image)
				}
			}
			if !slices.Equal(got, want.images) {
				t.Errorf("%s %v with %s: %v; want %v", tt.verify, tt.allowed, name, got, want.images)
			}
		}
	}
	if _, err := New(Config{Dir: t.TempDir(), Verify: "Sometimes"}); err == nil {
		t.Error("an unknown verification is taken")
	}
	// After a pull with its credentials, a caller may use a preloaded image from then on.
	s := newStore(t, Config{Dir: pods.dir, Verify: AlwaysVerify})
	if _, err := s.Pull(t.Context(), srv.host()+preloaded, keys{own}); err != nil {
		t.Fatal(err)
	}
	for want, k := range map[bool]distribution.Keys{true: keys{own}, false: keys{}} {
		if _, present, err := s.Lookup(t.Context(), srv.host()+preloaded, k); present != want || err != nil {
			t.Errorf("preloaded, and pulled with a Secret: present %v, %v", present, err)
		}
	}
}

func TestAllowed(t *testing.T) {
	for _, tt := range []struct {
		item, image string
		want        bool
	}{
		{"r.example/app", "r.example/app", true},
		{"r.example/app", "r.example/app:v1", true},
		{"r.example/app", "r.example/app@sha256:" + zeros, true},
		{"r.example/app", "r.example/app:v1@sha256:" + zeros, true},
		{"r.example/app", "r.example/apps", false},
		{"r.example/app", "r.example/app/x", false},
		{"r.example/app", "x/r.example/app", false},
		{"r.example:5000/app", "r.example:5000/app:v1", true},
		{"r.example:5000/app", "r.example/app:v1", false},
		{"r.example/*", "r.example/a/b:v1", true},
		{"r.example/*", "r.example.test/a", false},
		{"r.example/*", "r.example:5000/a", false},
		{"r.example/a/*", "r.example/ab", false},
		{"r.example/a/*", "r.example/a", false},
		{"app", "app:v1", true},
		{"app", "docker.io/library/app", false}, // as pods write it
	} {
		if got := allowed([]string{"x", tt.item}, tt.image); got != tt.want {
			t.Errorf("%s for %s: %v", tt.item, tt.image, got)
		}
		if err := CheckAllowed(tt.item); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{
		"", "*", "/*", " a", "a ", "a*", "r.example/a*", "*/a", "r.example/*/a", "r.example/**", "r.example/a:v1", "r.example/a@sha256:" + zeros,
		"r.example/A", "https://r.example/a",
	} {
		if err := CheckAllowed(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
