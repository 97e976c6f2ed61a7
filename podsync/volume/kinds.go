package volume

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// kind is a kind of volume that this node makes. Everything that differs between kinds is here. A
// new kind needs a row in kinds, and a file that makes such volumes.
type kind struct {
	// is reports whether a volume is of the kind.
	is func(volume *corev1.VolumeSource) bool

	// Exactly one of the next three fields is set. It says where the volume's files come from.

	// content reads the files from the API server. The package writes them, and keeps them up to
	// date.
	content func(ctx context.Context, r *reader, volume *corev1.VolumeSource) error
	// dir makes or finds a directory of the host.
	dir func(ctx context.Context, v *Volumes, pod *corev1.Pod, volume *corev1.Volume) (made, error)
	// image is the image that has the files. Each run names the folder of that image.
	image func(volume *corev1.VolumeSource) Image

	// inMemory: the content is not on a disk, if the agent may mount.
	inMemory bool
	// claim is the name of the volume's claim. The function is nil for a kind without a claim.
	claim func(pod *corev1.Pod, volume *corev1.Volume) string
	// limit is how much the volume may hold, or nil. The function is nil for a kind without a
	// limit.
	limit func(volume *corev1.VolumeSource) *resource.Quantity
	// measured: a kubelet reports how full such a volume is.
	measured bool
	// stateless: the volume is empty at first, or its content comes from the API server.
	// Kubernetes' indicator of how fast pods start counts only pods whose volumes are all
	// stateless.
	stateless bool
}

// kinds are the kinds that this node makes. Volumes of other kinds are not set up.
var kinds = []kind{
	{is: isConfigMap, content: readConfigMap, measured: true, stateless: true},
	{is: isSecret, content: readSecret, inMemory: true, measured: true, stateless: true},
	{is: isDownwardAPI, content: readDownwardAPI, inMemory: true, measured: true, stateless: true},
	{is: isProjected, content: readProjected, inMemory: true, measured: true, stateless: true},
	{is: isEmptyDir, dir: makeEmptyDir, limit: sizeLimit, measured: true, stateless: true},
	{is: isHostPath, dir: findHostPath},
	{is: isClaim, dir: findClaim, claim: claimName, measured: true},
	{is: isEphemeral, dir: findEphemeral, claim: ephemeralClaimName, measured: true},
	{is: isImage, image: imageOf},
}

// kindOf is the kind of a volume, or nil if this node does not make such volumes.
func kindOf(volume *corev1.VolumeSource) *kind {
	for i := range kinds {
		if kinds[i].is(volume) {
			return &kinds[i]
		}
	}
	return nil
}

// limitOf is how much a volume may hold, or nil.
func limitOf(volume *corev1.VolumeSource) *resource.Quantity {
	if k := kindOf(volume); k != nil && k.limit != nil {
		return k.limit(volume)
	}
	return nil
}

// Changes reports whether a pod has a volume whose content may change, or which may exceed its
// limit. For other pods Refresh and Exceeded do nothing.
func Changes(pod *corev1.Pod) bool {
	for i := range pod.Spec.Volumes {
		source := &pod.Spec.Volumes[i].VolumeSource
		if k := kindOf(source); k != nil && k.content != nil || limitOf(source) != nil {
			return true
		}
	}
	return false
}

// Stateful reports whether a pod has a volume that may have content before the pod starts. The time
// to set up such a volume does not depend only on the node.
func Stateful(pod *corev1.Pod) bool {
	for i := range pod.Spec.Volumes {
		if k := kindOf(&pod.Spec.Volumes[i].VolumeSource); k == nil || !k.stateless {
			return true
		}
	}
	return false
}
