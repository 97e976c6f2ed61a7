package http_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
)

// newExchange returns an exchange, and how often its server was told.
func newExchange() (e *http.Exchange, told *int) {
	told = new(int)
	e = &http.Exchange{Method: "GET", Body: &http.Pipe{}, Answer: &http.Pipe{Lazy: true}}
	e.OnChange(func() {
		_, _, _ = e.Next() // the server may look at once
		*told++
	})
	return e, told
}

// TestAnswer answers: the server is told when the guest publishes, and once.
func TestAnswer(t *testing.T) {
	e, told := newExchange()
	e.Publish()
	want(t, "respond", e.Respond(http.Head{Status: 200}), nil)
	if _, err := e.Answer.Write([]byte("text")); err != nil || *told != 0 || !e.Answered() {
		t.Errorf("write: %v, and the server was told %d times, want 0", err, *told)
	}
	e.Publish()
	e.Publish()
	if *told != 1 {
		t.Errorf("the server was told %d times, want once", *told)
	}
	want(t, "respond again", e.Respond(http.Head{Status: 200}), http.ErrAnswered)
	want(t, "inform after the response", e.Inform(103, nil), http.ErrInform)
	e.Answer.End(nil, nil)
	e.Finish()
	e.Fail(errors.New("the guest trapped"))
	if _, head, failed := e.Next(); head == nil || head.Status != 200 || failed != nil {
		t.Errorf("next: %v, %v, want a whole response", head, failed)
	}
	if all, err := receive(e.Answer, 10); string(all) != "text" || !errors.Is(err, io.EOF) {
		t.Errorf("the body is %q, %v", all, err)
	}
}

// TestAnswerThatEndsEarly ends exchanges at different times.
func TestAnswerThatEndsEarly(t *testing.T) {
	trap := errors.New("the guest trapped")
	for _, test := range []struct {
		name       string
		do         func(e *http.Exchange)
		failed     error
		body       error
		hasReponse bool
	}{
		{"no response", (*http.Exchange).Finish, http.ErrNoResponse, http.ErrNoResponse, false},
		{"a trap before the response", func(e *http.Exchange) {
			e.Fail(trap)
			e.Fail(io.ErrNoProgress)
			e.Finish()
			_ = e.Respond(http.Head{Status: 200})
		}, trap, trap, false},
		{"a trap in the body", func(e *http.Exchange) { _ = e.Respond(http.Head{Status: 200}); e.Fail(trap) }, trap, trap, true},
		{"a body that is not finished", func(e *http.Exchange) { _ = e.Respond(http.Head{Status: 200}); e.Finish() }, nil, http.ErrIncomplete, true},
		{"a body that is whole before the response", func(e *http.Exchange) { e.Answer.End(nil, nil); e.Fail(trap) }, trap, io.EOF, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, told := newExchange()
			test.do(e)
			_, head, failed := e.Next()
			want(t, "failed", failed, test.failed)
			_, err := e.Answer.Bytes()
			want(t, "the body", err, test.body)
			if (head != nil) != test.hasReponse || *told != 1 {
				t.Errorf("the response is %v, and the server was told %d times", head, *told)
			}
		})
	}
}

// TestStatus has statuses of responses.
func TestStatus(t *testing.T) {
	for _, status := range []int{-1, 0, 99, 100, 101, 199, 1000} {
		e, _ := newExchange()
		want(t, "respond", e.Respond(http.Head{Status: status}), http.ErrStatus)
		want(t, "another response", e.Respond(http.Head{Status: 204}), nil)
	}
}

// TestInform sends informational responses, until they are too many.
func TestInform(t *testing.T) {
	e, told := newExchange()
	for _, status := range []int{99, 101, 200} {
		want(t, "inform", e.Inform(status, nil), http.ErrInform)
	}
	n := 0
	for range 1000 {
		if e.Inform(103, nil) != nil {
			break
		}
		n++
	}
	if n != 16 || *told != n {
		t.Errorf("%d informational responses, and the server was told %d times, want 16", n, *told)
	}
	want(t, "respond", e.Respond(http.Head{Status: 200}), nil)
}

// TestFreedExchange uses an exchange that is over, as a guest that keeps its resources does.
func TestFreedExchange(t *testing.T) {
	e, told := newExchange()
	e.Free()
	want(t, "respond", e.Respond(http.Head{Status: 200}), http.ErrAnswered)
	want(t, "inform", e.Inform(103, nil), http.ErrInform)
	e.Fail(io.ErrNoProgress)
	e.Publish()
	e.Finish()
	if *told != 0 {
		t.Error("the server was told of an exchange that is over")
	}
}

// TestFits has requests with headers and texts that no guest gets.
func TestFits(t *testing.T) {
	if e := (&http.Exchange{Method: "GET", Scheme: "http", PathWithQuery: strings.Repeat("/", http.MaxText)}); !e.Fits() {
		t.Error("a request does not fit")
	}
	for what, e := range map[string]*http.Exchange{
		"headers": {Headers: slices.Repeat([]http.Field{{A: "a"}}, http.MaxFields/http.FieldCost+1)},
		"path":    {PathWithQuery: strings.Repeat("/", http.MaxText+1)},
		"method":  {Method: strings.Repeat("A", http.MaxText+1)},
		"host":    {Authority: strings.Repeat("a", http.MaxText+1)},
	} {
		if e.Fits() {
			t.Errorf("%s: too much fits", what)
		}
	}
}

// TestContentLength has the fields of one message.
func TestContentLength(t *testing.T) {
	for _, tt := range []struct {
		values []string
		length int64
		fails  bool
	}{
		{nil, -1, false}, {[]string{"0"}, 0, false}, {[]string{"12", "12"}, 12, false},
		{[]string{"12", "13"}, 0, true}, {[]string{"-1"}, 0, true}, {[]string{"+1"}, 0, true}, {[]string{""}, 0, true},
		{[]string{"9223372036854775808"}, 0, true},
	} {
		list := []http.Field{{A: "a", B: []byte("b")}}
		for _, v := range tt.values {
			list = append(list, http.Field{A: "Content-length", B: []byte(v)})
		}
		length, err := http.ContentLength(list)
		if length != tt.length || errors.Is(err, http.ErrLength) != tt.fails {
			t.Errorf("%q: %d, %v", tt.values, length, err)
		}
	}
}
