package wasmtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// grpcSite is a guest that serves gRPC, with a client.
type grpcSite struct {
	*site
	conn *grpc.ClientConn
}

func newGRPCSite(t *testing.T) *grpcSite {
	t.Helper()
	s := newSite(t, newEngine(t), "http-grpc-0.2", runtime.HTTP{})
	conn, err := grpc.NewClient("passthrough:///"+strings.TrimPrefix(s.url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &grpcSite{s, conn}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func (s *grpcSite) stream(ctx context.Context, method string) (grpc.ClientStream, error) {
	return s.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.Echo/"+method)
}

func receive(stream grpc.ClientStream) (string, error) {
	var got wrapperspb.StringValue
	err := stream.RecvMsg(&got)
	return got.GetValue(), err
}

// TestHandlerGRPC: a client of gRPC talks to a guest, by HTTP/2 without TLS: one message each way,
// several from the guest, and both at a time.
func TestHandlerGRPC(t *testing.T) {
	s := newGRPCSite(t)
	long := strings.Repeat("0123456789", 2000)
	for _, text := range []string{"hello", "", long} {
		var got wrapperspb.StringValue
		if err := s.conn.Invoke(within(t), "/test.Echo/Echo", wrapperspb.String(text), &got); err != nil || got.Value != text {
			t.Errorf("one message of %d bytes: %.30q %v", len(text), got.Value, err)
		}
	}

	stream, err := s.stream(within(t), "Repeat")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(stream.SendMsg(wrapperspb.String(long)), stream.CloseSend()); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if got, err := receive(stream); got != long || err != nil {
			t.Errorf("message %d of the stream: %d bytes, %v", i, len(got), err)
		}
	}
	if got, err := receive(stream); !errors.Is(err, io.EOF) {
		t.Errorf("behind the last message: %q %v", got, err)
	}

	if stream, err = s.stream(within(t), "Echo"); err != nil {
		t.Fatal(err)
	}
	for i := range 5 { // each message is answered before the next one is sent
		text := fmt.Sprintf("message %d", i)
		if err := stream.SendMsg(wrapperspb.String(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := receive(stream); got != text || err != nil {
			t.Fatalf("%s: %q %v", text, got, err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := receive(stream); !errors.Is(err, io.EOF) {
		t.Errorf("the end of the stream: %v", err)
	}
}

// TestHandlerGRPCErrors: the status of a guest, and of what happens to it, arrives at the client.
func TestHandlerGRPCErrors(t *testing.T) {
	s := newGRPCSite(t)
	var got wrapperspb.StringValue
	err := s.conn.Invoke(within(t), "/test.Echo/Fail", wrapperspb.String("x"), &got)
	if status.Code(err) != codes.NotFound || status.Convert(err).Message() != "no such thing" {
		t.Errorf("the guest's status: %v", err)
	}

	// The guest traps at more than 64 KiB, before it has answered.
	err = s.conn.Invoke(within(t), "/test.Echo/Repeat", wrapperspb.String(strings.Repeat("x", 70_000)), &got)
	if c := status.Code(err); c != codes.Unknown && c != codes.Internal && c != codes.Unavailable {
		t.Errorf("a guest that traps: %v", err)
	}

	ctx, cancel := context.WithCancel(within(t))
	stream, err := s.stream(ctx, "Echo")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(wrapperspb.String("hello")); err != nil {
		t.Fatal(err)
	}
	if got, err := receive(stream); got != "hello" || err != nil {
		t.Fatalf("%q %v", got, err)
	}
	cancel()
	soon(t, func() error {
		if h := s.stats(); h.Active != 0 {
			return fmt.Errorf("the client has gone, and %d requests are under way", h.Active)
		}
		return nil
	})

	ctx, cancel = context.WithTimeout(within(t), 100*time.Millisecond)
	defer cancel()
	if stream, err = s.stream(ctx, "Echo"); err == nil {
		_, err = receive(stream)
	}
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("a deadline: %v", err)
	}
	if err := s.conn.Invoke(within(t), "/test.Echo/Echo", wrapperspb.String("still there"), &got); err != nil || got.Value != "still there" {
		t.Errorf("after all that: %q %v", got.Value, err)
	}
}
