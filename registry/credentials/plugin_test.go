package credentials

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// script is a plugin that writes each request as a line to a file beside it, and prints the content
// of the file `answer`.
const script = `#!/bin/sh
cat >> "$0.requests"
echo >> "$0.requests"
echo "$1 $EXTRA" > "$0.called"
cat "$0.answer"
`

// plugins is a folder with one plugin, named login.
type plugins struct{ dir string }

func newPlugins(t *testing.T) plugins {
	t.Helper()
	p := plugins{t.TempDir()}
	p.write(t, "login", script, 0o700)
	return p
}

func (p plugins) write(t *testing.T, name, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// answer sets what the plugin answers.
func (p plugins) answer(t *testing.T, rest string) {
	t.Helper()
	p.write(t, "login.answer", `{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1",`+rest+`}`, 0o600)
}

// requests are all requests that the plugin has got so far.
func (p plugins) requests(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, "login.requests"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

func (p plugins) source(t *testing.T, more string, accounts ServiceAccounts) (*Source, error) {
	t.Helper()
	config := filepath.Join(p.dir, "config.yaml")
	p.write(t, "config.yaml", `kind: CredentialProviderConfig
apiVersion: kubelet.config.k8s.io/v1
providers:
- name: login
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  matchImages: ["*.example", "other.test:5000/team"]
  args: [--now]
  env: [{name: EXTRA, value: set}]
`+more, 0o600)
	return NewSource(SourceConfig{PluginConfig: config, PluginDir: p.dir, Accounts: accounts})
}

const auth = `"auth":{"*.example":{"username":"plugged","password":"x"}}`

func lookup(t *testing.T, s *Source, pod Pod, image string) []Credential {
	t.Helper()
	found, err := s.For(pod).Lookup(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestPluginIsAsked(t *testing.T) {
	p := newPlugins(t)
	s, err := p.source(t, "  defaultCacheDuration: 0s\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	p.answer(t, `"cacheKeyType":"Image",`+auth)
	if found := lookup(t, s, Pod{}, "r.example/app"); names(found) != "plugged" || found[0].Owner != (Owner{}) {
		t.Errorf("found %+v", found)
	}
	if found := lookup(t, s, Pod{}, "elsewhere.test/app"); found != nil {
		t.Errorf("an image that is not the plugin's: %+v", found)
	}
	asked := p.requests(t)
	if len(asked) != 1 || !strings.Contains(asked[0], `"image":"r.example/app"`) || !strings.Contains(asked[0], `"kind":"CredentialProviderRequest"`) {
		t.Errorf("requests %q", asked)
	}
	if called, err := os.ReadFile(filepath.Join(p.dir, "login.called")); err != nil || string(called) != "--now set\n" {
		t.Errorf("called with %q, %v", called, err)
	}
}

func TestPluginAnswersAreKept(t *testing.T) {
	for kind, want := range map[string]int{"Image": 3, "Registry": 2, "Global": 1} {
		for _, rest := range []string{`"cacheDuration":"1h",`, ``} {
			p := newPlugins(t)
			s, err := p.source(t, "  defaultCacheDuration: 1h\n", nil)
			if err != nil {
				t.Fatal(err)
			}
			p.answer(t, rest+`"cacheKeyType":"`+kind+`",`+auth)
			for range 2 {
				for _, image := range []string{"r.example/app", "r.example/other", "s.example/app"} {
					if found := lookup(t, s, Pod{}, image); names(found) != "plugged" {
						t.Errorf("%s, %s: found %+v", kind, image, found)
					}
				}
			}
			if got := len(p.requests(t)); got != want {
				t.Errorf("%s: asked %d times, want %d", kind, got, want)
			}
		}
	}
}

func TestPluginAnswersAreNotKept(t *testing.T) {
	p := newPlugins(t)
	s, err := p.source(t, "  defaultCacheDuration: 1h\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	p.answer(t, `"cacheDuration":"0s","cacheKeyType":"Global",`+auth)
	for range 2 {
		lookup(t, s, Pod{}, "r.example/app")
	}
	p.answer(t, `"cacheDuration":"1ms","cacheKeyType":"Global",`+auth)
	lookup(t, s, Pod{}, "r.example/app")
	until := time.Now().Add(2 * time.Millisecond)
	for time.Now().Before(until) { // what was kept for a millisecond is not valid any more
	}
	lookup(t, s, Pod{}, "r.example/app")
	if got := len(p.requests(t)); got != 4 {
		t.Errorf("asked %d times, want 4", got)
	}
}

func TestPluginFails(t *testing.T) {
	p := newPlugins(t)
	s, err := p.source(t, "  defaultCacheDuration: 1h\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, answer := range []string{`"cacheKeyType":"Never",` + auth, `"cacheKeyType":7`, auth} {
		p.answer(t, answer)
		if found := lookup(t, s, Pod{}, "r.example/app"); found != nil {
			t.Errorf("%s: found %+v", answer, found)
		}
	}
	p.write(t, "login.answer", `{"kind":"Pod","apiVersion":"v1"}`, 0o600)
	if found := lookup(t, s, Pod{}, "r.example/app"); found != nil {
		t.Errorf("found %+v", found)
	}
	p.write(t, "login", "#!/bin/sh\necho no luck >&2\nexit 3\n", 0o700)
	_, err = s.plugins[0].provide(t.Context(), Pod{}, "r.example/app")
	if err == nil || !strings.Contains(err.Error(), "no luck") {
		t.Errorf("error %v", err)
	}
}

func TestPluginIsStopped(t *testing.T) {
	p := newPlugins(t)
	s, err := p.source(t, "  defaultCacheDuration: 1h\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "login", "#!/bin/sh\nexec sleep 600\n", 0o700)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.For(Pod{}).Lookup(ctx, "r.example/app"); err == nil {
		t.Error("a plugin that does not answer")
	}
}

func TestPluginConfiguration(t *testing.T) {
	p := newPlugins(t)
	for more, says := range map[string]string{
		"":                              "defaultCacheDuration",
		"  defaultCacheDuration: -1s\n": "negative",
		"  defaultCacheDuration: 1s\n  unknown: 1\n": "unknown",
		"  defaultCacheDuration: 1s\n- name: missing\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n  matchImages: [a]\n  defaultCacheDuration: 1s\n": "missing",
		"  defaultCacheDuration: 1s\n- name: a/b\n":                           "without /",
		"  defaultCacheDuration: 1s\n- name: login\n  apiVersion: v7\n":       "v7",
		"  defaultCacheDuration: 1s\n  tokenAttributes: {cacheType: Token}\n": "service accounts",
	} {
		if _, err := p.source(t, more, nil); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v; want it to say %q", more, err, says)
		}
	}
	for _, cfg := range []SourceConfig{
		{PluginConfig: filepath.Join(p.dir, "none.yaml"), PluginDir: p.dir},
		{PluginConfig: t.TempDir(), PluginDir: p.dir},
		{PluginConfig: filepath.Join(p.dir, "config.yaml")},
	} {
		if _, err := NewSource(cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}

// accounts has one service account of each name, and gives each a different token.
type accounts struct {
	typedcorev1.ServiceAccountInterface
	annotations map[string]string
	made        int
}

func (a *accounts) ServiceAccounts(string) typedcorev1.ServiceAccountInterface { return a }

func (a *accounts) Get(_ context.Context, name string, _ metav1.GetOptions) (*corev1.ServiceAccount, error) {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID("uid-" + name), Annotations: a.annotations}}, nil
}

func (a *accounts) CreateToken(_ context.Context, name string, r *authenticationv1.TokenRequest, _ metav1.CreateOptions) (*authenticationv1.TokenRequest, error) {
	a.made++
	r.Status.Token = fmt.Sprintf("%s/%s/%s/%d", name, r.Spec.Audiences[0], r.Spec.BoundObjectRef.Name, a.made)
	return r, nil
}

const tokens = `  defaultCacheDuration: 1h
  tokenAttributes:
    serviceAccountTokenAudience: registry
    requireServiceAccount: true
    requiredServiceAccountAnnotationKeys: [tenant]
    optionalServiceAccountAnnotationKeys: [note]
    cacheType: `

func TestPluginWithServiceAccount(t *testing.T) {
	for cacheType, want := range map[string]int{"ServiceAccount": 2, "Token": 4} {
		p := newPlugins(t)
		api := &accounts{annotations: map[string]string{"tenant": "red", "other": "x"}}
		s, err := p.source(t, tokens+cacheType+"\n", api)
		if err != nil {
			t.Fatal(err)
		}
		p.answer(t, `"cacheKeyType":"Registry",`+auth)
		for range 2 {
			for _, name := range []string{"one", "two"} {
				found := lookup(t, s, Pod{Namespace: "ns", Name: "pod", ServiceAccount: name}, "r.example/app")
				if len(found) != 1 || found[0].Owner != (Owner{Kind: ServiceAccount, Namespace: "ns", Name: name, UID: "uid-" + name}) {
					t.Errorf("found %+v", found)
				}
			}
		}
		asked := p.requests(t)
		if len(asked) != want || !strings.Contains(asked[0], `"serviceAccountToken":"one/registry/pod/1"`) || !strings.Contains(asked[0], `"serviceAccountAnnotations":{"tenant":"red"}`) {
			t.Errorf("%s: %d requests: %q", cacheType, len(asked), asked)
		}
		if found := lookup(t, s, Pod{Namespace: "ns"}, "r.example/app"); found != nil {
			t.Errorf("without a service account: %+v", found)
		}
		api.annotations = nil
		if found := lookup(t, s, Pod{Namespace: "ns", ServiceAccount: "three"}, "r.example/app"); found != nil {
			t.Errorf("without the annotation: %+v", found)
		}
	}
}

func TestPluginEchoesToken(t *testing.T) {
	p := newPlugins(t)
	s, err := p.source(t, tokens+"ServiceAccount\n", &accounts{annotations: map[string]string{"tenant": "red"}})
	if err != nil {
		t.Fatal(err)
	}
	p.answer(t, `"cacheKeyType":"Registry","auth":{"*.example":{"username":"x","password":"one/registry/pod/1"}}`)
	if found := lookup(t, s, Pod{Namespace: "ns", Name: "pod", ServiceAccount: "one"}, "r.example/app"); found != nil {
		t.Errorf("found %+v", found)
	}
}
