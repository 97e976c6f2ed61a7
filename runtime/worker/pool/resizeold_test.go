package pool

import (
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// TestResizeByAnOldWorker: the error says that the worker does not have this call, and what the
// user can do.
func TestResizeByAnOldWorker(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer() // it has no calls
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = workerpb.NewWorkerClient(conn).Resize(t.Context(), &workerpb.ResizeRequest{Id: "r1"})
	const want = "the worker process 7 that hosts the container is of an older build, which cannot resize: restart the container"
	if got := notResized(7, err); got == nil || got.Error() != want {
		t.Errorf("%v", got)
	}
}
