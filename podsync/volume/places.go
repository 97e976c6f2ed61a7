package volume

import corev1 "k8s.io/api/core/v1"

// Place is where the files of a volume are.
type Place struct {
	Volume string
	Dir    string
	Claim  string // the claim's name, where it is one
	// Whole: Dir is a file system of its own, or should be taken for one: what it holds is told by the file system.
	Whole bool
}

// Places are the volumes that are set up and of which a kubelet tells how full they are: all but those of the types hostPath and
// image.
func (v *Volumes) Places(pod *corev1.Pod) []Place {
	var all []Place
	for i := range pod.Spec.Volumes {
		volume := &pod.Spec.Volumes[i]
		m, ok := v.get(volume.Name)
		if !ok || volume.HostPath != nil || m.image {
			continue
		}
		place := Place{Volume: volume.Name, Dir: m.host}
		switch {
		case volume.PersistentVolumeClaim != nil:
			place.Claim, place.Whole = volume.PersistentVolumeClaim.ClaimName, true
		case volume.Ephemeral != nil:
			place.Claim, place.Whole = pod.Name+"-"+volume.Name, true
		default:
			mounted, err := isMount(m.host)
			place.Whole = mounted && err == nil
		}
		all = append(all, place)
	}
	return all
}
