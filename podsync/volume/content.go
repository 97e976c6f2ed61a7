package volume

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// content is what a volume's files are to be, by their path in the volume.
type content map[string]file

type file struct {
	data []byte
	mode os.FileMode
}

// hasContent says whether the volume's files come from the API server.
func hasContent(volume *corev1.Volume) bool {
	return volume.ConfigMap != nil || volume.Secret != nil || volume.DownwardAPI != nil || volume.Projected != nil
}

// content reads what a volume is to hold; with fresh as it is now, else as it was not long ago.
func (v *Volumes) content(ctx context.Context, pod *corev1.Pod, volume *corev1.Volume, fresh bool) (content, error) {
	r := reader{v: v, pod: pod, volume: volume.Name, fresh: fresh, into: content{}}
	var err error
	switch {
	case volume.ConfigMap != nil:
		s := volume.ConfigMap
		r.mode = mode(s.DefaultMode, corev1.ConfigMapVolumeSourceDefaultMode)
		err = r.configMap(ctx, s.Name, s.Items, s.Optional)
	case volume.Secret != nil:
		s := volume.Secret
		r.mode = mode(s.DefaultMode, corev1.SecretVolumeSourceDefaultMode)
		err = r.secret(ctx, s.SecretName, s.Items, s.Optional)
	case volume.DownwardAPI != nil:
		s := volume.DownwardAPI
		r.mode = mode(s.DefaultMode, corev1.DownwardAPIVolumeSourceDefaultMode)
		err = r.downwardAPI(s.Items)
	case volume.Projected != nil:
		s := volume.Projected
		r.mode = mode(s.DefaultMode, corev1.ProjectedVolumeSourceDefaultMode)
		var errs []error
		for i := range s.Sources {
			errs = append(errs, r.projection(ctx, &s.Sources[i]))
		}
		err = errors.Join(errs...)
	}
	return r.into, err
}

func mode(given *int32, otherwise int32) os.FileMode {
	if given != nil {
		return os.FileMode(*given) & os.ModePerm
	}
	return os.FileMode(otherwise)
}

// reader collects the content of one volume.
type reader struct {
	v      *Volumes
	pod    *corev1.Pod
	volume string
	fresh  bool
	mode   os.FileMode // of files that ask for none
	into   content
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

// unlessOptional is the error of reading an object, nil if there need be none.
func unlessOptional(err error, optional *bool) error {
	if apierrors.IsNotFound(err) && is(optional) {
		return nil
	}
	return err
}

// keys takes all of data, or the items of it.
func (r *reader) keys(data map[string][]byte, items []corev1.KeyToPath, optional bool, missing string) error {
	if items == nil {
		for key, value := range data {
			if err := r.put(key, value, nil); err != nil {
				return err
			}
		}
		return nil
	}
	for _, item := range items {
		value, ok := data[item.Key]
		switch {
		case !ok && optional:
			continue
		case !ok:
			return fmt.Errorf(missing, item.Key)
		}
		if err := r.put(item.Path, value, item.Mode); err != nil {
			return err
		}
	}
	return nil
}

// put adds a file. Of two at one path the later counts.
func (r *reader) put(at string, data []byte, asked *int32) error {
	clean := path.Clean(at)
	if at == "" || clean == "." || !filepath.IsLocal(at) || strings.HasPrefix(clean, "..") {
		return fmt.Errorf("invalid path %q in the volume", at)
	}
	r.into[clean] = file{data, mode(asked, int32(r.mode))}
	return nil
}

func is(flag *bool) bool { return flag != nil && *flag }
