package probe

import (
	"context"
	"errors"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// grpcHealth asks a server for the health of a service, with the gRPC health checking protocol.
func grpcHealth(ctx context.Context, address, service string, timeout time.Duration) Result {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithUserAgent(probeAgent),
		grpc.WithNoProxy(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return dialer().DialContext(ctx, "tcp", address)
		}))
	if err != nil {
		return failed("error: failed to connect service at %q: %v", address, err)
	}
	defer func() { _ = conn.Close() }() // fails only if the connection is closed already
	answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: service})
	switch code := status.Code(err); {
	case err == nil:
	case code == codes.Unimplemented:
		return failed("error: this server does not implement the grpc health protocol (grpc.health.v1.Health): %s", status.Convert(err).Message())
	case code == codes.DeadlineExceeded || errors.Is(err, context.DeadlineExceeded):
		return failed("timeout: health rpc did not complete within %v", timeout)
	case code == codes.Unavailable:
		return failed("error: failed to connect service at %q: %v", address, err)
	default:
		return failed("error: health rpc probe failed: %v", err)
	}
	if answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return failed("service unhealthy (responded with %q)", answer.GetStatus())
	}
	return Result{OK: true, Output: "service healthy"}
}
