package kubeletapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/krustlet-go/krustlet-wasi/hack/authority"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
	"github.com/krustlet-go/krustlet-wasi/kubeletapi/access"
)

// The right by which a request was allowed decides what is logged.
//
// docs/security.md: "Each request that is allowed by `nodes/proxy` alone leaves a line in the
// agent's log when it ends, at level
// info: exec, attach and port-forward, and reading by that right".
// docs/security.md: "The query is left out, since commands may hold secrets".
func TestAudit(t *testing.T) {
	const path = "/containerLogs/ns/p/c"
	fails := logsFunc(func(context.Context, string, *corev1.PodLogOptions, io.Writer) error { return fmt.Errorf("no disk") })
	breaks := logsFunc(func(_ context.Context, _ string, _ *corev1.PodLogOptions, w io.Writer) error {
		_, _ = w.Write([]byte("x"))
		return fmt.Errorf("no disk")
	})
	for _, test := range []struct {
		name           string
		allow          string
		method, target string
		logs           logsFunc
		message        string // empty: nothing is logged
		fields         map[string]any
	}{
		{"by its own right", "get log", "GET", path, hello, "", nil},
		{"by the proxy's", "get proxy", "GET", path + "?tailLines=1&secret=geheim", hello, "privileged request",
			map[string]any{"verb": "get", "method": "GET", "path": path, "code": int64(200), "namespace": "ns", "pod": "p", "container": "c"}},
		{"that fails", "get proxy", "GET", path, fails, "privileged request",
			map[string]any{"verb": "get", "method": "GET", "path": path, "code": int64(500), "namespace": "ns", "pod": "p", "container": "c"}},
		{"that breaks off", "get proxy", "GET", path, breaks, "privileged request",
			map[string]any{"verb": "get", "method": "GET", "path": path, "code": int64(200), "namespace": "ns", "pod": "p", "container": "c"}},
		{"that runs something", "create proxy", "GET", "/exec/ns/p/c?command=geheim", hello, "privileged request",
			map[string]any{"verb": "create", "method": "GET", "path": "/exec/ns/p/c", "code": int64(400)}},
		{"that attaches", "create proxy", "POST", "/attach/ns/p/c?secret=geheim", hello, "privileged request",
			map[string]any{"verb": "create", "method": "POST", "path": "/attach/ns/p/c", "code": int64(400)}},
		{"that forwards", "create proxy", "POST", "/portForward/ns/p?secret=geheim", hello, "privileged request",
			map[string]any{"verb": "create", "method": "POST", "path": "/portForward/ns/p", "code": int64(400)}},
		{"denied", "get pods", "GET", path + "?secret=geheim", hello, "request denied",
			map[string]any{"verb": "get", "method": "GET", "path": path, "code": int64(403), "namespace": "ns", "pod": "p", "container": "c"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			core, seen := observer.New(zap.InfoLevel)
			s := newServer(t, func(c *Config) {
				c.Auth, c.Logs, c.Log = &guard{allow: []string{test.allow}}, test.logs, zap.New(core)
			})
			func() {
				defer func() { _ = recover() }() // if a log breaks off, the server aborts the connection
				serve(s, test.method, test.target, "jo")
			}()
			entries := seen.FilterLoggerName("audit").All()
			if test.message == "" {
				if len(entries) != 0 {
					t.Errorf("logged %v", entries)
				}
				return
			}
			if len(entries) != 1 || entries[0].Message != test.message {
				t.Fatalf("logged %v, want one line: %s", entries, test.message)
			}
			got := entries[0].ContextMap()
			if _, ok := got["took"]; ok != (test.message == "privileged request") {
				t.Errorf("took: %v", got["took"])
			}
			delete(got, "took")
			for name, value := range map[string]any{"user": "jo", "groups": []any{"staff"}, "client": "192.0.2.1:1234"} {
				test.fields[name] = value
			}
			for name := range got {
				if name == "namespace" || name == "pod" || name == "container" {
					if _, named := test.fields[name]; !named {
						delete(got, name) // only where the pattern of the path has it
					}
				}
			}
			if diff := cmp.Diff(test.fields, got); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if text := fmt.Sprint(seen.All()); strings.Contains(text, "geheim") {
				t.Errorf("a secret is logged: %s", text)
			}
		})
	}
}

// A command in a container is logged when it has ended, with both protocols.
func TestAuditOfExec(t *testing.T) {
	core, seen := observer.New(zap.InfoLevel)
	server := runServer(t, authority.New(t, "ca"), func(c *Config) { c.Log = zap.New(core) })
	const path = "/exec/ns/p/c?command=geheim&output=1"
	socket, err := remotecommand.NewWebSocketExecutorForProtocols(server.config(), http.MethodGet, server.url+path, "v4.channel.k8s.io")
	if err != nil {
		t.Fatal(err)
	}
	for name, client := range map[string]remotecommand.Executor{"SPDY": server.remote(t, path), "WebSocket": socket} {
		if err := client.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: io.Discard}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	testnode.Eventually(t, func() error {
		if n := seen.FilterMessage("privileged request").Len(); n != 2 {
			return fmt.Errorf("%d lines are logged, want one for each", n)
		}
		return nil
	})
	for _, entry := range seen.FilterMessage("privileged request").All() {
		fields := entry.ContextMap()
		if fields["code"] != int64(101) || fields["verb"] != "create" || fields["pod"] != "p" || fields["container"] != "c" || fields["path"] != "/exec/ns/p/c" {
			t.Errorf("logged %v", fields)
		}
	}
}

// A client that is denied again and again does not fill the log.
//
// docs/security.md: "So does a request that is denied, up to ten a second".
func TestAuditOfDeniedRequestsIsBounded(t *testing.T) {
	core, seen := observer.New(zap.InfoLevel)
	s := newServer(t, func(c *Config) { c.Auth, c.Log = &guard{}, zap.New(core) })
	began := time.Now()
	for range 1000 {
		if w := serve(s, "GET", "/pods", "jo"); w.Code != http.StatusForbidden {
			t.Fatalf("%d", w.Code)
		}
	}
	if n := seen.Len(); n < access.DeniedFirst || n > access.DeniedFirst+1+int(10*time.Since(began).Seconds()) {
		t.Errorf("%d lines for 1,000 denied requests", n)
	}
}

// Strangers cause no line in the log, and lose their connection.
//
// docs/security.md: "Strangers (401) are logged at level debug".
func TestStrangersAreNotLogged(t *testing.T) {
	core, seen := observer.New(zap.InfoLevel)
	s := newServer(t, func(c *Config) { c.Log = zap.New(core) })
	for _, user := range []string{"", "liar"} {
		r := httptest.NewRequest(http.MethodGet, "/pods", nil)
		r.Header.Set("User", user)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized || w.Header().Get("Connection") != "close" {
			t.Errorf("%q: %d, Connection: %q", user, w.Code, w.Header().Get("Connection"))
		}
	}
	if seen.Len() != 0 {
		t.Errorf("logged %v", seen.All())
	}
}
