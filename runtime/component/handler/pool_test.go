package handler

import (
	"context"
	nethttp "net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/componentengine"
	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/command"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// slowMachine is a machine on the small engine for tests.
type slowMachine struct {
	*componentengine.Engine
	host *command.Host
	open *atomic.Int64
}

func (slowMachine) Thread() (func(), error) { return func() {}, nil }
func (slowMachine) Kill()                   {}
func (slowMachine) OutOfMemory(error) bool  { return false }

func (m slowMachine) Close() {
	_ = m.host.Close() // the guest opens nothing
	m.open.Add(-1)
}

// newPool makes a pool of a guest in hack/guests/wat, and counts its machines that are open.
func newPool(t *testing.T, guest string, settings runtime.HTTP) (p *Pool, open *atomic.Int64) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../../hack/guests/wat", guest+".wat"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := componentengine.Binary(string(text))
	if err != nil {
		t.Fatal(err)
	}
	program, err := command.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	open = new(atomic.Int64)
	p = New(Config{
		Program: program, Settings: settings,
		Make: func(uint64) (Machine, *command.Host, error) {
			engine, err := componentengine.New(program.Plan())
			if err != nil {
				return nil, nil, err
			}
			host, err := command.NewHost(context.Background(), wasi.Config{Mounts: []wasi.Mount{{Host: root, Guest: "/"}}}, nil)
			if err != nil {
				return nil, nil, err
			}
			open.Add(1)
			return slowMachine{engine, host, open}, host, nil
		},
		Ended: func(_ uint64, _ Cause, err error) { t.Errorf("an instance has ended: %v", err) },
	})
	t.Cleanup(p.Close)
	return p, open
}

func ask(p *Pool, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(nethttp.MethodGet, path, nil))
	return w
}

// TestIdleEnds: an instance that answers nothing ends after a while, and the next request finds
// another one.
func TestIdleEnds(t *testing.T) {
	for _, version := range []string{"0.2", "0.3"} {
		t.Run(version, func(t *testing.T) {
			p, open := newPool(t, "http-hello-"+version, runtime.HTTP{Reuse: 10})
			p.idle = 10 * time.Millisecond
			for range 2 {
				if w := ask(p, "/"); w.Code != nethttp.StatusOK || w.Body.String() != "hello\n" {
					t.Errorf("the answer is %d %q", w.Code, w.Body)
				}
				eventually.True(t, "no instance is left", func() bool { return open.Load() == 0 })
			}
			var s runtime.HTTPStats
			if p.AddTo(&s); s.Instances != 0 || s.Cold != 2 || s.Warm != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestLargeRequest: a request that no guest gets is refused before there is an instance.
func TestLargeRequest(t *testing.T) {
	p, open := newPool(t, "http-hello-0.2", runtime.HTTP{})
	if w := ask(p, "/"+strings.Repeat("a", 20_000)); w.Code != nethttp.StatusRequestHeaderFieldsTooLarge || open.Load() != 0 {
		t.Errorf("the answer is %d, with %d instances", w.Code, open.Load())
	}
}
