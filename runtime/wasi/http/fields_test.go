package http_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
)

func newFields(t *testing.T, r *http.Room) *http.Fields {
	t.Helper()
	f, err := http.NewFields(r)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func want(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// TestFields changes fields, and looks at a view and a copy of them.
func TestFields(t *testing.T) {
	var r http.Room
	f := newFields(t, &r)
	value := []byte("1")
	want(t, "append", f.Append("Name", value), nil)
	value[0] = '!' // the guest's memory changes after the call
	if got := f.Spelling("nAME"); got != "Name" {
		t.Errorf("spelling: %s", got)
	}
	view, err := f.View()
	want(t, "view", err, nil)
	copied, err := view.Clone()
	want(t, "clone", err, nil)
	want(t, "delete", f.Delete("name"), nil)
	want(t, "append to the view", view.Append("a", nil), http.ErrImmutable)
	want(t, "append to the copy", copied.Append("a", nil), nil)
	if got := view.Get("NAME"); f.Has("name") || len(got) != 1 || string(got[0]) != "1" || len(view.Entries()) != 1 {
		t.Errorf("the view has %q", got)
	}
	f.Freeze()
	want(t, "append", f.Append("a", nil), http.ErrImmutable)
	for _, f := range []*http.Fields{f, view, copied} {
		f.Drop()
	}
	if objects, bytes := r.Used(); objects != 0 || bytes != 0 {
		t.Errorf("%d objects with %d bytes are left", objects, bytes)
	}
}

// TestReceived has the fields of a message that came.
func TestReceived(t *testing.T) {
	var r http.Room
	list := []http.Field{{A: "Host", B: []byte("h")}}
	f, err := http.Received(&r, list)
	want(t, "received", err, nil)
	want(t, "append", f.Append("a", nil), http.ErrImmutable)
	if _, bytes := r.Used(); bytes == 0 || !http.Fits(list) || len(f.Get("host")) != 1 {
		t.Errorf("the fields have %d bytes in the room", bytes)
	}
	f.Drop()
	if http.Fits(make([]http.Field, http.MaxFields/http.FieldCost+1)) {
		t.Error("too many fields fit")
	}
}

// TestRefused has names and values that no field has.
func TestRefused(t *testing.T) {
	f := newFields(t, &http.Room{})
	want(t, "a space", f.Append("a b", nil), http.ErrSyntax)
	want(t, "no name", f.Append("", nil), http.ErrSyntax)
	want(t, "a line", f.Append("a", []byte("x\r\ny: z")), http.ErrSyntax)
	want(t, "host", f.Append("Host", nil), http.ErrForbidden)
	want(t, "too much", f.Append("a", []byte(strings.Repeat("v", http.MaxFields))), http.ErrSize)
	want(t, "too much", f.Set("a", make([][]byte, http.MaxFields/http.FieldCost+1)), http.ErrSize)
	want(t, "a long name", f.Append(strings.Repeat("n", http.MaxFields+1), nil), http.ErrSyntax)
}

// TestBounds makes objects and texts until the room is full.
func TestBounds(t *testing.T) {
	var r http.Room
	f := newFields(t, &r)
	want(t, "append", f.Append("a", []byte(strings.Repeat("v", http.MaxFields/2))), nil)
	var err error
	for range http.MaxObjects {
		if _, err = f.Clone(); err != nil {
			break
		}
	}
	want(t, "clone", err, http.ErrSize)
	texts := http.NewTexts(&r)
	want(t, "replace", texts.Replace("", strings.Repeat("t", http.MaxFields)), http.ErrSize)
	texts.Drop()
	for range http.MaxObjects {
		if _, err = http.NewFields(&r); err != nil {
			break
		}
	}
	want(t, "new", err, http.ErrObjects)
}

// TestSyntax has parts of requests.
func TestSyntax(t *testing.T) {
	long := strings.Repeat("a", http.MaxText+1)
	for _, test := range []struct {
		what       string
		is         func(string) bool
		good, bads []string
	}{
		{"method", http.IsMethod, []string{"GET", "a!~"}, []string{"", "A B", "ä", long}},
		{"part", http.IsPart, []string{"/a?b", "ä"}, []string{"", "a b", "\x7f", "\n", long}},
		{"path", http.IsPath, []string{"/", "a/../b", "?a[]=ä"}, []string{"", "/ ", "/a#b", "/<", "/`"}},
		{"scheme", http.IsScheme, []string{"http", "a+b-c.1"}, []string{"", "1a", "a:", "a\n", "é", long}},
		{"authority", http.IsAuthority, []string{
			"1.2.3.4", "example.com:80", "localhost:", "user:pass%20@localhost:80", "[2001:db8::1]", "u@[::1]:80",
		}, []string{
			"", "::", ":@", "@@", "@:", " ", "#", "[", "[]", "[::1", "::1]", "localhost:what", "localhost:65536", "a:+1", "a@", long,
		}},
	} {
		for _, text := range test.good {
			if !test.is(text) {
				t.Errorf("%q is no %s", text, test.what)
			}
		}
		for _, text := range test.bads {
			if test.is(text) {
				t.Errorf("%.20q is a %s", text, test.what)
			}
		}
	}
}
