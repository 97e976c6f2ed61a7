package volume

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	storage "k8s.io/component-helpers/storage/volume"
)

func isClaim(volume *corev1.VolumeSource) bool { return volume.PersistentVolumeClaim != nil }

func claimName(_ *corev1.Pod, volume *corev1.Volume) string {
	return volume.PersistentVolumeClaim.ClaimName
}

func findClaim(ctx context.Context, v *Volumes, pod *corev1.Pod, volume *corev1.Volume) (made, error) {
	host, err := v.claim(ctx, pod, claimName(pod, volume), false)
	return made{host: host, readOnly: volume.PersistentVolumeClaim.ReadOnly}, err
}

func isEphemeral(volume *corev1.VolumeSource) bool { return volume.Ephemeral != nil }

// ephemeralClaimName is the name of the claim that a controller makes for an ephemeral volume.
func ephemeralClaimName(pod *corev1.Pod, volume *corev1.Volume) string {
	return pod.Name + "-" + volume.Name
}

func findEphemeral(ctx context.Context, v *Volumes, pod *corev1.Pod, volume *corev1.Volume) (made, error) {
	host, err := v.claim(ctx, pod, ephemeralClaimName(pod, volume), true)
	return made{host: host}, err
}

// claim is the directory of the persistent volume that is bound to a claim. The volume must be a
// hostPath or a local one. If owned is set, the claim must have been made for the pod.
func (v *Volumes) claim(ctx context.Context, pod *corev1.Pod, name string, owned bool) (string, error) {
	var pvc *corev1.PersistentVolumeClaim
	err := v.ask(ctx, func() (err error) {
		pvc, err = v.Client.CoreV1().PersistentVolumeClaims(pod.Namespace).Get(ctx, name, metav1.GetOptions{})
		return err
	})
	if err != nil {
		return "", fmt.Errorf("failed to fetch PVC from API server: %w", err)
	}
	switch {
	case owned && !metav1.IsControlledBy(pvc, pod):
		return "", fmt.Errorf("PVC %s/%s was not created for pod %s/%s (pod is not owner)", pvc.Namespace, pvc.Name, pod.Namespace, pod.Name)
	case pvc.DeletionTimestamp != nil && pvc.Status.Phase != corev1.ClaimBound:
		return "", errors.New("PVC is being deleted")
	case pvc.Status.Phase != corev1.ClaimBound || pvc.Spec.VolumeName == "":
		return "", errors.New("PVC is not bound")
	}
	var pv *corev1.PersistentVolume
	err = v.ask(ctx, func() (err error) {
		pv, err = v.Client.CoreV1().PersistentVolumes().Get(ctx, pvc.Spec.VolumeName, metav1.GetOptions{})
		return err
	})
	if err != nil {
		return "", fmt.Errorf("failed to fetch PV %s from API server: %w", pvc.Spec.VolumeName, err)
	}
	if err := v.checkNode(ctx, pv); err != nil {
		return "", err
	}
	switch ref := pv.Spec.ClaimRef; {
	case ref == nil || ref.UID != pvc.UID:
		return "", fmt.Errorf("PV %s is not bound to PVC %s/%s", pv.Name, pvc.Namespace, pvc.Name)
	case pv.Spec.VolumeMode != nil && *pv.Spec.VolumeMode == corev1.PersistentVolumeBlock:
		return "", fmt.Errorf("PV %s is a block device, which this node does not give to containers", pv.Name)
	case pv.Spec.HostPath != nil:
		return hostPath(pv.Spec.HostPath)
	case pv.Spec.Local != nil:
		path, err := filepath.EvalSymlinks(pv.Spec.Local.Path)
		if err != nil {
			return "", fmt.Errorf("local volume: %w", err)
		}
		return path, nil
	}
	return "", fmt.Errorf("PV %s is of a type that this node does not mount: it mounts hostPath and local volumes", pv.Name)
}

// elsewhereError means that the persistent volume belongs to other nodes.
type elsewhereError struct {
	pv  string
	err error
}

func (e *elsewhereError) Error() string {
	return fmt.Sprintf("MountVolume.NodeAffinity check failed for volume %q : %v", e.pv, e.err)
}

// checkNode returns an error if a persistent volume belongs to other nodes. On this node its path
// would be another directory.
func (v *Volumes) checkNode(ctx context.Context, pv *corev1.PersistentVolume) error {
	if pv.Spec.NodeAffinity == nil {
		return nil
	}
	labels, err := v.NodeLabels(ctx)
	if err != nil {
		return err
	}
	if err := storage.CheckNodeAffinity(pv, labels); err != nil {
		return &elsewhereError{pv.Name, err}
	}
	return nil
}
