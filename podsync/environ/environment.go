package environ

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// Objects reads the ConfigMaps and Secrets that pods name, in their present state.
type Objects interface {
	FreshConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error)
	FreshSecret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
}

// Sources are the sources of a container's environment, besides its pod.
type Sources struct {
	Objects     Objects
	Files       Files
	Services    []*corev1.Service // the Services of which the environment has variables
	Reach       podspec.Reach
	Allocatable corev1.ResourceList
}

// Of is a container's environment, each name once: the hostname, services, envFrom, and env in the
// order of the spec. A later variable replaces an earlier one. A value in env may refer to all of
// them but the hostname.
func Of(ctx context.Context, pod *corev1.Pod, c *corev1.Container, from Sources) ([]corev1.EnvVar, error) {
	b := builder{pod: pod, container: c, from: from}
	for _, s := range from.Services {
		for _, v := range serviceVariables(s) {
			b.set(v.Name, v.Value)
		}
	}
	for _, source := range c.EnvFrom {
		if err := b.takeAll(ctx, source); err != nil {
			return nil, err
		}
	}
	for _, v := range c.Env {
		value, there := Expand(v.Value, b.env), true
		if v.Value == "" && v.ValueFrom != nil {
			var err error
			if value, there, err = b.take(ctx, v.ValueFrom); err != nil {
				return nil, err
			}
		}
		if there {
			b.set(v.Name, value)
		}
	}
	if _, ok := lookup(b.env, hostnameVariable); !ok {
		b.env = slices.Insert(b.env, 0, corev1.EnvVar{Name: hostnameVariable, Value: podspec.Hostname(pod)})
	}
	return b.env, nil
}

const hostnameVariable = "HOSTNAME"

// builder makes an environment.
type builder struct {
	pod       *corev1.Pod
	container *corev1.Container
	from      Sources
	env       []corev1.EnvVar
}

func (b *builder) set(name, value string) {
	b.env = slices.DeleteFunc(b.env, func(old corev1.EnvVar) bool { return old.Name == name })
	b.env = append(b.env, corev1.EnvVar{Name: name, Value: value})
}

// takeAll sets a variable for each key of a ConfigMap or Secret, in the order of keys.
func (b *builder) takeAll(ctx context.Context, source corev1.EnvFromSource) error {
	var values map[string]string
	var there bool
	var err error
	switch {
	case source.ConfigMapRef != nil:
		values, there, err = b.configMap(ctx, source.ConfigMapRef.Name, source.ConfigMapRef.Optional)
	case source.SecretRef != nil:
		values, there, err = b.secret(ctx, source.SecretRef.Name, source.SecretRef.Optional)
	}
	if err != nil || !there {
		return err
	}
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		b.set(source.Prefix+key, values[key])
	}
	return nil
}

// take reads the value of a source. If the source is optional, the value may be missing.
func (b *builder) take(ctx context.Context, source *corev1.EnvVarSource) (value string, there bool, err error) {
	switch {
	case source.FieldRef != nil:
		value, err = Field(b.pod, source.FieldRef.FieldPath, b.from.Reach)
		return value, true, err
	case source.ResourceFieldRef != nil:
		value, err = Resource(b.pod, b.container, source.ResourceFieldRef, b.from.Allocatable)
		return value, true, err
	case source.ConfigMapKeyRef != nil:
		ref := source.ConfigMapKeyRef
		values, there, err := b.configMap(ctx, ref.Name, ref.Optional)
		if err != nil || !there {
			return "", false, err
		}
		return b.key(values, ref.Key, ref.Optional, "ConfigMap", ref.Name)
	case source.SecretKeyRef != nil:
		ref := source.SecretKeyRef
		values, there, err := b.secret(ctx, ref.Name, ref.Optional)
		if err != nil || !there {
			return "", false, err
		}
		return b.key(values, ref.Key, ref.Optional, "Secret", ref.Name)
	case source.FileKeyRef != nil:
		return b.file(source.FileKeyRef)
	}
	return "", true, nil
}

func (b *builder) key(values map[string]string, key string, optional *bool, kind, name string) (string, bool, error) {
	value, there := values[key]
	if !there && !ptr.Deref(optional, false) {
		return "", false, fmt.Errorf("couldn't find key %v in %s %v/%v", key, kind, b.pod.Namespace, name)
	}
	return value, there, nil
}

func (b *builder) configMap(ctx context.Context, name string, optional *bool) (map[string]string, bool, error) {
	object, err := b.from.Objects.FreshConfigMap(ctx, b.pod.Namespace, name)
	if err != nil {
		return notThere(err, "configmap", name, optional)
	}
	return object.Data, true, nil
}

func (b *builder) secret(ctx context.Context, name string, optional *bool) (map[string]string, bool, error) {
	object, err := b.from.Objects.FreshSecret(ctx, b.pod.Namespace, name)
	if err != nil {
		return notThere(err, "secret", name, optional)
	}
	values := make(map[string]string, len(object.Data))
	for key, value := range object.Data {
		values[key] = string(value)
	}
	return values, true, nil
}

// notThere returns the kubelet's error for an object that does not exist, or nil if the object is
// optional.
func notThere(err error, kind, name string, optional *bool) (map[string]string, bool, error) {
	switch {
	case !apierrors.IsNotFound(err):
		return nil, false, fmt.Errorf("reading %s %q: %w", kind, name, err)
	case ptr.Deref(optional, false):
		return nil, false, nil
	}
	return nil, false, apierrors.NewNotFound(corev1.Resource(kind), name)
}
