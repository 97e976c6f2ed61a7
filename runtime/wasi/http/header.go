package http

import (
	nethttp "net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// FieldsOf returns the fields of a header that are a guest's, with their names in lower case.
func FieldsOf(h nethttp.Header) []Field {
	n := 0
	for _, values := range h {
		n += len(values)
	}
	fields := make([]Field, 0, n)
	for name, values := range h {
		name = lower(name)
		if IsForbidden(name) {
			continue
		}
		for _, v := range values {
			fields = append(fields, Field{A: name, B: []byte(v)})
		}
	}
	return fields
}

// lowered are names as net/http has them, and as guests expect them.
var lowered = func() map[string]string {
	all := map[string]string{}
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Content-Encoding", "Content-Length",
		"Content-Type", "Cookie", "Date", "Etag", "Expect", "If-Match", "If-Modified-Since", "If-None-Match", "Origin", "Range", "Referer",
		"Te", "Trailer", "Traceparent", "Tracestate", "User-Agent", "X-Forwarded-For", "X-Forwarded-Proto", "X-Request-Id",
	} {
		all[name] = strings.ToLower(name)
	}
	return all
}()

func lower(name string) string {
	if l, ok := lowered[name]; ok {
		return l
	}
	return strings.ToLower(name)
}

// TrailersOf are the fields that may come after a body. Those that say where a message ends, or who
// may have it, count at its beginning only: who joins trailers with headers would believe them.
func TrailersOf(fields []Field) []Field {
	return slices.DeleteFunc(slices.Clone(fields), func(f Field) bool {
		return !httpguts.ValidTrailerHeader(nethttp.CanonicalHeaderKey(f.A))
	})
}
