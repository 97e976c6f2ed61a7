package access

import (
	"net/http"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/apiserver/pkg/authentication/user"
)

// A client may be denied as often as it likes. So only this many denials are logged in each period.
const (
	deniedPeriod = time.Second
	DeniedFirst  = 10
)

// NewAuditLogs makes two logs: of privileged requests, and of denied requests.
func NewAuditLogs(log *zap.Logger) (privileged, denied *zap.Logger) {
	privileged = log.Named("audit")
	denied = privileged.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, deniedPeriod, DeniedFirst, 0)
	}))
	return privileged, denied
}

// Privileged reports whether a subresource lets a user do more than read the page of a route.
// nodes/proxy is the right to run programs in every pod.
func Privileged(subresource string) bool { return subresource == "proxy" }

// AuditFields say who did what. They do not have the query, because it may hold commands with
// secrets.
func AuditFields(r *http.Request, who user.Info, verb string) []zap.Field {
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
