package volume

import corev1 "k8s.io/api/core/v1"

// Image is an image whose files a volume shows.
type Image struct {
	Volume     string // the volume's name
	Reference  string
	PullPolicy corev1.PullPolicy
}

// Images are the images that the volumes of a pod show.
func Images(pod *corev1.Pod) []Image {
	var all []Image
	for i := range pod.Spec.Volumes {
		volume := &pod.Spec.Volumes[i]
		k := kindOf(&volume.VolumeSource)
		if k == nil || k.image == nil {
			continue
		}
		image := k.image(&volume.VolumeSource)
		image.Volume = volume.Name
		all = append(all, image)
	}
	return all
}

func isImage(volume *corev1.VolumeSource) bool { return volume.Image != nil }

func imageOf(volume *corev1.VolumeSource) Image {
	return Image{Reference: volume.Image.Reference, PullPolicy: volume.Image.PullPolicy}
}
