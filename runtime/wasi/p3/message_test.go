package p3

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

func newHost(t *testing.T) *Host {
	t.Helper()
	g, err := wasi.New(wasi.Config{Confined: true, Mounts: []wasi.Mount{{Host: t.TempDir(), Guest: "/"}}})
	if err != nil {
		t.Fatal(err)
	}
	h := New(t.Context(), g)
	t.Cleanup(func() {
		if err := errors.Join(h.Close(), g.CloseInitial(), g.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return h
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func want(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func headerError(c bindings.HeaderErrorCase) error { return bindings.HeaderError{Case: c} }

// entries are the fields as text.
func entries(t *testing.T, f bindings.Fields) string {
	t.Helper()
	var all []string
	for _, e := range must[[]http.Field](t)(f.CopyAll(t.Context())) {
		all = append(all, e.A+"="+string(e.B))
	}
	return strings.Join(all, " ")
}

// TestFields changes fields. All of a name have the spelling of the first.
func TestFields(t *testing.T) {
	h, ctx := newHost(t), t.Context()
	f := must[bindings.Fields](t)(h.bindings.HTTP.FieldsFromList(ctx, []http.Field{{A: "a", B: []byte("1")}, {A: "B", B: nil}, {A: "A", B: []byte("2")}}))
	if got := entries(t, f); got != "a=1 B= a=2" {
		t.Errorf("the fields are %s", got)
	}
	copied := must[bindings.Fields](t)(f.Clone(ctx))
	if got := must[[][]byte](t)(f.GetAndDelete(ctx, "A")); len(got) != 2 || string(got[1]) != "2" {
		t.Errorf("get-and-delete: %q", got)
	}
	want(t, "set", f.Set(ctx, "c", [][]byte{nil}), nil)
	if got := entries(t, f) + ", " + entries(t, copied); got != "B= c=, a=1 B= a=2" {
		t.Errorf("the fields and their copy are %s", got)
	}
	want(t, "append", f.Append(ctx, "a b", nil), headerError(bindings.HeaderErrorInvalidSyntax))
	want(t, "append", f.Append(ctx, "Host", nil), headerError(bindings.HeaderErrorForbidden))
	want(t, "append", f.Append(ctx, "a", make([]byte, 1)), headerError(bindings.HeaderErrorInvalidSyntax))
	want(t, "append", f.Append(ctx, "a", []byte(strings.Repeat("v", http.MaxFields))), headerError(bindings.HeaderErrorSizeExceeded))
	_, err := f.GetAndDelete(ctx, "")
	want(t, "get-and-delete", err, headerError(bindings.HeaderErrorInvalidSyntax))
	f.Drop()
	copied.Drop()
	if objects, bytes := h.HTTPUsed(); objects != 0 || bytes != 0 {
		t.Errorf("the guest holds %d objects with %d bytes", objects, bytes)
	}
}

// TestFieldsAreBounded makes fields until there are too many, or the guest is killed.
func TestFieldsAreBounded(t *testing.T) {
	h, ctx := newHost(t), t.Context()
	var err error
	for range http.MaxObjects + 1 {
		if _, err = h.bindings.HTTP.FieldsFromList(ctx, nil); err != nil {
			break
		}
	}
	want(t, "from-list", err, headerError(bindings.HeaderErrorSizeExceeded))
	_, err = h.bindings.HTTP.NewFields(ctx)
	want(t, "fields", err, http.ErrObjects)
	_, err = h.bindings.HTTP.NewRequestOptions(ctx)
	want(t, "request-options", err, http.ErrObjects)

	killed, kill := context.WithCancel(ctx)
	kill()
	_, err = newHost(t).bindings.HTTP.FieldsFromList(killed, make([]http.Field, perLook))
	want(t, "from-list", err, headerError(bindings.HeaderErrorInvalidSyntax))
	many := make([]http.Field, perLook)
	for i := range many {
		many[i].A = "a"
	}
	_, err = newHost(t).bindings.HTTP.FieldsFromList(killed, many)
	want(t, "from-list of a killed guest", err, wasi.ErrKilled)
}

func newRequest(t *testing.T, h *Host, options typed.Option[bindings.RequestOptions]) bindings.Request {
	t.Helper()
	headers := must[bindings.Fields](t)(h.bindings.HTTP.FieldsFromList(t.Context(), []http.Field{{A: "a", B: []byte("v")}}))
	made, err := h.bindings.HTTP.RequestNew(t.Context(), headers, typed.Option[byteStream]{}, trailerFuture{}, options)
	if err != nil {
		t.Fatal(err)
	}
	return made.A
}

// TestRequest sets the parts of a request.
func TestRequest(t *testing.T) {
	h, ctx := newHost(t), t.Context()
	r := newRequest(t, h, typed.Option[bindings.RequestOptions]{})
	headers := must[bindings.Fields](t)(r.GetHeaders(ctx))
	want(t, "append", headers.Append(ctx, "b", nil), headerError(bindings.HeaderErrorImmutable))
	if got := entries(t, headers); got != "a=v" {
		t.Errorf("the headers are %s", got)
	}
	for _, test := range []struct {
		set, want bindings.Method
		err       error
	}{
		{bindings.Method{Case: bindings.MethodPost}, bindings.Method{Case: bindings.MethodPost}, nil},
		{bindings.Method{Case: bindings.MethodOther, Other: "PATCH"}, bindings.Method{Case: bindings.MethodPatch}, nil},
		{bindings.Method{Case: bindings.MethodOther, Other: "get"}, bindings.Method{Case: bindings.MethodOther, Other: "get"}, nil},
		{bindings.Method{Case: bindings.MethodOther, Other: "A B"}, bindings.Method{Case: bindings.MethodOther, Other: "get"}, typed.ErrFailed},
	} {
		want(t, "set-method", r.SetMethod(ctx, test.set), test.err)
		if got := must[bindings.Method](t)(r.GetMethod(ctx)); got != test.want {
			t.Errorf("the method is %v, want %v", got, test.want)
		}
	}
	other := func(s string) typed.Option[bindings.Scheme] {
		return typed.Some(bindings.Scheme{Case: bindings.SchemeOther, Other: s})
	}
	want(t, "set-scheme", r.SetScheme(ctx, other("https")), nil)
	want(t, "set-scheme", r.SetScheme(ctx, other("1")), typed.ErrFailed)
	if got := must[typed.Option[bindings.Scheme]](t)(r.GetScheme(ctx)); got != typed.Some(bindings.Scheme{Case: bindings.SchemeHTTPS}) {
		t.Errorf("the scheme is %v", got)
	}
	want(t, "set-authority", r.SetAuthority(ctx, typed.Some("host:80")), nil)
	want(t, "set-authority", r.SetAuthority(ctx, typed.Some("")), typed.ErrFailed)
	want(t, "set-authority", r.SetAuthority(ctx, typed.Option[string]{}), nil)
	for _, test := range [][2]string{{"/a?b", "/a?b"}, {"", "/"}} {
		want(t, "set-path-with-query", r.SetPathWithQuery(ctx, typed.Some(test[0])), nil)
		if got := must[typed.Option[string]](t)(r.GetPathWithQuery(ctx)); got != typed.Some(test[1]) {
			t.Errorf("the path is %v, want %s", got, test[1])
		}
	}
	want(t, "set-path-with-query", r.SetPathWithQuery(ctx, typed.Some("/ ")), typed.ErrFailed)
	want(t, "set-path-with-query", r.SetPathWithQuery(ctx, typed.Some(strings.Repeat("a", http.MaxText+1))), typed.ErrFailed)
	want(t, "set-path-with-query", r.SetPathWithQuery(ctx, typed.Option[string]{}), nil)
	want(t, "set-method", r.SetMethod(ctx, bindings.Method{Case: bindings.MethodOptions}), nil)
	want(t, "set-path-with-query", r.SetPathWithQuery(ctx, typed.Some("")), nil)
	if got := must[typed.Option[string]](t)(r.GetPathWithQuery(ctx)); got != typed.Some("") {
		t.Errorf("the path of OPTIONS is %v", got)
	}
}

// TestOptions sets options, which a request shows as they were.
func TestOptions(t *testing.T) {
	h, ctx := newHost(t), t.Context()
	o := must[bindings.RequestOptions](t)(h.bindings.HTTP.NewRequestOptions(ctx))
	want(t, "set-connect-timeout", o.SetConnectTimeout(ctx, typed.Some[uint64](1)), nil)
	copied := must[bindings.RequestOptions](t)(o.Clone(ctx))
	want(t, "set-first-byte-timeout", copied.SetFirstByteTimeout(ctx, typed.Some[uint64](2)), nil)
	want(t, "set-between-bytes-timeout", copied.SetBetweenBytesTimeout(ctx, typed.Some[uint64](3)), nil)
	r := newRequest(t, h, typed.Some(copied))
	seen := must[typed.Option[bindings.RequestOptions]](t)(r.GetOptions(ctx)).Value
	a, b, c := must[typed.Option[uint64]](t)(seen.GetConnectTimeout(ctx)), must[typed.Option[uint64]](t)(seen.GetFirstByteTimeout(ctx)),
		must[typed.Option[uint64]](t)(seen.GetBetweenBytesTimeout(ctx))
	if a.Value != 1 || b.Value != 2 || c.Value != 3 {
		t.Errorf("the options are %v, %v, %v", a, b, c)
	}
	immutable := bindings.RequestOptionsError{Case: bindings.RequestOptionsErrorImmutable}
	want(t, "set-connect-timeout", seen.SetConnectTimeout(ctx, a), immutable)
	want(t, "set-between-bytes-timeout", seen.SetBetweenBytesTimeout(ctx, a), immutable)
	if got := must[typed.Option[uint64]](t)(o.GetFirstByteTimeout(ctx)); got.Is {
		t.Error("a change of the copy changed the options")
	}
}

// TestStatus sets the status of a response.
func TestStatus(t *testing.T) {
	h, ctx := newHost(t), t.Context()
	headers := must[bindings.Fields](t)(h.bindings.HTTP.NewFields(ctx))
	made, err := h.bindings.HTTP.ResponseNew(ctx, headers, typed.Option[byteStream]{}, trailerFuture{})
	want(t, "response", err, nil)
	for _, bad := range []uint16{0, 99, 600} {
		want(t, "set-status-code", made.A.SetStatusCode(ctx, bad), typed.ErrFailed)
	}
	if got := must[uint16](t)(made.A.GetStatusCode(ctx)); got != 200 {
		t.Errorf("the status is %d", got)
	}
	want(t, "set-status-code", made.A.SetStatusCode(ctx, 404), nil)
	if got := must[uint16](t)(made.A.GetStatusCode(ctx)); got != 404 {
		t.Errorf("the status is %d", got)
	}
}
