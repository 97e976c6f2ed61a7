package volume

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
)

func isProjected(volume *corev1.VolumeSource) bool { return volume.Projected != nil }

// readProjected reads all sources of a volume. If one of them has an error, it still reads the
// others.
func readProjected(ctx context.Context, r *reader, volume *corev1.VolumeSource) error {
	s := volume.Projected
	r.mode = mode(s.DefaultMode, corev1.ProjectedVolumeSourceDefaultMode)
	var errs []error
	for i := range s.Sources {
		errs = append(errs, r.projection(ctx, &s.Sources[i]))
	}
	return errors.Join(errs...)
}

func (r *reader) projection(ctx context.Context, p *corev1.VolumeProjection) error {
	switch {
	case p.ConfigMap != nil:
		return r.configMap(ctx, p.ConfigMap.Name, p.ConfigMap.Items, p.ConfigMap.Optional)
	case p.Secret != nil:
		return r.secret(ctx, p.Secret.Name, p.Secret.Items, p.Secret.Optional)
	case p.DownwardAPI != nil:
		return r.downwardAPI(p.DownwardAPI.Items)
	case p.ServiceAccountToken != nil:
		value, err := r.v.token(ctx, r.pod, r.volume, p.ServiceAccountToken)
		if err != nil {
			return err
		}
		return r.put(p.ServiceAccountToken.Path, []byte(value), nil)
	}
	return errors.New("this node does not project clusterTrustBundles and pod certificates")
}
