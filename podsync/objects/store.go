package objects

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	kept = 20 * time.Second // how old an object may be, if a caller does not ask for it Fresh
	idle = 5 * time.Minute  // how long an immutable object is kept after the last request for it
)

// Store reads ConfigMaps and Secrets. It is safe for concurrent use. Callers share the results and
// must not change them. Errors are those of ctx, or of the API server, for the functions of
// apierrors.
type Store struct {
	configMaps cache[corev1.ConfigMap]
	secrets    cache[corev1.Secret]
}

// New makes a Store that reads through client.
func New(client kubernetes.Interface) *Store {
	s := &Store{}
	s.configMaps.read = func(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
		o, err := client.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
		return o, named(err, "configmap", name)
	}
	s.configMaps.immutable = func(o *corev1.ConfigMap) bool { return o.Immutable != nil && *o.Immutable }
	s.secrets.read = func(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
		o, err := client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
		return o, named(err, "secret", name)
	}
	s.secrets.immutable = func(o *corev1.Secret) bool { return o.Immutable != nil && *o.Immutable }
	return s
}

// named is the kubelet's error for an object that does not exist. It has the kind in the singular.
func named(err error, kind, name string) error {
	if apierrors.IsNotFound(err) {
		return apierrors.NewNotFound(corev1.Resource(kind), name)
	}
	return err
}

// ConfigMap returns a ConfigMap. It may be up to 20 seconds old.
func (s *Store) ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	return s.configMaps.get(ctx, namespace, name, false)
}

// FreshConfigMap returns the present ConfigMap.
func (s *Store) FreshConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	return s.configMaps.get(ctx, namespace, name, true)
}

// Secret returns a Secret. It may be up to 20 seconds old.
func (s *Store) Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	return s.secrets.get(ctx, namespace, name, false)
}

// FreshSecret returns the present Secret.
func (s *Store) FreshSecret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	return s.secrets.get(ctx, namespace, name, true)
}
