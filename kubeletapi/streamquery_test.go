package kubeletapi

import (
	"errors"
	"net/url"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

func TestParseStreams(t *testing.T) {
	for text, want := range map[string]remotecommand.Options{
		"output=1":                        {Stdout: true},
		"input=1&output=1&error=1":        {Stdin: true, Stdout: true, Stderr: true},
		"stdin=true&stdout=1&stderr=true": {Stdin: true, Stdout: true, Stderr: true},
		"input=0&stdin=1&error=1":         {Stdin: true, Stderr: true},
		"output=1&error=1&tty=1":          {Stdout: true, TTY: true},
		"output=1&tty=false":              {Stdout: true},
	} {
		query, _ := url.ParseQuery(text)
		if got, err := parseStreams(query); err != nil || *got != want {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "tty=1", "output=0", "tty=1&error=1"} {
		query, _ := url.ParseQuery(text)
		if got, err := parseStreams(query); !apierrors.IsBadRequest(err) {
			t.Errorf("%q: %+v, %v, want a bad request", text, got, err)
		}
	}
}

func FuzzParseStreams(f *testing.F) {
	for _, seed := range []string{"", "output=1", "input=1&output=1&error=1&tty=1", "stdin=true&stdout=false", "error=1&x=%00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		query, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		opts, err := parseStreams(query)
		if err != nil {
			if status := apierrors.APIStatus(nil); !errors.As(err, &status) || status.Status().Code != 400 {
				t.Fatalf("%v is not a 400", err)
			}
			return
		}
		if !opts.Stdin && !opts.Stdout && !opts.Stderr || opts.TTY && opts.Stderr {
			t.Fatalf("%q gives %+v", text, opts)
		}
	})
}
