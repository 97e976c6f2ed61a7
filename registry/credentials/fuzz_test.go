package credentials

import (
	"cmp"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeletconfig "k8s.io/kubelet/config/v1"
)

// configs are docker configs and images with which the fuzzer starts.
var configs = []struct{ config, image string }{
	{`{"auths":{"registry.example":{"username":"a","password":"b"},"https://registry.example/v2/":{"auth":"Yzpk"}}}`, "registry.example/team/app"},
	{`{"registry.example:5000/team":{"username":"a","password":"b","email":"x"}}`, "registry.example:5000/team/app"},
	{`{"auths":{"*.example":{"auth":"YTpi"},"[a-z]*.example":{"identitytoken":"t"},"?.example":{"registrytoken":"t"}}}`, "r.example/app"},
	{`{"auths":{"https://index.docker.io/v1/":{"auth":"YTpi"}},"credsStore":"x","credHelpers":{"a":"b"}}`, "app"},
	{`{"auths":{"registry.example?.test":{"auth":"YTpi"},"registry.example#x":{"auth":"Yzpk"},"user:x@registry.example":{"auth":"ZTpm"}}}`, "registry.example/app"},
	{`{"registry.example/a%3Fb":{"username":"a"},"registry.example/a%23b":{"username":"b"},"registry.example/te%61m":{"username":"c"}}`, "registry.example/team/app"},
	{`{"auths":{"":{"username":"a"},"/app":{"username":"b"},"https://":{"username":"c"},"[::1]:5000":{"username":"d"}}}`, "[::1]:5000/app"},
	{`{"auths":{"registry.example":{"username":"a","auth":"%%"}}}`, "registry.example/app"},
	{`{"auths":null}`, "registry.example/app"},
	{`{"auths":`, "registry.example/app"},
}

// pattern splits the pattern of a docker config's entry into host and path, without net/url.
func pattern(entry string) (host, at string) {
	for _, scheme := range []string{"https://", "http://"} {
		if rest, is := strings.CutPrefix(entry, scheme); is {
			entry = rest
			break
		}
	}
	host, at = entry, ""
	if i := strings.IndexByte(entry, '/'); i >= 0 {
		host, at = entry[:i], entry[i:]
	}
	host = host[strings.LastIndexByte(host, '@')+1:]
	for _, version := range []string{"/v1/", "/v2/"} {
		if rest, is := strings.CutPrefix(at, version); is {
			at = "/" + rest
			break
		}
	}
	if at == "/" {
		at = ""
	}
	return host, at
}

// isFor reports whether an entry is for an image.
func isFor(t *testing.T, entry, image string) bool {
	t.Helper()
	host, at := pattern(entry)
	want, repo, _ := strings.Cut(image, "/")
	if host == defaultRegistry && want == "docker.io" && at == "" {
		return true
	}
	if !strings.HasPrefix("/"+repo, at) {
		return false
	}
	if host == want { // an IPv6 address has brackets
		return true
	}
	// A `*` in a host does not match a dot, and a `*` in a path does not match a slash.
	ok, err := path.Match(strings.ReplaceAll(host, ".", "/"), strings.ReplaceAll(want, ".", "/"))
	return ok && err == nil
}

// checkGiven checks that each credential found for an image comes from an entry for that image.
func checkGiven(t *testing.T, auths map[string]Credential, image string, found []Credential) {
	t.Helper()
	for _, c := range found {
		c.Owner = Owner{}
		is := false
		for entry, of := range auths {
			is = is || of == c && isFor(t, entry, image)
		}
		if !is {
			t.Errorf("%+v is given for %s, for which is none of %+v", c, image, auths)
		}
	}
}

// imageOf returns an image's full name, in the form that the store uses. It is empty if the text is
// no image.
func imageOf(text string) string {
	repo, err := name.NewRepository(text)
	if err != nil {
		return ""
	}
	return strings.Replace(repo.RegistryStr(), defaultRegistry, "docker.io", 1) + "/" + repo.RepositoryStr()
}

func FuzzDockerConfig(f *testing.F) {
	for _, c := range configs {
		f.Add([]byte(c.config), c.image)
	}
	file := filepath.Join(f.TempDir(), "config.json")
	source, err := NewSource(SourceConfig{DockerConfigs: []string{file}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, image string) {
		if image = imageOf(image); image == "" {
			return
		}
		begin := time.Now()
		old, oldErr := parseDockercfg(data)
		auths, err := parseDockerConfig(data)
		for owner, secret := range map[string]*corev1.Secret{
			"ns/old": secret("old", string(corev1.SecretTypeDockercfg), corev1.DockerConfigKey, string(data)),
			"ns/new": secret("new", string(corev1.SecretTypeDockerConfigJson), corev1.DockerConfigJsonKey, string(data)),
		} {
			of, why := old, oldErr
			if owner == "ns/new" {
				of, why = auths, err
			}
			keys := (*Source)(nil).For(Pod{Secrets: []*corev1.Secret{secret}})
			found, err := keys.Lookup(t.Context(), image)
			checkGiven(t, of, image, found)
			for range 5 {
				if again, _ := (*Source)(nil).For(Pod{Secrets: []*corev1.Secret{secret}}).Lookup(t.Context(), image); !reflect.DeepEqual(found, again) {
					t.Fatalf("%s: %+v, then %+v", owner, found, again)
				}
			}
			if len(data) > 0 && (err != nil) != (why != nil) || err != nil && !strings.Contains(err.Error(), owner) {
				t.Errorf("%s: error %v of %v", owner, err, why)
			}
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		keys, fileErr := source.dockerConfig()
		checkGiven(t, auths, image, keys.Lookup(image))
		if (fileErr != nil) != (err != nil) || fileErr != nil && !strings.Contains(fileErr.Error(), file) {
			t.Errorf("error %v of %v", fileErr, err)
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("%d bytes took %v", len(data), took)
		}
	})
}

func FuzzPluginAnswer(f *testing.F) {
	const head = `{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1",`
	for _, c := range configs {
		var config map[string]json.RawMessage
		if err := json.Unmarshal([]byte(c.config), &config); err != nil {
			continue
		}
		f.Add([]byte(head+`"cacheKeyType":"Image","cacheDuration":"1h","auth":`+cmp.Or(string(config["auths"]), c.config)+`}`), c.image)
	}
	f.Add([]byte(head+`"cacheKeyType":"Registry","cacheDuration":"2540400h","auth":{"*.*":{"username":"a","password":"b"}}}`), "r.example/app")
	f.Add([]byte(head+`"cacheKeyType":"Global","cacheDuration":"-1s","auth":{"*":{"username":"a","password":"token"}}}`), "r.example/app")
	f.Add([]byte(head+`"cacheKeyType":"None"}`), "r.example/app")
	f.Add([]byte(head), "r.example/app")
	f.Fuzz(func(t *testing.T, data []byte, image string) {
		if image = imageOf(image); image == "" {
			return
		}
		response, err := parseAnswer(data)
		if err != nil {
			if again, errAgain := parseAnswer(data); again != nil || errAgain == nil || errAgain.Error() != err.Error() {
				t.Errorf("%v, then %v", err, errAgain)
			}
			return
		}
		for _, as := range []account{{}, {owner: Owner{Kind: ServiceAccount, Name: "a"}, token: "token", key: "a"}} {
			p := newPlugin(kubeletconfig.CredentialProvider{
				Name: "login", DefaultCacheDuration: &metav1.Duration{Duration: time.Hour},
				TokenAttributes: &kubeletconfig.ServiceAccountTokenAttributes{CacheType: kubeletconfig.ServiceAccountServiceAccountTokenCacheType},
			}, "", nil)
			auths, err := p.take(response, image, as)
			if err != nil {
				if len(p.answers) > 0 {
					t.Errorf("%v, and it is kept: %+v", err, p.answers)
				}
				continue
			}
			var keys Keyring
			keys.add(auths, as.owner)
			found := keys.Lookup(image)
			checkGiven(t, auths, image, found)
			for _, c := range found {
				if c.Owner != as.owner || as.token != "" && c.Password == as.token {
					t.Errorf("%+v for %+v", c, as)
				}
			}
			if again, is := p.kept(image, as.key); is && !reflect.DeepEqual(again, auths) {
				t.Errorf("%+v, and then %+v", auths, again)
			}
			if _, is := p.kept(image, "another"); is {
				t.Error("it is kept for another account")
			}
		}
	})
}
