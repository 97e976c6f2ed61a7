package distribution

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// answers is a transport that gives the answers in order, and then repeats the last.
type answers struct {
	codes  []int
	header string // Retry-After
	asked  int
}

func (a *answers) RoundTrip(*http.Request) (*http.Response, error) {
	code := a.codes[min(a.asked, len(a.codes)-1)]
	a.asked++
	resp := &http.Response{StatusCode: code, Header: http.Header{}, Body: http.NoBody}
	if a.header != "" {
		resp.Header.Set("Retry-After", a.header)
	}
	return resp, nil
}

func TestPatience(t *testing.T) {
	for name, tt := range map[string]struct {
		answers answers
		code    int
		asked   int
		took    time.Duration
	}{
		"at once":                {answers{codes: []int{200}}, 200, 1, 0},
		"an error of its own":    {answers{codes: []int{500}}, 500, 1, 0},
		"too many, then fine":    {answers{codes: []int{429, 429, 200}, header: "7"}, 200, 3, 14 * time.Second},
		"away, then fine":        {answers{codes: []int{503, 200}, header: "2"}, 200, 2, 2 * time.Second},
		"it does not say":        {answers{codes: []int{429, 503, 200}}, 200, 3, 600 * time.Millisecond},
		"for too long":           {answers{codes: []int{429}, header: "61"}, 429, 1, 0},
		"for too long in all":    {answers{codes: []int{429}, header: "25"}, 429, 3, 50 * time.Second},
		"for ever":               {answers{codes: []int{429}, header: "1"}, 429, waits + 1, waits * time.Second},
		"what cannot be read":    {answers{codes: []int{429, 200}, header: "soon"}, 200, 2, 200 * time.Millisecond},
		"until a moment gone by": {answers{codes: []int{429, 200}, header: "Fri, 01 Jan 1999 00:00:00 GMT"}, 200, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://registry.example/", nil)
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				resp, err := patience{&tt.answers}.RoundTrip(req)
				if err != nil || resp.StatusCode != tt.code || tt.answers.asked != tt.asked || time.Since(began) != tt.took {
					t.Errorf("%v, %v, asked %d times, took %v", resp.StatusCode, err, tt.answers.asked, time.Since(began))
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://registry.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (patience{&answers{codes: []int{429}, header: "30"}}).RoundTrip(req); err == nil {
			t.Error("it waits beyond its context")
		}
	})
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if d, ok := retryAfter("Fri, 02 Jan 2026 03:04:25 GMT", at); !ok || d != 20*time.Second {
		t.Errorf("a date is read as %v", d)
	}
}
