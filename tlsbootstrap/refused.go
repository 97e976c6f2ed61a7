package tlsbootstrap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
)

const (
	// probeTimeout bounds the delay of a start by an API server that does not answer.
	probeTimeout = 5 * time.Second
	// settledAfter is the age from which our kubeconfig may be replaced because the API server
	// refuses it. So an agent that restarts again and again makes no more than six CSRs an hour.
	settledAfter = 10 * time.Minute
)

// refused asks the API server whether it still accepts this kubeconfig, and returns why not. It
// returns nil if we did not write the kubeconfig, if no bootstrap file could help, if the file is
// new, or if no API server answers.
//
// Only two answers mean that the kubeconfig is refused. First: the server's certificate is signed
// by another authority, and the bootstrap file has another authority than the kubeconfig. Second:
// 401 Unauthorized, for longer than rejectionGrace.
func (n *nodeConfig) refused(ctx context.Context, cfg Config) error {
	if !n.ours {
		return nil
	}
	bootstrap, err := readBootstrap(cfg.BootstrapFile)
	if err != nil {
		return nil //nolint:nilerr // there is no bootstrap file to join with
	}
	if info, err := os.Stat(cfg.Kubeconfig); err != nil || time.Since(info.ModTime()).Abs() < settledAfter {
		return nil //nolint:nilerr // a file that cannot be read is not replaced
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err = n.knock(ctx)
	if apierrors.IsUnauthorized(err) && pause.For(ctx, rejectionGrace) == nil {
		err = n.knock(ctx)
	}
	switch {
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s does not know its client certificate: %w", n.config.Host, err)
	case untrusted(err) && !bytes.Equal(bytes.TrimSpace(n.config.CAData), bytes.TrimSpace(bootstrap.CAData)):
		return fmt.Errorf("the certificate authority of %s has changed: %w", n.config.Host, err)
	}
	return nil
}

// knock makes a request that every user may make.
func (n *nodeConfig) knock(ctx context.Context) error {
	config := rest.CopyConfig(n.config)
	BoundAnswers(config)
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	defer httpClient.CloseIdleConnections()
	client, err := kubernetes.NewForConfigAndClient(config, httpClient)
	if err != nil {
		return err
	}
	review, err := client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err == nil && review.Status.UserInfo.Username == "system:anonymous" {
		err = apierrors.NewUnauthorized("the API server does not know whose it is")
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}
