package kubeletapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/krustlet-go/krustlet-wasi/kubeletapi/access"
	"github.com/krustlet-go/krustlet-wasi/kubeletapi/door"
)

type userKey struct{}

// authenticated lets only known users pass.
func (s *Server) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn := connOf(r)
		if conn != nil {
			conn.Asks()
		}
		who, known, err := s.config.Auth.Authenticate(r)
		switch {
		case errors.Is(err, access.ErrTooManyReviews):
			s.refusedTokens.Add(1)
			refuse(w, conn, http.StatusTooManyRequests)
			return
		case err != nil || !known:
			// The level is debug, because strangers can cause any number of these lines.
			s.config.Log.Debug("request not authenticated", zap.String("client", r.RemoteAddr), zap.Error(err))
			refuse(w, conn, http.StatusUnauthorized)
			return
		case conn != nil && !conn.Known(who.GetName()):
			refuse(w, conn, http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, who)))
	})
}

// refuse answers a stranger with an error. The stranger cannot keep the connection. conn is nil if
// the connection did not come through the door.
func refuse(w http.ResponseWriter, conn *door.Conn, code int) {
	w.Header().Set("Connection", "close")
	if code == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", retryAfter)
	}
	http.Error(w, http.StatusText(code), code)
	if conn != nil {
		conn.Refused()
	}
}

type connKey struct{}

// withConn lets requests find the door's part of their connection.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, door.Under(conn))
}

// connOf is the door's part of a request's connection. It is nil if the connection did not come
// through the door.
func connOf(r *http.Request) *door.Conn {
	conn, _ := r.Context().Value(connKey{}).(*door.Conn)
	return conn
}

// certified returns the name of the user of a certificate.
func (s *Server) certified(state *tls.ConnectionState) (string, bool) {
	if len(state.PeerCertificates) == 0 {
		return "", false
	}
	return s.config.Auth.Certified(state)
}

// authorized lets only users pass who may call the route.
func (s *Server) authorized(allowed route, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := r.Context().Value(userKey{}).(user.Info)
		verb := allowed.verb
		if verb == "" {
			verb = verbOf(r.Method)
		}
		for _, subresource := range allowed.subresources {
			ok, err := s.config.Auth.Authorize(r.Context(), who, verb, subresource)
			switch {
			case errors.Is(err, access.ErrTooManyReviews):
				s.refusedAccess.Add(1)
				w.Header().Set("Retry-After", retryAfter)
				http.Error(w, "Too many requests of this user need a decision of the API server", http.StatusTooManyRequests)
				return
			case err != nil:
				s.config.Log.Warn("cannot find out whether a request is allowed", zap.String("user", who.GetName()),
					zap.String("verb", verb), zap.String("subresource", subresource), zap.Error(err))
				http.Error(w, fmt.Sprintf("Authorization error (user=%s, verb=%s, resource=nodes, subresource=%s)",
					who.GetName(), verb, subresource), http.StatusInternalServerError)
				return
			case ok && access.Privileged(subresource):
				s.audited(next, who, verb).ServeHTTP(w, r)
				return
			case ok:
				next.ServeHTTP(w, r)
				return
			}
		}
		s.deniedLog.Info("request denied", append(access.AuditFields(r, who, verb), zap.Int("code", http.StatusForbidden))...)
		http.Error(w, fmt.Sprintf("Forbidden (user=%s, verb=%s, resource=nodes, subresource(s)=%v)",
			who.GetName(), verb, allowed.subresources), http.StatusForbidden)
	})
}

// audited serves the request, and logs one line when it has ended.
func (s *Server) audited(next http.Handler, who user.Info, verb string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		defer func() {
			fields := append(access.AuditFields(r, who, verb), zap.Duration("took", time.Since(began)))
			if answer, ok := w.(*response); ok {
				fields = append(fields, zap.Int("code", answer.code))
			}
			s.auditLog.Info("privileged request", fields...)
		}()
		next.ServeHTTP(w, r)
	})
}

// verbOf is the API verb of a method. It is empty for a method that has no verb; such a request
// needs a right to all verbs.
func verbOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead:
		return "get"
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		return "delete"
	default:
		return ""
	}
}
