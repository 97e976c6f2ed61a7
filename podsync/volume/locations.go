package volume

import corev1 "k8s.io/api/core/v1"

// Location says where the files of a volume are.
type Location struct {
	Volume string // the volume's name
	Dir    string
	Claim  string // the name of its claim; empty if it has none
	// Whole: the figures of Dir's file system are those of the volume. The volume has that file
	// system alone, or a kubelet reports it so.
	Whole bool
}

// Locations are the locations of volumes that are set up, of those kinds whose use a kubelet
// reports.
func (v *Volumes) Locations(pod *corev1.Pod) []Location {
	var all []Location
	for i := range pod.Spec.Volumes {
		volume := &pod.Spec.Volumes[i]
		m, ok := v.get(volume.Name)
		if !ok || !m.kind.measured {
			continue
		}
		location := Location{Volume: volume.Name, Dir: m.host}
		if m.kind.claim != nil {
			location.Claim, location.Whole = m.kind.claim(pod, volume), true
		} else {
			mounted, err := isMount(m.host)
			location.Whole = mounted && err == nil
		}
		all = append(all, location)
	}
	return all
}
