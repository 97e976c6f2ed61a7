package volume

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// content are the files that a volume should have, by their paths in the volume.
type content map[string]file

type file struct {
	data []byte
	mode os.FileMode
}

// read reads the content of a volume. If fresh is set, it is the newest. Otherwise it may be a
// short time old.
func (v *Volumes) read(ctx context.Context, pod *corev1.Pod, volume *corev1.Volume, fresh bool) (content, error) {
	r := reader{v: v, pod: pod, volume: volume.Name, fresh: fresh, into: content{}}
	err := kindOf(&volume.VolumeSource).content(ctx, &r, &volume.VolumeSource)
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
	mode   os.FileMode // of files for which the volume sets no mode
	into   content
}

// unlessOptional returns err, which is the error of reading an object. It returns nil if the object
// is optional and missing.
func unlessOptional(err error, optional *bool) error {
	if apierrors.IsNotFound(err) && is(optional) {
		return nil
	}
	return err
}

// keys adds a file for each key of data. If there are items, it adds only those.
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

// put adds a file. It replaces an earlier one at the same path.
func (r *reader) put(at string, data []byte, asked *int32) error {
	clean := path.Clean(at)
	if at == "" || clean == "." || !filepath.IsLocal(at) || strings.HasPrefix(clean, "..") {
		return fmt.Errorf("invalid path %q in the volume", at)
	}
	r.into[clean] = file{data, mode(asked, int32(r.mode))}
	return nil
}

func is(flag *bool) bool { return flag != nil && *flag }
