package kubeletapi

import (
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// parseStreams reads which streams the query of /exec or /attach asks for. It knows the names of
// the kubelet and those of the API: input or stdin, output or stdout, error or stderr, and tty. A
// terminal has no stderr, because both outputs go to stdout. The error is an apierrors.APIStatus.
func parseStreams(query url.Values) (*remotecommand.Options, error) {
	q := queryReader{query: query}
	opts := &remotecommand.Options{
		Stdin:  q.flag("input") || q.flag("stdin"),
		Stdout: q.flag("output") || q.flag("stdout"),
		Stderr: q.flag("error") || q.flag("stderr"),
		TTY:    q.flag("tty"),
	}
	opts.Stderr = opts.Stderr && !opts.TTY
	if !opts.Stdin && !opts.Stdout && !opts.Stderr {
		return nil, apierrors.NewBadRequest("at least one of the query parameters input, output and error must be set")
	}
	return opts, nil
}
