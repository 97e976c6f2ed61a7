package probe

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const patience = 10 * time.Second

func site() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s|%s|%s|%s", r.Host, r.UserAgent(), r.Header.Get("Accept"), r.Header.Get("X-Custom"))
	})
	mux.HandleFunc("/code/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.PathValue("n"))
		w.WriteHeader(n)
		_, _ = fmt.Fprint(w, "secret")
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, strings.Repeat("x", 100<<10)) })
	mux.Handle("/near", http.RedirectHandler("/code/500", http.StatusFound))
	mux.Handle("/far", http.RedirectHandler("http://elsewhere.test/", http.StatusFound))
	mux.Handle("/round", http.RedirectHandler("/round", http.StatusFound))
	mux.HandleFunc("/never", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	return mux
}

// at splits a server's URL into host and port.
func at(t *testing.T, raw string) (string, int) {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return u.Hostname(), port
}

func get(t *testing.T, server, path string, timeout time.Duration, change func(*corev1.HTTPGetAction)) (Result, error) {
	t.Helper()
	host, port := at(t, server)
	action := &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(int32(port))}
	if change != nil {
		change(action)
	}
	c := &corev1.Container{Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: int32(port)}}}
	return Network(t.Context(), corev1.ProbeHandler{HTTPGet: action}, c, host, timeout)
}

func TestHTTP(t *testing.T) {
	plain, secure := httptest.NewServer(site()), httptest.NewTLSServer(site())
	defer plain.Close()
	defer secure.Close()
	for name, tt := range map[string]struct {
		path    string
		change  func(*corev1.HTTPGetAction)
		ok      bool
		warning bool
		output  string // a part of the output
	}{
		"well":            {"/ok", nil, true, false, "|kube-probe/1.36|*/*|"},
		"by name":         {"/ok", func(a *corev1.HTTPGetAction) { a.Port = intstr.FromString("web") }, true, false, ""},
		"last good code":  {"/code/399", nil, true, true, "Probe terminated redirects, Response body: secret"},
		"first bad code":  {"/code/400", nil, false, false, "HTTP probe failed with statuscode: 400"},
		"redirect near":   {"/near", nil, false, false, "HTTP probe failed with statuscode: 500"},
		"redirect far":    {"/far", nil, true, true, "Probe terminated redirects"},
		"redirect always": {"/round", nil, false, false, "stopped after 10 redirects"},
		"HTTPS":           {"/ok", func(a *corev1.HTTPGetAction) { a.Scheme = "HTTPS"; useServer(t, a, secure.URL) }, true, false, ""},
		"HTTPS to HTTP":   {"/ok", func(a *corev1.HTTPGetAction) { a.Scheme = "HTTPS" }, false, false, "server gave HTTP response to HTTPS client"},
		"headers": {"/ok", func(a *corev1.HTTPGetAction) {
			a.HTTPHeaders = []corev1.HTTPHeader{{Name: "Host", Value: "a.test"}, {Name: "X-Custom", Value: "1"}, {Name: "User-Agent", Value: "me"}, {Name: "accept", Value: ""}}
		}, true, false, "a.test|me||1"},
		"another host": {"/ok", func(a *corev1.HTTPGetAction) { a.Host = "127.255.255.254" }, false, false, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := get(t, plain.URL, tt.path, patience, tt.change)
			if err != nil || got.OK != tt.ok || got.Warning != tt.warning || !strings.Contains(got.Output, tt.output) {
				t.Errorf("%+v %v, want %+v", got, err, tt)
			}
			if strings.Contains(got.Output, "secret") && !tt.warning {
				t.Error("a failure's message has the response's body")
			}
		})
	}
	if got, _ := get(t, plain.URL, "/big", patience, nil); len(got.Output) != bodyLimit {
		t.Errorf("%d bytes of the body are kept", len(got.Output))
	}
	if got, err := get(t, plain.URL, "/never", 50*time.Millisecond, nil); err != nil || got.OK || !strings.Contains(got.Output, "context deadline exceeded") {
		t.Errorf("a server that does not answer: %+v %v", got, err)
	}
	if _, err := get(t, plain.URL, "/ok", patience, func(a *corev1.HTTPGetAction) { a.Port = intstr.FromString("nope") }); err == nil {
		t.Error("a port that is not there is taken")
	}
}

func useServer(t *testing.T, a *corev1.HTTPGetAction, raw string) {
	host, port := at(t, raw)
	a.Host, a.Port = host, intstr.FromInt32(int32(port))
}

func TestHook(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path+" "+r.UserAgent()+" "+r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusTeapot)
	}))
	defer server.Close()
	host, port := at(t, server.URL)
	action := &corev1.HTTPGetAction{Path: "/x", Port: intstr.FromInt32(int32(port)), HTTPHeaders: []corev1.HTTPHeader{{Name: "Authorization", Value: "s"}}}
	if plain, err := Hook(t.Context(), action, &corev1.Container{}, host); err != nil || plain != "" {
		t.Errorf("any response will do: %q %v", plain, err)
	}
	action.Scheme = corev1.URISchemeHTTPS
	if plain, err := Hook(t.Context(), action, &corev1.Container{}, host); err != nil || plain != strings.TrimPrefix(server.URL, "http://") {
		t.Errorf("HTTPS to an HTTP server: %q %v", plain, err)
	}
	if want := "[/x kube-lifecycle/1.36 s /x kube-lifecycle/1.36 ]"; fmt.Sprint(asked) != want {
		t.Errorf("asked %v, want %v", asked, want)
	}
	server.Close()
	if _, err := Hook(t.Context(), action, &corev1.Container{}, host); err == nil {
		t.Error("no server listens, and the hook succeeds")
	}
}

func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	handler := corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(int32(port))}}
	ask := func() Result {
		got, err := Network(t.Context(), handler, &corev1.Container{}, "127.0.0.1", patience)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := ask(); !got.OK {
		t.Errorf("a port that is open: %+v", got)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := ask(); got.OK || !strings.Contains(got.Output, "connection refused") {
		t.Errorf("a port that is shut: %+v", got)
	}
}

func TestGRPC(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, well := grpc.NewServer(), health.NewServer()
	healthpb.RegisterHealthServer(server, well)
	go func() { _ = server.Serve(l) }()
	defer server.Stop()
	well.SetServingStatus("sick", healthpb.HealthCheckResponse_NOT_SERVING)
	bare := grpc.NewServer()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = bare.Serve(other) }()
	defer bare.Stop()
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // accepts connections, and sends nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = deaf.Close() }()
	for name, tt := range map[string]struct {
		to      net.Listener
		service string
		timeout time.Duration
		ok      bool
		output  string
	}{
		"well":          {l, "", patience, true, "service healthy"},
		"sick":          {l, "sick", patience, false, `service unhealthy (responded with "NOT_SERVING")`},
		"unknown":       {l, "x", patience, false, "error: health rpc probe failed"},
		"not supported": {other, "", patience, false, "error: this server does not implement the grpc health protocol"},
		"deaf":          {deaf, "", 50 * time.Millisecond, false, "timeout: health rpc did not complete within 50ms"},
	} {
		t.Run(name, func(t *testing.T) {
			handler := corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: int32(tt.to.Addr().(*net.TCPAddr).Port), Service: &tt.service}}
			got, err := Network(t.Context(), handler, &corev1.Container{}, "127.0.0.1", tt.timeout)
			if err != nil || got.OK != tt.ok || !strings.HasPrefix(got.Output, tt.output) {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
}

// TestCancelled: a probe ends with its context, long before its timeout.
func TestCancelled(t *testing.T) {
	server := httptest.NewServer(site())
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	host, port := at(t, server.URL)
	handler := corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/never", Port: intstr.FromInt32(int32(port))}}
	if got, err := Network(ctx, handler, &corev1.Container{}, host, time.Hour); err != nil || got.OK {
		t.Errorf("%+v %v", got, err)
	}
}
