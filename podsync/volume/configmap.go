package volume

import (
	"context"
	"maps"

	corev1 "k8s.io/api/core/v1"
)

func isConfigMap(volume *corev1.VolumeSource) bool { return volume.ConfigMap != nil }

func readConfigMap(ctx context.Context, r *reader, volume *corev1.VolumeSource) error {
	s := volume.ConfigMap
	r.mode = mode(s.DefaultMode, corev1.ConfigMapVolumeSourceDefaultMode)
	return r.configMap(ctx, s.Name, s.Items, s.Optional)
}

func (r *reader) configMap(ctx context.Context, name string, items []corev1.KeyToPath, optional *bool) error {
	get := r.v.Objects.ConfigMap
	if r.fresh {
		get = r.v.Objects.FreshConfigMap
	}
	object, err := get(ctx, r.pod.Namespace, name)
	if err != nil {
		return unlessOptional(err, optional)
	}
	data := make(map[string][]byte, len(object.Data)+len(object.BinaryData))
	for key, value := range object.Data {
		data[key] = []byte(value)
	}
	maps.Copy(data, object.BinaryData)
	return r.keys(data, items, is(optional), "configmap references non-existent config key: %s")
}
