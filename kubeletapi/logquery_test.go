package kubeletapi

import (
	"errors"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestParseLogOptions(t *testing.T) {
	stream := func(s string) *string { return &s }
	number := func(n int64) *int64 { return &n }
	all := stream("All")
	at := metav1.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	tests := []struct {
		query string
		want  corev1.PodLogOptions
	}{
		{"", corev1.PodLogOptions{Stream: all}},
		{"follow=true&previous=true&timestamps=true", corev1.PodLogOptions{Follow: true, Previous: true, Timestamps: true, Stream: all}},
		{"follow=false&previous=0&timestamps=FALSE", corev1.PodLogOptions{Stream: all}},
		{"follow&previous=&timestamps=1", corev1.PodLogOptions{Follow: true, Previous: true, Timestamps: true, Stream: all}},
		{"follow=false&follow=true", corev1.PodLogOptions{Stream: all}},
		{"tailLines=0", corev1.PodLogOptions{TailLines: number(0), Stream: all}},
		{"tailLines=10&limitBytes=1", corev1.PodLogOptions{TailLines: number(10), LimitBytes: number(1), Stream: all}},
		{"tail=7", corev1.PodLogOptions{TailLines: number(7), Stream: all}},
		{"tail=all&tailLines=3", corev1.PodLogOptions{Stream: all}},
		{"sinceSeconds=1", corev1.PodLogOptions{SinceSeconds: number(1), Stream: all}},
		{"sinceTime=2024-05-06T07:08:09Z", corev1.PodLogOptions{SinceTime: &at, Stream: all}},
		{"sinceTime=&sinceSeconds=5", corev1.PodLogOptions{SinceSeconds: number(5), Stream: all}},
		{"stream=Stderr", corev1.PodLogOptions{Stream: stream("Stderr")}},
		{"stream=All&tailLines=1", corev1.PodLogOptions{TailLines: number(1), Stream: all}},
		{"container=x&unknown=y", corev1.PodLogOptions{Stream: all}},
	}
	for _, test := range tests {
		t.Run(test.query, func(t *testing.T) {
			query, err := url.ParseQuery(test.query)
			if err != nil {
				t.Fatal(err)
			}
			got, err := parseLogOptions(query)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(*got, test.want) {
				t.Errorf("got %+v, want %+v", *got, test.want)
			}
		})
	}
}

func TestParseLogOptionsRefuses(t *testing.T) {
	tests := []struct {
		query string
		code  int32
		say   string // the text must name the parameter and the fault
	}{
		{"tailLines=ten", 400, `tailLines="ten" is not a whole number`},
		{"tailLines=", 400, `tailLines="" is not a whole number`},
		{"limitBytes=99999999999999999999", 400, "limitBytes"},
		{"sinceSeconds=1.5", 400, "sinceSeconds"},
		{"sinceTime=yesterday", 400, `sinceTime="yesterday" is not a time`},
		{"tail=some", 400, `tail="some"`},
		{"tailLines=-1", 422, "tailLines: Invalid value: -1: must be 0 or more"},
		{"limitBytes=0", 422, "limitBytes: Invalid value: 0: must be 1 or more"},
		{"sinceSeconds=0", 422, "sinceSeconds: Invalid value: 0"},
		{"sinceSeconds=1&sinceTime=2024-05-06T07:08:09Z", 422, "sinceTime: Forbidden: cannot be used together with sinceSeconds"},
		{"stream=stdout", 422, `stream: Unsupported value: "stdout"`},
		{"stream=", 422, "stream"},
		{"stream=Stdout&tailLines=1", 422, "tailLines"},
	}
	for _, test := range tests {
		t.Run(test.query, func(t *testing.T) {
			query, err := url.ParseQuery(test.query)
			if err != nil {
				t.Fatal(err)
			}
			opts, err := parseLogOptions(query)
			if err == nil {
				t.Fatalf("accepted as %+v", opts)
			}
			status := apierrors.APIStatus(nil)
			if !errors.As(err, &status) || status.Status().Code != test.code {
				t.Errorf("%v: not a status of code %d", err, test.code)
			}
			if !strings.Contains(err.Error(), test.say) {
				t.Errorf("%q does not say %q", err, test.say)
			}
		})
	}
}

func FuzzParseLogOptions(f *testing.F) {
	for _, seed := range []string{
		"", "follow=true&tailLines=10&timestamps=true", "tail=all", "tail=5", "sinceTime=2024-05-06T07:08:09.5%2B02:00",
		"sinceSeconds=-1", "limitBytes=0", "stream=Stdout", "stream=Stderr&tailLines=1", "previous&follow=&x=%00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		query, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		opts, err := parseLogOptions(query)
		if err != nil {
			status := apierrors.APIStatus(nil)
			if !errors.As(err, &status) || status.Status().Code != 400 && status.Status().Code != 422 {
				t.Fatalf("%v is neither a 400 nor a 422", err)
			}
			return
		}
		if opts.Stream == nil || len(validateLogOptions(opts)) > 0 {
			t.Fatalf("invalid options were accepted: %+v", opts)
		}
		again, err := parseLogOptions(queryOf(opts))
		if err != nil || !sameOptions(opts, again) {
			t.Fatalf("%+v, written as %q, reads as %+v, %v", opts, queryOf(opts).Encode(), again, err)
		}
	})
}

// queryOf writes opts as a query, as the API server does.
func queryOf(opts *corev1.PodLogOptions) url.Values {
	query := url.Values{"stream": {*opts.Stream}}
	for name, set := range map[string]bool{"follow": opts.Follow, "previous": opts.Previous, "timestamps": opts.Timestamps} {
		query.Set(name, strconv.FormatBool(set))
	}
	for name, n := range map[string]*int64{"tailLines": opts.TailLines, "limitBytes": opts.LimitBytes, "sinceSeconds": opts.SinceSeconds} {
		if n != nil {
			query.Set(name, strconv.FormatInt(*n, 10))
		}
	}
	if opts.SinceTime != nil {
		query.Set("sinceTime", opts.SinceTime.Format(time.RFC3339Nano))
	}
	return query
}

func sameOptions(a, b *corev1.PodLogOptions) bool {
	if (a.SinceTime == nil) != (b.SinceTime == nil) || a.SinceTime != nil && !a.SinceTime.Time.Equal(b.SinceTime.Time) {
		return false
	}
	x, y := *a, *b
	x.SinceTime, y.SinceTime = nil, nil
	return reflect.DeepEqual(x, y)
}
