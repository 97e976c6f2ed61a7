package kubeletapi

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap/zaptest"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
)

// podList is a Pods.
type podList []*corev1.Pod

func (p podList) Pods() []*corev1.Pod { return slices.Clone(p) }

func (p podList) RunningPods() []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(p), func(pod *corev1.Pod) bool { return pod.Status.Phase != corev1.PodRunning })
}

// logsFunc is a Logs. container is NAMESPACE/POD/CONTAINER.
type logsFunc func(ctx context.Context, container string, opts *corev1.PodLogOptions, w io.Writer) error

func (f logsFunc) ContainerLogs(ctx context.Context, namespace, pod, container string, opts *corev1.PodLogOptions, w io.Writer) error {
	return f(ctx, namespace+"/"+pod+"/"+container, opts, w)
}

// hello is a log with one line, which names its container.
var hello = logsFunc(func(_ context.Context, container string, _ *corev1.PodLogOptions, w io.Writer) error {
	_, err := fmt.Fprintln(w, "hello from", container)
	return err
})

// guard is an Auth. It knows the user in the header User. It allows what is in its list of "verb
// subresource"; "any" allows everything.
type guard struct {
	allow []string

	mu    sync.Mutex
	asked []string
}

func (g *guard) Authenticate(r *http.Request) (user.Info, bool, error) {
	switch name := r.Header.Get("User"); name {
	case "":
		return nil, false, nil
	case "liar":
		return nil, false, errors.New("not what it says")
	default:
		return &user.DefaultInfo{Name: name, Groups: []string{"staff"}}, true, nil
	}
}

func (g *guard) Certified(state *tls.ConnectionState) (string, bool) {
	return state.PeerCertificates[0].Subject.CommonName, true
}

func (g *guard) Authorize(_ context.Context, _ user.Info, verb, subresource string) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	what := verb + " " + subresource
	g.asked = append(g.asked, what)
	if slices.Contains(g.allow, "error") {
		return false, errors.New("the API server is away")
	}
	return slices.Contains(g.allow, what) || slices.Contains(g.allow, "any"), nil
}

func newServer(t *testing.T, change func(*Config)) *Server {
	t.Helper()
	config := Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("no TLS here") },
		Auth:           &guard{allow: []string{"any"}},
		Pods:           podList{},
		Logs:           hello,
		Stats:          fakeStats{},
		Metrics:        prometheus.NewRegistry(),
		ProbeMetrics:   prometheus.NewRegistry(),
		Execs:          echo,
		Attaches:       attachFunc(nil),
		Ports:          dialFunc(nil),
		Log:            zaptest.NewLogger(t),
	}
	if change != nil {
		change(&config)
	}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func serve(s *Server, method, target, user string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	if user != "" {
		r.Header.Set("User", user)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

func TestNewNeedsItsSettings(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"GetCertificate": func(c *Config) { c.GetCertificate = nil },
		"Auth":           func(c *Config) { c.Auth = nil },
		"Pods":           func(c *Config) { c.Pods = nil },
		"Logs":           func(c *Config) { c.Logs = nil },
		"Stats":          func(c *Config) { c.Stats = nil },
		"Metrics":        func(c *Config) { c.Metrics = nil },
		"ProbeMetrics":   func(c *Config) { c.ProbeMetrics = nil },
		"Execs":          func(c *Config) { c.Execs = nil },
		"Attaches":       func(c *Config) { c.Attaches = nil },
		"Ports":          func(c *Config) { c.Ports = nil },
		"Log ":           func(c *Config) { c.Log = nil },
	} {
		config := newServer(t, nil).config
		change(&config)
		if _, err := New(config); err == nil || !strings.Contains(err.Error()+" ", name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// docs/security.md: "All other paths answer 404, to clients that may use `nodes/proxy` and to no
// others".
func TestRoutes(t *testing.T) {
	tests := []struct {
		method, target string
		code           int
		asked          string // the rights that are checked for a user who has none
	}{
		{"GET", "/containerLogs/ns/p/c", 200, "get log, get proxy"},
		{"GET", "/containerLogs/ns/p/c?follow=true", 200, "get log, get proxy"},
		{"POST", "/containerLogs/ns/p/c", 405, "create log, create proxy"},
		{"GET", "/containerLogs/ns/p", 404, "get log, get proxy"},
		{"GET", "/containerLogs/ns/p/c/d", 404, "get log, get proxy"},
		{"GET", "/pods", 200, "get pods, get proxy"},
		{"HEAD", "/pods", 200, "get pods, get proxy"},
		{"GET", "/pods/", 200, "get pods, get proxy"},
		{"GET", "/%70ods", 200, "get pods, get proxy"},
		{"DELETE", "/pods", 405, "delete pods, delete proxy"},
		{"GET", "/runningpods/", 200, "get pods, get proxy"},
		{"GET", "/runningpods/other", 404, "get pods, get proxy"},
		{"DELETE", "/runningpods/", 405, "delete pods, delete proxy"},
		{"GET", "/healthz", 200, "get healthz, get proxy"},
		{"GET", "/healthz/ping", 200, "get healthz, get proxy"},
		{"GET", "/healthz/syncloop", 200, "get healthz, get proxy"},
		{"GET", "/healthz/other", 404, "get healthz, get proxy"},
		{"PUT", "/healthz", 405, "update healthz, update proxy"},
		{"GET", "/healthz%2f..%2fpods", 404, "get proxy"},
		{"GET", "/configz", 200, "get configz, get proxy"},
		{"POST", "/configz", 405, "create configz, create proxy"},
		{"GET", "/stats/summary", 200, "get stats"},
		{"GET", "/stats/summary?only_cpu_and_memory=maybe", 400, "get stats"},
		{"POST", "/stats/summary", 200, "create stats"},
		{"DELETE", "/stats/summary", 405, "delete stats"},
		{"GET", "/stats/container", 404, "get stats"},
		{"GET", "/metrics", 200, "get metrics"},
		{"POST", "/metrics", 405, "create metrics"},
		{"GET", "/metrics/resource", 200, "get metrics"},
		{"GET", "/metrics/probes", 200, "get metrics"},
		{"GET", "/metrics/cadvisor", 200, "get metrics"},
		{"GET", "/metrics/slis", 404, "get metrics"},
		{"GET", "/exec/ns/p/c", 400, "create proxy"},
		{"POST", "/exec/ns/p/c", 400, "create proxy"},
		{"POST", "/exec/ns/p/uid/c?command=x&output=1", 400, "create proxy"},
		{"PUT", "/exec/ns/p/c", 405, "create proxy"},
		{"GET", "/exec/ns/p", 404, "create proxy"},
		{"GET", "/attach/ns/p/c", 400, "create proxy"},
		{"POST", "/attach/ns/p/uid/c?output=1", 400, "create proxy"},
		{"DELETE", "/attach/ns/p/c", 405, "create proxy"},
		{"GET", "/attach/ns", 404, "create proxy"},
		{"GET", "/portForward/ns/p", 400, "create proxy"},
		{"POST", "/portForward/ns/p/uid", 400, "create proxy"},
		{"DELETE", "/portForward/ns/p", 405, "create proxy"},
		{"GET", "/portForward/ns", 404, "create proxy"},
		{"GET", "/debug/pprof/", 405, "get proxy"},
		{"GET", "/debug/pprof/heap", 405, "get proxy"},
		{"POST", "/debug/pprof/symbol", 405, "create proxy"},
		{"PUT", "/debug/flags/v", 405, "update proxy"},
		{"GET", "/debug/flags/v", 405, "get proxy"},
		{"GET", "/debug", 404, "get proxy"},
		{"PATCH", "/", 404, "patch proxy"},
		{"GET", "/run/ns/p/c", 404, "get proxy"},
		{"GET", "/podsandmore", 404, "get proxy"},
		{"BREW", "/pods", 405, " pods,  proxy"},
	}
	for _, test := range tests {
		t.Run(test.method+" "+test.target, func(t *testing.T) {
			if w := serve(newServer(t, nil), test.method, test.target, ""); w.Code != http.StatusUnauthorized || w.Body.String() != http.StatusText(w.Code)+"\n" {
				t.Errorf("anonymous: %d %q, want 401", w.Code, w.Body)
			}
			if w := serve(newServer(t, nil), test.method, test.target, "liar"); w.Code != 401 {
				t.Errorf("with a proof that is not accepted: %d, want 401", w.Code)
			}
			nobody := &guard{}
			w := serve(newServer(t, func(c *Config) { c.Auth = nobody }), test.method, test.target, "jo")
			asked := strings.Join(nobody.asked, ", ")
			if asked != test.asked {
				t.Errorf("asked for %q, want %q", asked, test.asked)
			}
			verb, _, _ := strings.Cut(test.asked, " ")
			var subresources []string
			for _, right := range strings.Split(test.asked, ", ") {
				subresources = append(subresources, strings.TrimPrefix(right, verb+" "))
			}
			want := fmt.Sprintf("Forbidden (user=jo, verb=%s, resource=nodes, subresource(s)=%v)\n", verb, subresources)
			if w.Code != 403 || w.Body.String() != want {
				t.Errorf("without a right: %d %q, want 403 %q", w.Code, w.Body, want)
			}
			for _, right := range strings.Split(test.asked, ", ") {
				s := newServer(t, func(c *Config) { c.Auth = &guard{allow: []string{right}} })
				if w := serve(s, test.method, test.target, "jo"); w.Code != test.code {
					t.Errorf("with the right to %s: %d, want %d", right, w.Code, test.code)
				}
			}
			s := newServer(t, func(c *Config) { c.Auth = &guard{allow: []string{"error"}} })
			if w := serve(s, test.method, test.target, "jo"); w.Code != 500 || !strings.HasPrefix(w.Body.String(), "Authorization error (user=jo, ") {
				t.Errorf("with rights unknown: %d %q, want 500 and an authorization error", w.Code, w.Body)
			}
		})
	}
}

func TestMethodNotAllowedSaysWhatIs(t *testing.T) {
	if got := serve(newServer(t, nil), "POST", "/pods", "jo").Header().Get("Allow"); got != "GET, HEAD" {
		t.Errorf("Allow: %q", got)
	}
}

func TestPods(t *testing.T) {
	t.Run("none", func(t *testing.T) {
		w := serve(newServer(t, nil), "GET", "/pods", "jo")
		if !strings.Contains(w.Body.String(), `"items":[]`) {
			t.Errorf("%s", w.Body)
		}
	})
	for path, pods := range map[string]int{"/pods": 2, "/runningpods/": 1} {
		t.Run(path, func(t *testing.T) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns", UID: "1"},
				Status: corev1.PodStatus{Phase: corev1.PodRunning}}
			w := serve(newServer(t, func(c *Config) { c.Pods = podList{pod, {ObjectMeta: metav1.ObjectMeta{Name: "waits"}}} }), "GET", path, "jo")
			var list corev1.PodList
			if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil {
				t.Fatal(err)
			}
			if list.Kind != "PodList" || list.APIVersion != "v1" || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("a %s of %s as %s", list.Kind, list.APIVersion, w.Header().Get("Content-Type"))
			}
			if len(list.Items) != pods || list.Items[0].UID != "1" || list.Items[0].Status.Phase != corev1.PodRunning {
				t.Errorf("items: %+v", list.Items)
			}
		})
	}
}

func TestHealth(t *testing.T) {
	sick := func(c *Config) { c.Health = func() error { return errors.New("stuck for 3m") } }
	tests := []struct {
		path string
		set  func(*Config)
		code int
		body string
	}{
		{"/healthz", nil, 200, "ok"},
		{"/healthz", func(c *Config) { c.Health = func() error { return nil } }, 200, "ok"},
		{"/healthz", sick, 500, "syncloop failed: stuck for 3m\n"},
		{"/healthz/syncloop", sick, 500, "syncloop failed: stuck for 3m\n"},
		{"/healthz/ping", sick, 200, "ok"},
		{"/healthz?verbose", nil, 200, "[+]ping ok\n[+]syncloop ok\nhealthz check passed\n"},
		{"/healthz/ping?verbose=true", sick, 200, "[+]ping ok\nhealthz check passed\n"},
		{"/healthz?verbose", sick, 500, "[+]ping ok\n[-]syncloop failed: stuck for 3m\nhealthz check failed\n"},
		{"/healthz/other", sick, 404, "404 page not found\n"},
	}
	for _, test := range tests {
		if w := serve(newServer(t, test.set), "GET", test.path, "jo"); w.Code != test.code || w.Body.String() != test.body {
			t.Errorf("%s: %d %q, want %d %q", test.path, w.Code, w.Body, test.code, test.body)
		}
	}
}

func TestContainerLogs(t *testing.T) {
	get := func(t *testing.T, query string, logs logsFunc) *httptest.ResponseRecorder {
		return serve(newServer(t, func(c *Config) { c.Logs = logs }), "GET", "/containerLogs/ns/p/c"+query, "jo")
	}
	t.Run("names and options arrive", func(t *testing.T) {
		w := get(t, "?tailLines=3&follow=true", func(_ context.Context, container string, opts *corev1.PodLogOptions, w io.Writer) error {
			_, err := fmt.Fprintln(w, container, *opts.TailLines, opts.Follow, *opts.Stream)
			return err
		})
		if w.Code != 200 || w.Body.String() != "ns/p/c 3 true All\n" || !w.Flushed {
			t.Errorf("%d %q, flushed %t", w.Code, w.Body, w.Flushed)
		}
	})
	t.Run("empty log", func(t *testing.T) {
		w := get(t, "", func(context.Context, string, *corev1.PodLogOptions, io.Writer) error { return nil })
		if w.Code != 200 || w.Body.Len() != 0 {
			t.Errorf("%d %q", w.Code, w.Body)
		}
	})
	t.Run("empty write answers", func(t *testing.T) {
		w := get(t, "", func(_ context.Context, _ string, _ *corev1.PodLogOptions, w io.Writer) error {
			_, err := w.Write(nil)
			return err
		})
		if w.Code != 200 || !w.Flushed {
			t.Errorf("%d, flushed %t", w.Code, w.Flushed)
		}
	})
	t.Run("bad options never arrive", func(t *testing.T) {
		for query, code := range map[string]int{"?tailLines=x": 400, "?tailLines=-1": 422} {
			w := get(t, query, func(context.Context, string, *corev1.PodLogOptions, io.Writer) error {
				t.Error("called with bad options")
				return nil
			})
			if w.Code != code || !strings.Contains(w.Body.String(), "tailLines") {
				t.Errorf("%s: %d %q, want %d", query, w.Code, w.Body, code)
			}
		}
	})
	t.Run("shut down before the log began", func(t *testing.T) {
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		s := newServer(t, func(c *Config) {
			c.Logs = logsFunc(func(ctx context.Context, _ string, _ *corev1.PodLogOptions, _ io.Writer) error { return ctx.Err() })
		})
		r := httptest.NewRequestWithContext(gone, "GET", "/containerLogs/ns/p/c", nil)
		r.Header.Set("User", "jo")
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if w.Code != 503 {
			t.Errorf("%d %q, want 503, not an empty log", w.Code, w.Body)
		}
	})
	t.Run("errors become answers", func(t *testing.T) {
		notFound := apierrors.NewNotFound(corev1.Resource("pods"), "p")
		for _, test := range []struct {
			err  error
			code int
			body string
		}{
			{notFound, 404, "pods \"p\" not found\n"},
			{fmt.Errorf("log: %w", notFound), 404, "log: pods \"p\" not found\n"},
			{apierrors.NewBadRequest("previous terminated container not found"), 400, "previous terminated container not found\n"},
			{errors.New("disk on fire"), 500, "disk on fire\n"},
			{&apierrors.StatusError{}, 500, "\n"},
		} {
			w := get(t, "", func(context.Context, string, *corev1.PodLogOptions, io.Writer) error { return test.err })
			if w.Code != test.code || w.Body.String() != test.body {
				t.Errorf("%v: %d %q, want %d %q", test.err, w.Code, w.Body, test.code, test.body)
			}
		}
	})
}

func TestPanicIsAnswered(t *testing.T) {
	s := newServer(t, func(c *Config) { c.Health = func() error { panic("oops") } })
	if w := serve(s, "GET", "/healthz", "jo"); w.Code != 500 || strings.Contains(w.Body.String(), "oops") {
		t.Errorf("%d %q, want 500 without details", w.Code, w.Body)
	}
}
