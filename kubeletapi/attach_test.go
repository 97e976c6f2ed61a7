package kubeletapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/krustlet-go/krustlet-wasi/hack/authority"
)

// attachFunc is an Attaches. Its container has the form of execFunc's.
type attachFunc func(ctx context.Context, container string, stdin io.Reader, stdout, stderr io.Writer) error

func (f attachFunc) Attach(namespace, pod, uid, container string) (Attachment, error) {
	if namespace == "none" {
		return nil, apierrors.NewNotFound(corev1.Resource("pods"), pod)
	}
	return func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
		return f(ctx, strings.Join([]string{namespace, pod, uid, container}, "/"), stdin, stdout, stderr)
	}, nil
}

func TestAttach(t *testing.T) {
	for name := range (&running{}).protocols() {
		t.Run(name, func(t *testing.T) {
			server := runServer(t, authority.New(t, "ca"), func(c *Config) {
				c.Attaches = attachFunc(func(_ context.Context, container string, stdin io.Reader, stdout, stderr io.Writer) error {
					_, _ = fmt.Fprintln(stdout, container)
					_, _ = fmt.Fprintln(stderr, "careful")
					_, err := io.Copy(stdout, stdin)
					return err
				})
			})
			remote := server.protocols()[name]
			var stdout, stderr bytes.Buffer
			err := remote(t, "/attach/ns/p/uid/c?output=1&error=1&input=1").StreamWithContext(t.Context(),
				remotecommand.StreamOptions{Stdin: strings.NewReader("input"), Stdout: &stdout, Stderr: &stderr})
			if err != nil || stdout.String() != "ns/p/uid/c\ninput" || stderr.String() != "careful\n" {
				t.Errorf("stdout %q, stderr %q, %v", &stdout, &stderr, err)
			}
			err = remote(t, "/attach/none/p/c?output=1").StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: &stdout})
			if err == nil || !strings.Contains(err.Error(), `pods "p" not found`) {
				t.Errorf("a pod that is not there: %v", err)
			}
		})
	}
}

// TestAttachFailure: the user is told what failed.
func TestAttachFailure(t *testing.T) {
	for name := range (&running{}).protocols() {
		t.Run(name, func(t *testing.T) {
			server := runServer(t, authority.New(t, "ca"), func(c *Config) {
				c.Attaches = attachFunc(func(context.Context, string, io.Reader, io.Writer, io.Writer) error {
					return errors.New("another client is")
				})
			})
			remote := server.protocols()[name]
			err := remote(t, "/attach/ns/p/c?output=1").StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: io.Discard})
			if err == nil || !strings.Contains(err.Error(), "another client is") {
				t.Errorf("error %v", err)
			}
		})
	}
}
