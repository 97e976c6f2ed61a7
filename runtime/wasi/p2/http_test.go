package p2

import (
	"fmt"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// entries are the fields as text.
func (c *caller) entries(f bindings.Fields) string {
	c.t.Helper()
	var all []string
	for _, e := range must[[]field](c.t)(f.Entries(c.ctx)) {
		all = append(all, e.A+"="+string(e.B))
	}
	return strings.Join(all, " ")
}

// TestFields changes fields, whose names are alike in both cases.
func TestFields(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	f := must[bindings.Fields](t)(c.b.HTTP.NewFields(c.ctx))
	c.want("append", f.Append(c.ctx, "Accept", []byte("a")), nil)
	c.want("append", f.Append(c.ctx, "X-Y", []byte("1")), nil)
	c.want("append", f.Append(c.ctx, "accept", []byte("b")), nil)
	if got := must[[]bindings.FieldValue](t)(f.Get(c.ctx, "ACCEPT")); len(got) != 2 || string(got[1]) != "b" {
		t.Errorf("get: %q", got)
	}
	if got := must[[]bindings.FieldValue](t)(f.Get(c.ctx, "missing")); len(got) != 0 {
		t.Errorf("get: %q", got)
	}
	copied := must[bindings.Fields](t)(f.Clone(c.ctx))
	value := []byte("c")
	c.want("set", f.Set(c.ctx, "Accept", [][]byte{value, []byte("d")}), nil)
	value[0] = '!' // the guest's memory changes after the call
	c.want("delete", f.Delete(c.ctx, "x-y"), nil)
	if has, err := f.Has(c.ctx, "X-Y"); has || err != nil {
		t.Errorf("has: %v, %v", has, err)
	}
	if has, err := f.Has(c.ctx, "aCCept"); !has || err != nil {
		t.Errorf("has: %v, %v", has, err)
	}
	if got := c.entries(f); got != "Accept=c Accept=d" {
		t.Errorf("entries: %s", got)
	}
	if got := c.entries(copied); got != "Accept=a X-Y=1 accept=b" {
		t.Errorf("entries of the copy: %s", got)
	}
	f.Drop()
	copied.Drop()
	c.held()
}

// TestFieldsThatAreRefused has names and values that no field has.
func TestFieldsThatAreRefused(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	f := must[bindings.Fields](t)(c.b.HTTP.NewFields(c.ctx))
	for _, test := range []struct {
		name, value string
		want        bindings.HeaderErrorCase
	}{
		{"", "v", bindings.HeaderErrorInvalidSyntax},
		{"a b", "v", bindings.HeaderErrorInvalidSyntax},
		{"a:", "v", bindings.HeaderErrorInvalidSyntax},
		{"ä", "v", bindings.HeaderErrorInvalidSyntax},
		{"a", "x\r\ny: z", bindings.HeaderErrorInvalidSyntax},
		{"a", "x\x00", bindings.HeaderErrorInvalidSyntax},
		{"Host", "v", bindings.HeaderErrorForbidden},
		{"transfer-ENCODING", "v", bindings.HeaderErrorForbidden},
	} {
		want := headerError(test.want)
		c.want(fmt.Sprintf("append %q", test.name), f.Append(c.ctx, test.name, []byte(test.value)), want)
		c.want(fmt.Sprintf("set %q", test.name), f.Set(c.ctx, test.name, [][]byte{[]byte(test.value)}), want)
		_, err := c.b.HTTP.FieldsFromList(c.ctx, []field{{A: "ok", B: []byte("v")}, {A: test.name, B: []byte(test.value)}})
		c.want(fmt.Sprintf("from-list %q", test.name), err, want)
	}
	c.want("delete", f.Delete(c.ctx, "connection"), headerError(bindings.HeaderErrorForbidden))
	c.want("append too much", f.Append(c.ctx, "a", make([]byte, http.MaxFields)), headerError(bindings.HeaderErrorInvalidSyntax))
	c.want("append too much", f.Append(c.ctx, "a", []byte(strings.Repeat("v", http.MaxFields))), http.ErrSize)
	c.want("set too much", f.Set(c.ctx, "a", make([][]byte, http.MaxFields/http.FieldCost+1)), http.ErrSize)
	f.Drop()
	c.held()
}

// TestFieldsAreBounded makes fields until the guest ends.
func TestFieldsAreBounded(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	var err error
	for range http.MaxObjects + 1 {
		_, err = c.b.HTTP.FieldsFromList(c.ctx, []field{{A: "a", B: []byte(strings.Repeat("v", http.MaxFields/2))}})
		if err != nil {
			break
		}
	}
	c.want("from-list", err, http.ErrSize)
	if _, n := c.h.web.Used(); n > http.MaxAllFields {
		t.Errorf("the guest has %d bytes of fields", n)
	}
	for range http.MaxObjects + 1 {
		if _, err = c.b.HTTP.NewRequestOptions(c.ctx); err != nil {
			break
		}
	}
	c.want("request-options", err, http.ErrObjects)
}

// TestRequests makes a request and has it refused.
func TestRequests(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	headers := must[bindings.Fields](t)(c.b.HTTP.FieldsFromList(c.ctx, []field{{A: "a", B: []byte("v")}}))
	r := must[bindings.OutgoingRequest](t)(c.b.HTTP.NewOutgoingRequest(c.ctx, headers))
	seen := must[bindings.Fields](t)(r.Headers(c.ctx))
	c.want("append", seen.Append(c.ctx, "b", nil), headerError(bindings.HeaderErrorImmutable))
	c.want("delete", seen.Delete(c.ctx, "a"), headerError(bindings.HeaderErrorImmutable))
	if got := c.entries(seen); got != "a=v" {
		t.Errorf("entries: %s", got)
	}
	post := bindings.Method{Case: bindings.MethodPost}
	c.want("set-method", r.SetMethod(c.ctx, post), nil)
	c.want("set-method", r.SetMethod(c.ctx, bindings.Method{Case: bindings.MethodOther, Other: "A B"}), typed.ErrFailed)
	if m, err := r.Method(c.ctx); m != post || err != nil {
		t.Errorf("method: %v, %v", m, err)
	}
	c.want("set-scheme", r.SetScheme(c.ctx, typed.Some(bindings.Scheme{Case: bindings.SchemeHTTPS})), nil)
	c.want("set-scheme", r.SetScheme(c.ctx, typed.Some(bindings.Scheme{Case: bindings.SchemeOther, Other: "a\n"})), typed.ErrFailed)
	c.want("set-authority", r.SetAuthority(c.ctx, typed.Some("example.com:80")), nil)
	c.want("set-authority", r.SetAuthority(c.ctx, typed.Some("")), typed.ErrFailed)
	c.want("set-path-with-query", r.SetPathWithQuery(c.ctx, typed.Some("/a?b")), nil)
	c.want("set-path-with-query", r.SetPathWithQuery(c.ctx, typed.Some("/a b")), typed.ErrFailed)
	c.want("set-path-with-query", r.SetPathWithQuery(c.ctx, typed.Some(strings.Repeat("a", http.MaxText+1))), typed.ErrFailed)
	if p, err := r.PathWithQuery(c.ctx); p != typed.Some("/a?b") || err != nil {
		t.Errorf("path-with-query: %v, %v", p, err)
	}
	if a, err := r.Authority(c.ctx); a != typed.Some("example.com:80") || err != nil {
		t.Errorf("authority: %v, %v", a, err)
	}
	if s, err := r.Scheme(c.ctx); !s.Is || s.Value.Case != bindings.SchemeHTTPS || err != nil {
		t.Errorf("scheme: %v, %v", s, err)
	}
	body := must[bindings.OutgoingBody](t)(r.Body(c.ctx))
	_, err := r.Body(c.ctx)
	c.want("body, again", err, typed.ErrFailed)
	out := must[bindings.OutputStream](t)(body.Write(c.ctx))
	_, err = body.Write(c.ctx)
	c.want("write, again", err, typed.ErrFailed)
	options := must[bindings.RequestOptions](t)(c.b.HTTP.NewRequestOptions(c.ctx))
	c.want("set-connect-timeout", options.SetConnectTimeout(c.ctx, typed.Some[uint64](5)), nil)
	if d, err := options.ConnectTimeout(c.ctx); d != typed.Some[uint64](5) || err != nil {
		t.Errorf("connect-timeout: %v, %v", d, err)
	}
	_, err = c.b.OutgoingHandler.Handle(c.ctx, r, typed.Some(options))
	c.want("handle", err, bindings.HTTPErrorCode{Case: bindings.HTTPErrorCodeHTTPRequestDenied})
	c.want("write", write(c.ctx, out, "text"), errClosed)
	out.Drop()
	c.want("finish", c.b.HTTP.OutgoingBodyFinish(c.ctx, body, typed.Option[bindings.Trailers]{}), nil)
	seen.Drop()
	c.held()
}

// TestResponses makes a response.
func TestResponses(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	r := must[bindings.OutgoingResponse](t)(c.b.HTTP.NewOutgoingResponse(c.ctx, must[bindings.Fields](t)(c.b.HTTP.NewFields(c.ctx))))
	if code, err := r.StatusCode(c.ctx); code != 200 || err != nil {
		t.Errorf("status-code: %d, %v", code, err)
	}
	c.want("set-status-code", r.SetStatusCode(c.ctx, 404), nil)
	c.want("set-status-code", r.SetStatusCode(c.ctx, 99), typed.ErrFailed)
	c.want("set-status-code", r.SetStatusCode(c.ctx, 1000), typed.ErrFailed)
	if code, err := r.StatusCode(c.ctx); code != 404 || err != nil {
		t.Errorf("status-code: %d, %v", code, err)
	}
	r.Drop()
	c.held()
}
