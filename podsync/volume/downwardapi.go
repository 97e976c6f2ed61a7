package volume

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

func isDownwardAPI(volume *corev1.VolumeSource) bool { return volume.DownwardAPI != nil }

func readDownwardAPI(_ context.Context, r *reader, volume *corev1.VolumeSource) error {
	s := volume.DownwardAPI
	r.mode = mode(s.DefaultMode, corev1.DownwardAPIVolumeSourceDefaultMode)
	return r.downwardAPI(s.Items)
}

func (r *reader) downwardAPI(items []corev1.DownwardAPIVolumeFile) error {
	var errs []error
	for i := range items {
		item := &items[i]
		value, err := r.value(item)
		if err == nil {
			err = r.put(item.Path, []byte(value), item.Mode)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (r *reader) value(item *corev1.DownwardAPIVolumeFile) (string, error) {
	switch {
	case item.FieldRef != nil:
		return r.v.Field(r.pod, item.FieldRef.FieldPath)
	case item.ResourceFieldRef != nil:
		return r.v.Resource(r.pod, item.ResourceFieldRef)
	}
	return "", fmt.Errorf("%s names neither a field nor a resource", item.Path)
}
