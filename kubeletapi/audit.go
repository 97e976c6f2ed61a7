package kubeletapi

import (
	"net/http"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/apiserver/pkg/authentication/user"
)

// A client may be denied as often as it likes: of denials, this many are logged in each period.
const (
	deniedPeriod = time.Second
	deniedFirst  = 10
)

// newAuditLogs makes the logs of requests that were privileged, and of those that were denied.
func newAuditLogs(log *zap.Logger) (privileged, denied *zap.Logger) {
	privileged = log.Named("audit")
	denied = privileged.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, deniedPeriod, deniedFirst, 0)
	}))
	return privileged, denied
}

// privileged says that who may use a route by this subresource may do more than look at what it names: nodes/proxy is the
// right to run programs in every pod.
func privileged(subresource string) bool { return subresource == "proxy" }

// audited is served, with one line in the log when it has ended.
func (s *Server) audited(next http.Handler, who user.Info, verb string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		defer func() {
			fields := append(auditFields(r, who, verb), zap.Duration("took", time.Since(began)))
			if answer, ok := w.(*response); ok {
				fields = append(fields, zap.Int("code", answer.code))
			}
			s.auditLog.Info("privileged request", fields...)
		}()
		next.ServeHTTP(w, r)
	})
}

// auditFields say who did what. The query is left out: it may hold commands with secrets.
func auditFields(r *http.Request, who user.Info, verb string) []zap.Field {
	fields := []zap.Field{
		zap.String("user", who.GetName()), zap.Strings("groups", who.GetGroups()),
		zap.String("verb", verb), zap.String("method", r.Method), zap.String("path", r.URL.Path),
		zap.String("client", r.RemoteAddr),
	}
	for _, name := range []string{"namespace", "pod", "container"} {
		if value := r.PathValue(name); value != "" {
			fields = append(fields, zap.String(name, value))
		}
	}
	return fields
}
