package testcluster

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// EmptyLists are the names of the Faults that answer with a valid, empty list. A client must
// believe them.
func EmptyLists() []string { return []string{"versions of nonsense", "watches of events"} }

// Faults are kinds of wrong answers, by name. Each one answers every request.
func Faults() map[string]Fault {
	return map[string]Fault{
		"a page of HTML with 500": answer(500, "text/html", "<html><h1>Internal Server Error</h1></html>"),
		"a page of HTML with 404": answer(404, "text/html", "<html><h1>404 page not found</h1></html>"),
		"a page of HTML with 200": answer(200, "text/html", "<html>Log in</html>"),
		"nothing with 200":        answer(200, "application/json", ""),
		"half of JSON":            answer(200, "application/json", `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"5`),
		"half of protobuf":        answer(200, "application/vnd.kubernetes.protobuf", "k8s\x00\n\x0d\n\x02v1\x12"),
		"another kind":            answer(200, "application/json", `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x","resourceVersion":"7"}}`+"\n"),
		"a kind that is none":     answer(200, "application/json", `{"kind":"Nonsense","apiVersion":"example/v9"}`+"\n"),
		"gone":                    answer(410, "application/json", status(410, "Expired")),
		"too many requests":       fault(func(w http.ResponseWriter, _ *http.Request) { retryLater(w, "86400") }),
		"too many, at once again": fault(func(w http.ResponseWriter, _ *http.Request) { retryLater(w, "0") }),
		"unauthorized":            answer(401, "application/json", status(401, "Unauthorized")),
		"forbidden":               answer(403, "application/json", status(403, "Forbidden")),
		"no answer":               fault(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
		"broken off":              fault(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		"a redirect to itself": fault(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.String(), http.StatusTemporaryRedirect)
		}),
		"versions of nonsense": fault(versions("nonsense")),
		"pages without end":    fault(pages),
		"watches of events":    fault(events),
		"answers without end":  fault(endless),
	}
}

func fault(handler http.HandlerFunc) Fault {
	return func(w http.ResponseWriter, r *http.Request) bool { handler(w, r); return true }
}

func answer(code int, kind, text string) Fault {
	return fault(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, text)
	})
}

func status(code int, reason string) string {
	return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d,"message":"a fault"}`, reason, code)
}

func retryLater(w http.ResponseWriter, seconds string) {
	w.Header().Set("Retry-After", seconds)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusTooManyRequests)
	_, _ = io.WriteString(w, status(429, "TooManyRequests"))
}

func isWatch(r *http.Request) bool { return r.URL.Query().Get("watch") != "" }

// emptyList is an empty list of the resource that a path names.
func emptyList(r *http.Request, version, next string) string {
	kind := "PodList"
	switch {
	case strings.HasSuffix(r.URL.Path, "/configmaps"):
		kind = "ConfigMapList"
	case strings.HasSuffix(r.URL.Path, "/nodes"):
		kind = "NodeList"
	}
	return fmt.Sprintf(`{"kind":%q,"apiVersion":"v1","metadata":{"resourceVersion":%q,"continue":%q},"items":[]}`, kind, version, next)
}

// versions answers lists with a version that no API server knows. It answers watches as an API
// server does for such a version.
func versions(version string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if isWatch(r) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, status(400, "BadRequest"))
			return
		}
		_, _ = io.WriteString(w, emptyList(r, version, ""))
	}
}

func pages(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, emptyList(r, "1", "more"))
}

// events sends invalid events to watches, and empty lists.
func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if !isWatch(r) {
		_, _ = io.WriteString(w, emptyList(r, "1", ""))
		return
	}
	for _, e := range []string{
		`{"type":"BOOKMARK","object":null}`,
		`{"type":"MOVED","object":{"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","resourceVersion":"9"}}}`,
	} {
		_, _ = io.WriteString(w, e+"\n")
	}
}

// endless writes an answer that never ends, up to a gigabyte.
func endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	chunk := strings.Repeat("x", 1<<20)
	_, err := io.WriteString(w, `{"type":"ADDED","object":{"kind":"Pod","metadata":{"name":"`)
	for i := 0; i < 1<<10 && err == nil && r.Context().Err() == nil; i++ {
		_, err = io.WriteString(w, chunk)
	}
}
