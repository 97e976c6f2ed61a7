package registry

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/errorcheck"
	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

// keys are credentials for all images.
type keys []credentials.Credential

func (k keys) Lookup(context.Context, string) ([]credentials.Credential, error) { return k, nil }

// brokenKeys cannot be read.
type brokenKeys struct{}

func (brokenKeys) Lookup(context.Context, string) ([]credentials.Credential, error) {
	return nil, errors.New("the secret is broken")
}

func secretOf(name, password string) credentials.Credential {
	return credentials.Credential{Username: "me", Password: password,
		Owner: credentials.Owner{Kind: credentials.Secret, Namespace: "ns", Name: name, UID: "uid-" + name}}
}

func account(name, password string) credentials.Credential {
	return credentials.Credential{Username: "sa", Password: password,
		Owner: credentials.Owner{Kind: credentials.ServiceAccount, Namespace: "ns", Name: name, UID: "uid-" + name}}
}

// guarded is a registry that requires one of some passwords.
func guarded(t *testing.T, passwords ...string) *server {
	t.Helper()
	srv := newServer(t)
	srv.push(t, "app", wasm("guarded", 100))
	srv.guard(passwords...)
	return srv
}

// guard makes the server refuse clients that do not send one of the passwords.
func (s *server) guard(passwords ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instead = func(w http.ResponseWriter, r *http.Request) bool {
		if _, password, ok := r.BasicAuth(); ok && slices.Contains(passwords, password) {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
}

// docs/security.md: "An image that was pulled with a pod's credentials is not given to pods without
// them, whatever their pull policy"
func TestRights(t *testing.T) {
	srv := guarded(t, "right", "renewed", "token1", "token2")
	image := srv.host() + "/app"
	s := newStore(t, Config{})
	if _, err := s.Pull(t.Context(), image, keys{secretOf("wrong", "wrong"), secretOf("one", "right")}); err != nil {
		t.Fatal(err)
	}
	present := func(of *Store, k distribution.Keys) bool {
		t.Helper()
		_, is, err := of.Lookup(t.Context(), image, k)
		if err != nil {
			t.Errorf("%+v: %v", k, err)
		}
		return is
	}
	after := newStore(t, Config{Dir: s.dir})
	for _, tt := range []struct { // the order matters: a credential that was used once is known from then on
		name string
		keys distribution.Keys
		want bool
	}{
		{"none", keys{}, false},
		{"the same", keys{secretOf("one", "right")}, true},
		{"the same beside others", keys{secretOf("x", "y"), secretOf("one", "right")}, true},
		{"another Secret, as refused", keys{secretOf("wrong", "wrong")}, false},
		{"another Secret with the same", keys{secretOf("two", "right")}, true},
		{"a new password of the Secret", keys{secretOf("one", "renewed")}, true},
		{"the node's, not yet used", keys{{Username: "me", Password: "right"}}, false},
		{"a service account", keys{account("a", "token1")}, false},
		{"may have everything", nil, true},
	} {
		for when, store := range map[string]*Store{"": s, " after a restart": after} {
			if got := present(store, tt.keys); got != tt.want {
				t.Errorf("%s%s: present %v", tt.name, when, got)
			}
		}
	}
	// Two Secrets had the same password. Both stay known after one of them gets a new password.
	if !present(s, keys{secretOf("two", "other")}) {
		t.Error("a Secret that has shown the password once is not known")
	}
	if _, err := s.Pull(t.Context(), image, keys{account("a", "token1")}); err != nil {
		t.Fatal(err)
	}
	if !present(s, keys{account("a", "token2")}) || present(s, keys{account("b", "token2")}) {
		t.Error("a service account's right does not follow the account")
	}
	if _, _, err := s.Lookup(t.Context(), image, brokenKeys{}); err == nil {
		t.Error("broken keys are passed over")
	}
	if _, err := s.Pull(t.Context(), image, brokenKeys{}); err == nil {
		t.Error("broken keys are passed over")
	}
	// Every pod may use an image that the node itself can pull.
	if _, err := s.Pull(t.Context(), image, keys{{Username: "node", Password: "right"}}); err != nil {
		t.Fatal(err)
	}
	if !present(s, keys{}) || !present(s, brokenKeys{}) {
		t.Error("the node's image is not everybody's")
	}
}

func TestRightsOfOldAndDamagedStores(t *testing.T) {
	srv := guarded(t, "right")
	image := srv.host() + "/app"
	s := newStore(t, Config{})
	m, err := s.Pull(t.Context(), image, keys{secretOf("one", "right")})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.rights.path(m.ImageID), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, present, err := s.Lookup(t.Context(), image, keys{secretOf("one", "right")}); present || err != nil {
		t.Errorf("with a damaged record: %v, %v", present, err)
	}
	// This is an image from a time before rights were recorded.
	if err := os.Remove(s.rights.path(m.ImageID)); err != nil {
		t.Fatal(err)
	}
	if _, present, err := s.Lookup(t.Context(), image, keys{}); !present || err != nil {
		t.Errorf("without a record: %v, %v", present, err)
	}
}

func TestRightsAreBounded(t *testing.T) {
	r := &rights{dir: t.TempDir()}
	id := "r.example/app@sha256:" + zeros
	for i := range maxGrants + 10 {
		if err := r.grant(id, secretOf(string(rune('a'+i)), "x"+string(rune('a'+i)))); err != nil {
			t.Fatal(err)
		}
	}
	has, err := r.get(id)
	if err != nil || len(has.Grants) != maxGrants || has.Grants[0].Owner.Name != string(rune('a'+10)) {
		t.Errorf("%d grants, %v", len(has.Grants), err)
	}
}

func TestPullsAreSharedByEqualCredentials(t *testing.T) {
	srv := guarded(t, "right")
	image := srv.host() + "/app"
	s := newStore(t, Config{})
	// A caller without the right gets nothing from the pull of a caller who has it.
	ended := make(chan error, 2)
	go func() { _, err := s.Pull(t.Context(), image, keys{secretOf("one", "right")}); ended <- err }()
	_, err := s.Pull(t.Context(), image, keys{})
	errorcheck.Is(t, err, fault.ErrUnauthorized)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestRecordsThatAreNone: something else than a file at the path of a record counts as a damaged
// record. It blocks no caller, and a pull repairs it.
func TestRecordsThatAreNone(t *testing.T) {
	srv := newServer(t)
	srv.push(t, "app:v1", wasm("x", 10))
	s := newStore(t, Config{})
	image := srv.host() + "/app:v1"
	if _, err := s.pulled(t.Context(), image); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{s.refs.dir, s.rights.dir} {
		files, err := filepath.Glob(filepath.Join(dir, "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", dir, files, err)
		}
		for _, file := range files {
			if err := errors.Join(os.Remove(file), syscall.Mkfifo(file, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := s.Images(); err != nil {
		t.Error(err)
	}
	if _, err := s.pulled(t.Context(), image); err != nil {
		t.Error(err)
	}
	if _, present, err := s.found(image); err != nil || !present {
		t.Errorf("after a pull it is %v, %v", present, err)
	}
}
