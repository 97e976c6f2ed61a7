package kubeletapi

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// parseLogOptions reads the query of /containerLogs as the kubelet does. The first value of a
// repeated parameter counts. Unknown parameters are ignored. Every value but "0" and "false" sets a
// flag. "tail" is an old name of tailLines; its value "all" means no limit. The returned options
// are valid and have a Stream. The error is an apierrors.APIStatus: 400 for a value that cannot be
// read, 422 for a value that is not valid.
func parseLogOptions(query url.Values) (*corev1.PodLogOptions, error) {
	q := queryReader{query: query}
	opts := &corev1.PodLogOptions{
		Follow:       q.flag("follow"),
		Previous:     q.flag("previous"),
		Timestamps:   q.flag("timestamps"),
		TailLines:    q.number("tailLines"),
		LimitBytes:   q.number("limitBytes"),
		SinceSeconds: q.number("sinceSeconds"),
		SinceTime:    q.time("sinceTime"),
	}
	switch tail := query.Get("tail"); tail {
	case "":
	case "all":
		opts.TailLines = nil
	default:
		opts.TailLines = q.number("tail")
	}
	stream := corev1.LogStreamAll
	if query.Has("stream") {
		stream = query.Get("stream")
	}
	opts.Stream = &stream
	if q.err != nil {
		return nil, apierrors.NewBadRequest(q.err.Error())
	}
	if problems := validateLogOptions(opts); len(problems) > 0 {
		return nil, apierrors.NewInvalid(schema.GroupKind{Kind: "PodLogOptions"}, "", problems)
	}
	return opts, nil
}

// queryReader reads typed parameters and keeps the first error.
type queryReader struct {
	query url.Values
	err   error
}

func (q *queryReader) fail(name, value, want string) {
	if q.err == nil {
		q.err = fmt.Errorf("query parameter %s=%q is not %s", name, value, want)
	}
}

func (q *queryReader) flag(name string) bool {
	value := q.query.Get(name)
	return q.query.Has(name) && value != "0" && !strings.EqualFold(value, "false")
}

func (q *queryReader) number(name string) *int64 {
	if !q.query.Has(name) {
		return nil
	}
	value := q.query.Get(name)
	number, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		q.fail(name, value, "a whole number of at most 64 bits")
		return nil
	}
	return &number
}

// time returns no time for an empty value, and for "null", which old clients send.
func (q *queryReader) time(name string) *metav1.Time {
	value := q.query.Get(name)
	if value == "" || value == "null" {
		return nil
	}
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		q.fail(name, value, "a time like 2006-01-02T15:04:05Z")
		return nil
	}
	return &metav1.Time{Time: at}
}

// validateLogOptions applies the rules of the API. The API server has checked them for its clients,
// but other clients may call the node directly.
func validateLogOptions(opts *corev1.PodLogOptions) field.ErrorList {
	var problems field.ErrorList
	if opts.TailLines != nil && *opts.TailLines < 0 {
		problems = append(problems, field.Invalid(field.NewPath("tailLines"), *opts.TailLines, "must be 0 or more"))
	}
	if opts.LimitBytes != nil && *opts.LimitBytes < 1 {
		problems = append(problems, field.Invalid(field.NewPath("limitBytes"), *opts.LimitBytes, "must be 1 or more"))
	}
	if opts.SinceSeconds != nil && *opts.SinceSeconds < 1 {
		problems = append(problems, field.Invalid(field.NewPath("sinceSeconds"), *opts.SinceSeconds, "must be 1 or more"))
	}
	if opts.SinceSeconds != nil && opts.SinceTime != nil {
		problems = append(problems, field.Forbidden(field.NewPath("sinceTime"), "cannot be used together with sinceSeconds"))
	}
	stream := field.NewPath("stream")
	switch *opts.Stream {
	case corev1.LogStreamAll:
	case corev1.LogStreamStdout, corev1.LogStreamStderr:
		if opts.TailLines != nil {
			problems = append(problems, field.Forbidden(stream, "cannot be used together with tailLines, except as All"))
		}
	default:
		problems = append(problems, field.NotSupported(stream, *opts.Stream,
			[]string{corev1.LogStreamAll, corev1.LogStreamStdout, corev1.LogStreamStderr}))
	}
	return problems
}
