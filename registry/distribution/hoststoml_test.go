package distribution

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/net/http/httpguts"

	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

// hostsFiles are hosts.toml files with which the fuzzer starts.
var hostsFiles = []string{
	"server = 'https://registry.example'\n[host.'https://mirror.example/v2']\ncapabilities = ['pull', 'resolve']\nskip_verify = true\n",
	"[host.\"http://mirror.example:5000/path\"]\noverride_path = true\ndial_timeout = '3s'\nca = ['a.pem', '/b.pem']\nclient = [['c.pem', 'c.key'], 'both.pem']\n",
	"[host.b]\n[host.a]\n[host.'b'.header]\nx-one = 'a'\nX-One = ['b', 'c']\nAuthorization = 'Basic x'\n",
	"server = 'a'\nServer = 'b'\n",
	"[host.a]\nCA = 'a'\nca = 'b'\n",
	"[Host.a]\nunknown = 1\nUnknown = 2\n",
	"[host.a.header]\nbad = \"a\\nb\"\n",
	"[host.a.header]\n\"b c\" = 'x'\n",
	"[host.a.header]\nb = 1\nc = [2]\n",
	"ca = '/dev/zero'\n",
	"client = ['/dev/zero', 'x']\n",
	"server = 'https://me:secret@registry.example'\n",
	"server = 'https://registry_.example:99999'\n",
	"host = 1\n",
	"host = [[{}]]\n",
	"a = " + strings.Repeat("[", 1000),
	strings.Repeat("a.", 500) + "a = 1\n",
}

// FuzzHosts reads hosts.toml files as a pull does.
func FuzzHosts(f *testing.F) {
	for _, file := range hostsFiles {
		f.Add([]byte(file))
	}
	registry, err := name.NewRegistry("registry.example")
	if err != nil {
		f.Fatal(err)
	}
	above := f.TempDir()
	dir := filepath.Join(above, registry.RegistryStr())
	if err := os.Mkdir(dir, 0o700); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		begin := time.Now()
		settings, err := parseHosts(dir, data)
		for range 5 {
			if again, errAgain := parseHosts(dir, data); !reflect.DeepEqual(settings, again) || (err != nil) != (errAgain != nil) {
				t.Fatalf("%+v, %v, then %+v, %v", settings, err, again, errAgain)
			}
		}
		for _, s := range settings {
			checkSettings(t, s)
		}
		if err := os.WriteFile(filepath.Join(dir, "hosts.toml"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		n, errNew := NewNetwork(NewHostPolicy(nil), nil, above, "test")
		if errNew != nil {
			t.Fatal(errNew)
		}
		endpoints, err2 := n.Endpoints(registry)
		switch {
		case err2 == nil && (err != nil || len(endpoints) != len(settings)):
			t.Errorf("%d endpoints of %d settings, %v", len(endpoints), len(settings), err)
		case err2 != nil && (!strings.Contains(err2.Error(), filepath.Join(dir, "hosts.toml")) || strings.ContainsAny(err2.Error(), "\r\n") || len(err2.Error()) > fault.MaxText+10):
			t.Errorf("error %q", err2)
		}
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("%d bytes took %v", len(data), took)
		}
	})
}

func checkSettings(t *testing.T, s hostSettings) {
	t.Helper()
	if s.url != nil && (s.url.Scheme != "http" && s.url.Scheme != "https" || s.url.Host == "" || s.url.User != nil || s.url.RawQuery != "") {
		t.Errorf("address %#v", s.url)
	}
	files := s.authorities
	for _, pair := range s.clients {
		files = append(files, pair[:]...)
	}
	for _, file := range files {
		if !filepath.IsAbs(file) {
			t.Errorf("file %q", file)
		}
	}
	for header, values := range s.header {
		for _, v := range values {
			if !httpguts.ValidHeaderFieldName(header) || !httpguts.ValidHeaderFieldValue(v) {
				t.Errorf("header %q: %q", header, v)
			}
		}
	}
}
