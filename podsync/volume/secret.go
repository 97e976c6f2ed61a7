package volume

import (
	"context"

	corev1 "k8s.io/api/core/v1"
)

func isSecret(volume *corev1.VolumeSource) bool { return volume.Secret != nil }

func readSecret(ctx context.Context, r *reader, volume *corev1.VolumeSource) error {
	s := volume.Secret
	r.mode = mode(s.DefaultMode, corev1.SecretVolumeSourceDefaultMode)
	return r.secret(ctx, s.SecretName, s.Items, s.Optional)
}

func (r *reader) secret(ctx context.Context, name string, items []corev1.KeyToPath, optional *bool) error {
	get := r.v.Objects.Secret
	if r.fresh {
		get = r.v.Objects.FreshSecret
	}
	object, err := get(ctx, r.pod.Namespace, name)
	if err != nil {
		return unlessOptional(err, optional)
	}
	return r.keys(object.Data, items, is(optional), "references non-existent secret key: %s")
}
