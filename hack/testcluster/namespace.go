package testcluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
)

const (
	namespaceTimeout = 30 * time.Second
	// namespaceName is how many characters of a test's name its namespace has. The API server adds
	// five random characters, so that -count works, and allows 63.
	namespaceName = 50
)

// Namespace makes a namespace with the name of the test. It waits until the default service account
// exists, so that the test can make pods. At the end of the test it deletes the namespace, and does
// not wait until it is removed.
func (c *Cluster) Namespace(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), namespaceTimeout)
	defer cancel()
	namespace, err := c.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: namespacePrefix(t.Name())},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("testcluster: making a namespace: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), namespaceTimeout)
		defer cancel()
		if err := c.client.CoreV1().Namespaces().Delete(ctx, namespace.Name, metav1.DeleteOptions{}); err != nil {
			t.Logf("testcluster: deleting the namespace: %v", err)
		}
	})
	if err := c.waitServiceAccount(ctx, namespace.Name); err != nil {
		t.Fatalf("testcluster: waiting for the default service account of %s: %v", namespace.Name, err)
	}
	return namespace.Name
}

// waitServiceAccount watches from the beginning: a watch without a resource version starts with the
// objects that exist.
func (c *Cluster) waitServiceAccount(ctx context.Context, namespace string) error {
	accounts, err := c.client.CoreV1().ServiceAccounts(namespace).Watch(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, "default").String(),
	})
	if err != nil {
		return err
	}
	defer accounts.Stop()
	for event := range accounts.ResultChan() {
		switch event.Type {
		case watch.Added, watch.Modified:
			return nil
		case watch.Error:
			return fmt.Errorf("the watch failed: %v", event.Object)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.New("the API server ended the watch")
}

// namespacePrefix makes the beginning of a namespace's name from a test's name.
func namespacePrefix(test string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, test)
	name = strings.TrimLeft(name[:min(len(name), namespaceName)], "-")
	return strings.TrimRight(name, "-") + "-"
}
