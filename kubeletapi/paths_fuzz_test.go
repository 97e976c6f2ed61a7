package kubeletapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
)

// untouched is a Pods and a Logs that no request may reach.
type untouched struct{ t *testing.T }

func (u untouched) Pods() []*corev1.Pod        { u.t.Error("pods were asked for"); return nil }
func (u untouched) RunningPods() []*corev1.Pod { u.t.Error("running pods were asked for"); return nil }
func (u untouched) ContainerLogs(context.Context, string, string, string, *corev1.PodLogOptions, io.Writer) error {
	u.t.Error("a log was asked for")
	return nil
}

// In whatever form a path is written, a user without rights gets no page, and a stranger gets 401.
func FuzzPaths(f *testing.F) {
	for _, path := range []string{
		"/pods", "//pods", "/pods/../containerLogs/ns/p/c", "/%70ods", "/containerLogs/ns/p/c/../../../../pods", "/healthz%2f..%2fpods",
		"/containerLogs/%2e%2e/p/c", "/runningpods", "/debug/flags/v/", "/./configz", "/exec/ns/p/c?x=y;z", "*", "", "/\x00", "/pods#x",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodConnect, "BREW"} {
			f.Add(method, path)
		}
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		target, err := url.ParseRequestURI(path)
		if err != nil {
			return // no server gets such a path
		}
		none := untouched{t}
		s := newServer(t, func(c *Config) {
			c.Auth, c.Pods, c.Logs, c.Log = &guard{}, none, none, zap.NewNop()
			c.Health = func() error { t.Error("the health was asked for"); return nil }
			c.SetLogLevel = func(string) error { t.Error("the log level was set"); return errors.New("no") }
			c.Profiling = true
		})
		for _, user := range []string{"", "jo"} {
			r := &http.Request{Method: method, URL: target, RequestURI: path, Host: "node", Header: http.Header{"User": {user}}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody}
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			if w.Code < 300 || user == "" && w.Code != http.StatusUnauthorized {
				t.Errorf("%s %q by %q: %d", method, path, user, w.Code)
			}
		}
	})
}
