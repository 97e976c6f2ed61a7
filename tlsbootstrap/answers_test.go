package tlsbootstrap

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// clientOfHandler returns a client whose API server is the handler.
func clientOfHandler(t *testing.T, within time.Duration, handler http.HandlerFunc) kubernetes.Interface {
	t.Helper()
	srv := httptest.NewUnstartedServer(handler)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	t.Cleanup(srv.CloseClientConnections)
	config := &rest.Config{Host: srv.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	config.Wrap(func(inner http.RoundTripper) http.RoundTripper { return answers{inner, within} })
	return clientOf(t, config)
}

// endless writes until the client stops reading, and counts the bytes.
func endless(w http.ResponseWriter, r *http.Request, begin []byte, sent *int64) {
	chunk := bytes.Repeat([]byte{'x'}, 1<<20)
	_, err := w.Write(begin)
	for err == nil && r.Context().Err() == nil && *sent < 4<<30 {
		_, err = w.Write(chunk)
		*sent += int64(len(chunk))
	}
}

// TestAnswersAreBounded: a node reads a bounded number of bytes, whatever the API server sends.
//
// docs/security.md: "an answer to 96 MiB, an event of a watch to 16 MiB"
// docs/security.md: "But what it sends is bounded, so that one that is broken, or a proxy before
// it, does not take the node with it"
func TestAnswersAreBounded(t *testing.T) {
	proto := binary.BigEndian.AppendUint32(nil, 1<<31)
	for name, tt := range map[string]struct {
		kind  string
		begin []byte
		watch bool
	}{
		"a list in JSON":         {"application/json", []byte(`{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"`), false},
		"a list in protobuf":     {runtime.ContentTypeProtobuf, []byte("k8s\x00"), false},
		"a page":                 {"text/html", []byte("<html>"), false},
		"an event in JSON":       {"application/json", []byte(`{"type":"ADDED","object":{"metadata":{"name":"`), true},
		"an event in protobuf":   {runtime.ContentTypeProtobuf + ";stream=watch", proto, true},
		"an event of no kind":    {"", []byte(`{"type":"`), true},
		"an event behind others": {"application/json", []byte(strings.Repeat(`{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":{}}}`+"\n", 1000) + `{"type":"`), true},
	} {
		t.Run(name, func(t *testing.T) {
			var sent int64
			client := clientOfHandler(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", tt.kind)
				endless(w, r, tt.begin, &sent)
			})
			var before, after goruntime.MemStats
			goruntime.ReadMemStats(&before)
			if tt.watch {
				w, err := client.CoreV1().Pods("").Watch(t.Context(), metav1.ListOptions{})
				if err == nil {
					for e := range w.ResultChan() {
						if e.Type != watch.Error && e.Type != watch.Bookmark {
							t.Errorf("an event %v", e.Type)
						}
					}
				}
			} else if _, err := client.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{}); err == nil {
				t.Error("it was taken")
			}
			goruntime.ReadMemStats(&after)
			most := int64(maxAnswer)
			if tt.watch {
				most = maxEvent
			}
			if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > 8*most {
				t.Errorf("%d MiB were allocated", grown>>20)
			}
		})
	}
}

// docs/security.md: "a call to 20 seconds"
func TestAnswersAreBoundedInTime(t *testing.T) {
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	half := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"kind":`)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	get := func(ctx context.Context, c kubernetes.Interface) error {
		_, err := c.CoreV1().Nodes().Get(ctx, "n", metav1.GetOptions{})
		return err
	}
	follow := func(ctx context.Context, c kubernetes.Interface) error {
		_, err := c.CoreV1().Nodes().Watch(ctx, metav1.ListOptions{})
		return err
	}
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		call   func(context.Context, kubernetes.Interface) error
	}{
		"no answer":       {silent, get},
		"half an answer":  {half, get},
		"no watch begins": {silent, follow},
	} {
		t.Run(name, func(t *testing.T) {
			client := clientOfHandler(t, 200*time.Millisecond, tt.answer)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if err := tt.call(ctx, client); !errors.Is(err, errNoAnswer) {
				t.Errorf("it ends with %v", err)
			}
		})
	}
	t.Run("a watch lasts", func(t *testing.T) {
		const within = 200 * time.Millisecond
		client := clientOfHandler(t, within, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(5 * within): // the test is that a watch may be silent for longer
				_, _ = io.WriteString(w, `{"type":"BOOKMARK","object":{"kind":"Node","apiVersion":"v1","metadata":{"resourceVersion":"1"}}}`+"\n")
			}
		})
		w, err := client.CoreV1().Nodes().Watch(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
		if e := <-w.ResultChan(); e.Type != watch.Bookmark {
			t.Errorf("event %+v", e)
		}
	})
}

// TestRetryAfterIsBounded: an API server cannot make a call of the node sleep for a day.
// docs/security.md: "a `Retry-After` to 10 seconds."
func TestRetryAfterIsBounded(t *testing.T) {
	for said, want := range map[string]string{"86400": "10", "7": "7", "": "", "soon": "soon", "-5": "-5"} {
		h := http.Header{}
		if said != "" {
			h.Set("Retry-After", said)
		}
		if capRetryAfter(h); h.Get("Retry-After") != want {
			t.Errorf("%q becomes %q", said, h.Get("Retry-After"))
		}
	}
}
