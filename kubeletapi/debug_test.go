package kubeletapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProfiling(t *testing.T) {
	on := newServer(t, func(c *Config) { c.Profiling = true })
	for target, say := range map[string]string{
		"/debug/pprof/":                  "goroutine",
		"/debug/pprof/cmdline":           "kubeletapi.test",
		"/debug/pprof/goroutine?debug=1": "goroutine profile",
		"/debug/pprof/symbol":            "num_symbols",
	} {
		if w := serve(on, "GET", target, "jo"); w.Code != 200 || !strings.Contains(w.Body.String(), say) {
			t.Errorf("%s: %d, without %q", target, w.Code, say)
		}
		if w := serve(newServer(t, nil), "GET", target, "jo"); w.Code != 405 || !strings.Contains(w.Body.String(), "--enable-profiling-handler") {
			t.Errorf("%s, not asked for: %d %q", target, w.Code, w.Body)
		}
	}
	if w := serve(on, "GET", "/debug/pprof/nothing", "jo"); w.Code != 404 {
		t.Errorf("a profile that is not there: %d", w.Code)
	}
}

func TestLogLevel(t *testing.T) {
	var set []string
	s := newServer(t, func(c *Config) {
		c.SetLogLevel = func(level string) error {
			if level != "debug" {
				return fmt.Errorf("%q is not a log level", level)
			}
			set = append(set, level)
			return nil
		}
	})
	put := func(s *Server, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPut, "/debug/flags/v", strings.NewReader(body))
		r.Header.Set("User", "jo")
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		return w
	}
	for _, test := range []struct {
		body string
		code int
		say  string
	}{
		{"debug\n", 200, "the log level is now debug\n"},
		{"loud", 400, `"loud" is not a log level`},
		{"", 400, `"" is not a log level`},
		{strings.Repeat("x", maxBody+1), 413, "larger than"},
	} {
		if w := put(s, test.body); w.Code != test.code || !strings.Contains(w.Body.String(), test.say) {
			t.Errorf("%.20q: %d %q, want %d %q", test.body, w.Code, w.Body, test.code, test.say)
		}
	}
	if len(set) != 1 {
		t.Errorf("it was set %d times", len(set))
	}
	if w := put(newServer(t, nil), "debug"); w.Code != 405 || !strings.Contains(w.Body.String(), "--enable-debug-flags-handler") {
		t.Errorf("not asked for: %d %q", w.Code, w.Body)
	}
	r := httptest.NewRequest(http.MethodPut, "/debug/flags/v", &broken{})
	r.Header.Set("User", "jo")
	w := httptest.NewRecorder()
	if s.handler.ServeHTTP(w, r); w.Code != 400 {
		t.Errorf("a body that breaks off: %d %q", w.Code, w.Body)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("gone") }

func TestConfigz(t *testing.T) {
	want := map[string]any{"kubeletconfig": map[string]any{"port": 3000.0}}
	w := serve(newServer(t, func(c *Config) { c.Configuration = want }), "GET", "/configz", "jo")
	var got map[string]any
	if err := json.NewDecoder(bytes.NewReader(w.Body.Bytes())).Decode(&got); err != nil || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%v, %s", err, w.Header().Get("Content-Type"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
