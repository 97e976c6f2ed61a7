package distribution

import (
	"errors"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/errorcheck"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

func TestParseReference(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0a", 32)
	for _, tt := range []struct{ image, name, id, scheme string }{
		{"hello", "docker.io/library/hello:latest", "latest", "https"},
		{"me/hello:v1", "docker.io/me/hello:v1", "v1", "https"},
		{"docker.io/me/hello:v1", "docker.io/me/hello:v1", "v1", "https"},
		{"index.docker.io/me/hello:v1", "docker.io/me/hello:v1", "v1", "https"},
		{"ghcr.io/a/b/c:V.1_x-y", "ghcr.io/a/b/c:V.1_x-y", "V.1_x-y", "https"},
		{"ghcr.io/a/b@" + digest, "ghcr.io/a/b@" + digest, digest, "https"},
		{"ghcr.io/a/b:v1@" + digest, "ghcr.io/a/b@" + digest, digest, "https"},
		{"example.com:5000/a", "example.com:5000/a:latest", "latest", "https"},
		{"localhost:5000/a", "localhost:5000/a:latest", "latest", "http"},
		{"localhost/a", "localhost/a:latest", "latest", "http"},
		{"127.0.0.1:5000/a", "127.0.0.1:5000/a:latest", "latest", "http"},
		{"127.9.8.7:5000/a", "127.9.8.7:5000/a:latest", "latest", "http"},
		{"[::1]:5000/a", "[::1]:5000/a:latest", "latest", "http"},
		{"plain.example:80/a", "plain.example:80/a:latest", "latest", "http"},
		{"plain.example/a", "plain.example/a:latest", "latest", "http"},
		{"port.example:5000/a", "port.example:5000/a:latest", "latest", "http"},
		{"port.example/a", "port.example/a:latest", "latest", "https"},
		{"docker.io/fs/hello.wasm", "docker.io/fs/hello.wasm:latest", "latest", "https"},
	} {
		ref, err := ParseReference(tt.image, NewHostPolicy([]string{" Plain.example", "port.example:5000", ""}))
		if err != nil {
			t.Errorf("%s: %v", tt.image, err)
			continue
		}
		if ref.Name() != tt.name || ref.ManifestID() != tt.id || ref.Repo.Scheme() != tt.scheme || ref.Path != "" {
			t.Errorf("%s: %s, asks for %s by %s; want %s, %s, %s",
				tt.image, ref.Name(), ref.ManifestID(), ref.Repo.Scheme(), tt.name, tt.id, tt.scheme)
		}
	}
}

func TestParseReferenceInvalid(t *testing.T) {
	for _, tt := range []struct{ image, says string }{
		{"", "empty"},
		{" hello", "white space"},
		{"Hello", "lower case"},
		{"ghcr.io/Me/hello", "lower case"},
		{"https://ghcr.io/me/hello", "without a scheme"},
		{"hello:", "tag"},
		{"hello:a b", "tag"},
		{"hello:.x", "tag"},
		{"hello:" + strings.Repeat("x", 129), "tag"},
		{"hello@sha256:abc", "64 hexadecimal"},
		{"hello@md5:" + strings.Repeat("0", 32), "sha256"},
		{"@sha256:" + strings.Repeat("0", 64), "empty"},
		{"ghcr.io/../../etc/passwd", "repository names"},
		{"ghcr.io/a//b", "repository names"},
		{"ghcr.io/a/", "repository names"},
		{"ghcr.io/.a/b", "repository names"},
		{"gh_cr.io/a/b", "host name"},
		{"a\nb", ""},
		{"fs/", "path of a file"},
		{"fs/a\x00b", "path of a file"},
		{strings.Repeat("x", 5000), "too long"},
	} {
		_, err := ParseReference(tt.image, HostPolicy{})
		errorcheck.Is(t, err, fault.ErrInvalidReference, tt.says)
	}
}

func TestParseLocalReference(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0a", 32)
	for image, want := range map[string]Reference{
		"fs//srv/hello.wasm":              {Path: "/srv/hello.wasm"},
		"fs/./out/hello.wasm":             {Path: "./out/hello.wasm"},
		"fs/home/me/hello.wasm":           {Path: "home/me/hello.wasm"},
		"fs//srv/hello.wasm:v1":           {Path: "/srv/hello.wasm"},
		"fs//srv/a b/Hello.wasm":          {Path: "/srv/a b/Hello.wasm"},
		"fs//srv/a:b/hello.wasm":          {Path: "/srv/a:b/hello.wasm"},
		"fs//srv/hello.wasm:v1@" + digest: {Path: "/srv/hello.wasm", Digest: digest},
	} {
		if ref, err := ParseReference(image, HostPolicy{}); err != nil || ref != want {
			t.Errorf("%s: %+v, %v; want %+v", image, ref, err, want)
		}
	}
}

func FuzzParseReference(f *testing.F) {
	for _, image := range []string{
		"hello", "ghcr.io/a/b:v1", "localhost:5000/a@sha256:" + strings.Repeat("0a", 32), "fs//srv/x.wasm:v1",
		"[::1]:5000/a", "ghcr.io/../a", "a@b@c", ":/@",
	} {
		f.Add(image)
	}
	hosts := NewHostPolicy([]string{"plain.example"})
	f.Fuzz(func(t *testing.T, image string) {
		ref, err := ParseReference(image, hosts)
		if err != nil {
			if !errors.Is(err, fault.ErrInvalidReference) || strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("%q: error %q", image, err)
			}
			return
		}
		if ref.Path != "" {
			if !strings.HasPrefix(image, "fs/"+ref.Path) {
				t.Errorf("%q names the file %q", image, ref.Path)
			}
			return
		}
		// Requests to a registry stay below /v2/. The full name means the same as the reference.
		if path := ref.Repo.RepositoryStr() + "/" + ref.ManifestID(); strings.Contains(path, "..") && strings.Contains("/"+path, "/../") ||
			strings.ContainsAny(path, "?#%\\ ") || strings.Contains(path, "//") {
			t.Errorf("%q asks for %q", image, path)
		}
		again, err := ParseReference(ref.Name(), hosts)
		if err != nil || again.Name() != ref.Name() || again.Repo.Scheme() != ref.Repo.Scheme() {
			t.Errorf("%q in full is %q, which is %q, %v", image, ref.Name(), again.Name(), err)
		}
	})
}
