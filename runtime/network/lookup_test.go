package network

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/names"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// failing is a Resolver that fails.
type failing struct{ err error }

func (f failing) Lookup(context.Context, string) (names.Answer, error) { return names.Answer{}, f.err }

// TestLookupErrors: a guest learns why a lookup has failed, and requests of HTTP the server's code.
func TestLookupErrors(t *testing.T) {
	n := newNetwork(t, newCluster(t), "", runtime.Network{Egress: runtime.Egress{Allow: "*"}})
	late := fmt.Errorf("dialing: %w", context.DeadlineExceeded) // an error of net, that of a server's time
	for _, tt := range []struct {
		failed names.Error
		want   wasi.Error
	}{
		{names.Error{Reason: names.Invalid}, wasi.ErrInvalid},
		{names.Error{Reason: names.Denied}, wasi.ErrAccess},
		{names.Error{Reason: names.NotFound, RCode: "NXDOMAIN"}, wasi.ErrNotExist},
		{names.Error{Reason: names.NoAddress, RCode: "NOERROR"}, wasi.ErrNotExist},
		{names.Error{Reason: names.NoAnswer, Cause: late}, wasi.ErrWouldBlock},
		{names.Error{Reason: names.Failed, RCode: "SERVFAIL"}, wasi.ErrIO},
		{names.Error{Reason: names.TooMany}, wasi.ErrNoBuffers},
		{names.Error{Reason: names.NoServer}, wasi.ErrIO},
	} {
		n.resolver = failing{&tt.failed}
		_, err := n.Lookup(t.Context(), "web")
		if got := wasi.ErrorOf(err); got != tt.want {
			t.Errorf("%v is %v, want %v", &tt.failed, got, tt.want)
		}
		var coded interface{ Rcode() string }
		if !errors.As(err, &coded) || coded.Rcode() != tt.failed.RCode {
			t.Errorf("%v has the code %v, want %q", &tt.failed, coded, tt.failed.RCode)
		}
	}
	n.resolver = failing{context.Canceled}
	if _, err := n.Lookup(t.Context(), "web"); wasi.ErrorOf(err) != 0 {
		t.Errorf("the end of the context is %v", err)
	}
}
