package httpserver

import (
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

const (
	// maxFields is how many lines of fields a request has.
	maxFields = 256
	// allowed are the methods of an answer 405. Methods of other names pass.
	allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
)

// check makes a request ready for the handler. If it is not one for a handler, check returns the
// status of its answer.
func (s *Server) check(r *http.Request, own *conn) (status int) {
	switch {
	case r.Method == "PRI" || r.ProtoMajor == 2 && (own == nil || !own.two.Load()):
		return http.StatusHTTPVersionNotSupported // the beginning of HTTP/2 where that is not spoken
	case r.Method == http.MethodConnect:
		return http.StatusNotImplemented
	case !httpguts.ValidHeaderFieldName(r.Method): // net/http does not look at it in HTTP/2
		return http.StatusBadRequest
	case r.Method == http.MethodTrace: // it would show a script the credentials that a browser adds
		return http.StatusMethodNotAllowed
	}
	fields := 0
	for _, values := range r.Header {
		fields += len(values)
	}
	if fields > maxFields {
		return http.StatusRequestHeaderFieldsTooLarge
	}
	if !named(r) || !target(r) {
		return http.StatusBadRequest
	}
	if r.RequestURI == "*" {
		return http.StatusOK
	}
	if s.settings.MaxBody >= 0 && r.ContentLength > s.settings.MaxBody {
		return http.StatusRequestEntityTooLarge
	}
	dropHopByHop(r.Header)
	return 0
}

// target checks what is asked for, and makes it a path with a query.
func target(r *http.Request) bool {
	uri := r.RequestURI
	if r.ProtoMajor == 1 && uri != "" && uri[0] != '/' && uri != "*" { // absolute: scheme://authority/path
		if scheme := strings.ToLower(r.URL.Scheme); scheme != "http" && scheme != "https" || r.URL.Host == "" || r.URL.User != nil {
			return false
		}
		_, rest, _ := strings.Cut(uri, "://")
		uri = "/"
		if at := strings.IndexAny(rest, "/?"); at >= 0 {
			uri = rest[at:]
		}
		if uri[0] == '?' {
			uri = "/" + uri
		}
		r.RequestURI, r.URL.Scheme, r.URL.Host = uri, "", ""
		if r.URL.Path == "" {
			r.URL.Path = "/"
		}
	}
	if uri == "*" {
		return r.Method == http.MethodOptions
	}
	if uri == "" || uri[0] != '/' {
		return false
	}
	for i := range len(uri) {
		if c := uri[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return false
		}
	}
	return true
}

// named checks the host. HTTP/2 has it in :authority, and a Host field must not differ. It is
// empty only in HTTP/1.0, or if an HTTP/1.1 client says so.
func named(r *http.Request) bool {
	if r.ProtoMajor == 2 {
		if hosts, ok := r.Header["Host"]; ok {
			if len(hosts) != 1 || !strings.EqualFold(hosts[0], r.Host) {
				return false
			}
			delete(r.Header, "Host")
		}
		if r.Host == "" {
			return false
		}
	}
	return r.Host == "" || validHost(r.Host)
}

// validHost reports whether the text is a name or an address, and maybe a port. It has no user.
func validHost(text string) bool {
	host := text
	if i := strings.LastIndexByte(text, ':'); i > strings.LastIndexByte(text, ']') {
		port := text[i+1:]
		if _, err := strconv.ParseUint(port, 10, 16); err != nil && port != "" {
			return false
		}
		host = text[:i]
	}
	more := "-._~!$&'()*+,;=%"
	if inside, ok := strings.CutPrefix(host, "["); ok {
		if host, ok = strings.CutSuffix(inside, "]"); !ok {
			return false
		}
		more = ":.%-_~"
	}
	for i := range len(host) {
		if !isAlnum(host[i]) && strings.IndexByte(more, host[i]) < 0 {
			return false
		}
	}
	return host != ""
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z'
}

// hopByHop are fields that concern only the connection. No upgrade of it is supported.
var hopByHop = [...]string{"Connection", "Keep-Alive", "Proxy-Connection", "Upgrade", "Http2-Settings", "Expect"}

// dropHopByHop removes them. It does not remove what Connection names: that is a proxy's work, and
// a client could remove what a proxy added.
func dropHopByHop(h http.Header) {
	for _, name := range hopByHop {
		delete(h, name)
	}
	if te, ok := h["Te"]; ok && (len(te) != 1 || te[0] != "trailers") {
		delete(h, "Te")
	}
}
