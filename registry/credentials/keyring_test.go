package credentials

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

func names(found []Credential) string {
	var all []string
	for _, c := range found {
		all = append(all, c.Username)
	}
	return strings.Join(all, " ")
}

func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		pattern, image string
		want           bool
	}{
		{"registry.example", "registry.example/app", true},
		{"registry.example", "registry.example:5000/app", false},
		{"registry.example:5000", "registry.example:5000/app", true},
		{"registry.example:5000", "registry.example/app", false},
		{"registry.example:5000", "registry.example:5001/app", false},
		{"*.example", "registry.example/app", true},
		{"*.example", "a.registry.example/app", false},
		{"*.*.example", "a.registry.example/app", true},
		{"registry.*", "registry.example/app", true},
		{"app*.example", "app7.example/x", true},
		{"app*.example", "xapp7.example/x", false},
		{"*.example", "example/app", false},
		{"registry.example/team", "registry.example/team/app", true},
		{"registry.example/team", "registry.example/teams/app", true}, // the image's path must begin with the pattern's path
		{"registry.example/team/", "registry.example/teams/app", false},
		{"registry.example/team", "registry.example/other", false},
		{"*.example:5000/team", "registry.example:5000/team/app", true},
		{"[", "registry.example/app", false},
		{"registry.example?.test", "registry.example/app", false}, // in a URL the host ends before the question mark
		{"registry.example/%61pp", "registry.example/app", false},
		{"127.0.0.1:5000", "127.0.0.1:5000/app", true},
		{"127.0.0.*:5000", "127.0.0.9:5000/app", true},
	} {
		if got := matches(tt.pattern, tt.image); got != tt.want {
			t.Errorf("matches(%q, %q) = %v", tt.pattern, tt.image, got)
		}
	}
}

func TestLookupOrder(t *testing.T) {
	auths, err := parseDockerConfig([]byte(`{"auths":{
		"registry.example": {"username": "host", "password": "x"},
		"https://registry.example/v2/": {"username": "host2", "password": "x"},
		"registry.example/team": {"username": "team", "password": "x"},
		"registry.example/team/app": {"username": "app", "password": "x"},
		"*.example": {"username": "glob", "password": "x"},
		"registry.example?.test": {"username": "query", "password": "x"},
		"https://index.docker.io/v1/": {"username": "hub", "password": "x"}
	}}`))
	if err != nil {
		t.Fatal(err)
	}
	var keys Keyring
	keys.add(auths, Owner{})
	for image, want := range map[string]string{
		"registry.example/team/app":   "app team host2 host glob",
		"registry.example/team/other": "team host2 host glob",
		"other.example/app":           "glob",
		"docker.io/library/app":       "hub",
		"elsewhere.test/app":          "",
	} {
		got := keys.Lookup(image)
		if names(got) != want {
			t.Errorf("Lookup(%s) = %s; want %s", image, names(got), want)
		}
	}
}

func TestParseAuth(t *testing.T) {
	for _, encode := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding} {
		for _, password := range []string{"p", "pa", "pas", "with:colon"} {
			auths, err := parseDockercfg([]byte(`{"r.example":{"username":"other","password":"other","auth":"` + encode.EncodeToString([]byte("me:"+password)) + `"}}`))
			if c := auths["r.example"]; err != nil || c.Username != "me" || c.Password != password {
				t.Errorf("%q: %+v, %v", password, c, err)
			}
		}
	}
	for _, bad := range []string{`{"r":{"auth":"!!"}}`, `{"r":{"auth":"bm9jb2xvbg=="}}`, `{"r":{"password":"secret"}`, `[]`} {
		_, err := parseDockercfg([]byte(bad))
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func secret(name, kind, key, content string) *corev1.Secret {
	s := &corev1.Secret{Type: corev1.SecretType(kind), Data: map[string][]byte{key: []byte(content)}}
	s.Namespace, s.Name, s.UID = "ns", name, types.UID("uid-"+name)
	return s
}

func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.json")
	if err := os.WriteFile(file, []byte(`{"auths":{"r.example":{"username":"node","password":"x"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := NewSource(SourceConfig{DockerConfigs: []string{filepath.Join(dir, "none"), file}})
	if err != nil {
		t.Fatal(err)
	}
	pod := Pod{Namespace: "ns", Secrets: []*corev1.Secret{
		secret("new", "kubernetes.io/dockerconfigjson", ".dockerconfigjson", `{"auths":{"r.example":{"username":"json","password":"x"}}}`),
		secret("old", "kubernetes.io/dockercfg", ".dockercfg", `{"r.example":{"username":"cfg","password":"x"}}`),
		secret("opaque", "Opaque", ".dockerconfigjson", `{"auths":{"r.example":{"username":"opaque","password":"x"}}}`),
	}}
	found, err := source.For(pod).Lookup(t.Context(), "r.example/app")
	if err != nil || names(found) != "json cfg node" {
		t.Fatalf("%v, %v", names(found), err)
	}
	if want := (Owner{Kind: Secret, Namespace: "ns", Name: "new", UID: "uid-new"}); found[0].Owner != want || found[2].Owner != (Owner{}) {
		t.Errorf("owners %+v, %+v", found[0].Owner, found[2].Owner)
	}
	if found[0].Hash() == found[1].Hash() || strings.Contains(found[0].Hash(), "json") {
		t.Errorf("hashes %s, %s", found[0].Hash(), found[1].Hash())
	}
	pod.Secrets = append(pod.Secrets, secret("bad", "kubernetes.io/dockerconfigjson", ".dockerconfigjson", `hunter2`))
	if _, err := source.For(pod).Lookup(t.Context(), "r.example/app"); err == nil || !strings.Contains(err.Error(), "ns/bad") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a Secret that is none: %v", err)
	}
	// A later login takes effect at once, and a broken file is not an error.
	if err := os.WriteFile(file, []byte(`{"auths":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := source.For(Pod{}).Lookup(t.Context(), "r.example/app"); err != nil || found != nil {
		t.Errorf("with a broken file: %v, %v", names(found), err)
	}
}

func TestDockerConfigThatIsNone(t *testing.T) {
	dir := t.TempDir()
	pipe, large, good := filepath.Join(dir, "pipe"), filepath.Join(dir, "large"), filepath.Join(dir, "good")
	for _, err := range []error{
		syscall.Mkfifo(pipe, 0o600), os.WriteFile(large, nil, 0o600), os.Truncate(large, maxDockerConfig+1),
		os.WriteFile(good, []byte(`{"auths":{"r.example":{"username":"good"}}}`), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := NewSource(SourceConfig{DockerConfigs: []string{pipe, dir, large, good}})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := s.dockerConfig()
	for _, says := range []string{pipe + ": no regular file", dir + ": no regular file", large + ": larger"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v does not say %q", err, says)
		}
	}
	if got := names(keys.Lookup("r.example/app")); got != "good" {
		t.Errorf("found %q", got)
	}
}

// helper is a keychain like those of docker's credential helpers.
type helper struct{}

func (helper) Resolve(r authn.Resource) (authn.Authenticator, error) {
	if r.RegistryStr() == "r.example" {
		return authn.FromConfig(authn.AuthConfig{Username: "helper", Password: "x"}), nil
	}
	return authn.Anonymous, nil
}

func TestKeychain(t *testing.T) {
	source, err := NewSource(SourceConfig{Keychain: helper{}})
	if err != nil {
		t.Fatal(err)
	}
	for image, want := range map[string]string{"r.example/app": "helper", "other.example/app": ""} {
		if found, err := source.For(Pod{}).Lookup(t.Context(), image); err != nil || names(found) != want {
			t.Errorf("%s: %q, %v", image, names(found), err)
		}
	}
	var none *Source
	if found, err := none.For(Pod{}).Lookup(t.Context(), "r.example/app"); err != nil || found != nil {
		t.Errorf("without a source: %v, %v", found, err)
	}
}
