package testnode

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"net/url"
	"os"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	images "github.com/krustlet-go/krustlet-wasi/registry"
)

// Registry is an OCI registry on loopback.
type Registry struct {
	Host   string // host:port
	server *httptest.Server
}

// NewRegistry starts an empty registry. It ends with the test.
func NewRegistry(t testing.TB) *Registry {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatalf("testnode: %v", err)
	}
	return &Registry{Host: u.Host, server: server}
}

// Close ends the registry before the end of the test.
func (r *Registry) Close() { r.server.Close() }

// Push publishes a module and returns its reference.
func (r *Registry) Push(t testing.TB, name string, module []byte) string {
	t.Helper()
	ref := fmt.Sprintf("%s/%s", r.Host, name)
	if _, err := images.Push(context.Background(), ref, module, images.PushConfig{}); err != nil {
		t.Fatalf("testnode: pushing %s: %v", ref, err)
	}
	return ref
}

// PushGuest builds a guest of hack/guests and publishes it as NAME:v1.
func (r *Registry) PushGuest(t testing.TB, name string) string {
	t.Helper()
	module, err := os.ReadFile(guests.Build(t, name))
	if err != nil {
		t.Fatalf("testnode: %v", err)
	}
	return r.Push(t, name+":v1", module)
}

// PushWrapped is PushGuest of the guest as a component, NAME-component:v1.
func (r *Registry) PushWrapped(t testing.TB, name string) string {
	t.Helper()
	component, err := os.ReadFile(guests.Wrapped(t, name))
	if err != nil {
		t.Fatalf("testnode: %v", err)
	}
	return r.Push(t, name+"-component:v1", component)
}

// PushTiny publishes the smallest guest as tiny:v1.
func (r *Registry) PushTiny(t testing.TB) string {
	t.Helper()
	return r.Push(t, "tiny:v1", guests.Tiny(t))
}
