package volume

import (
	"reflect"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestEachVolumeHasAtMostOneKind sets one field of the API's type at a time. It fails when the API
// has a new kind of volume. Then add a row for it, or add it here as a kind that this node does not
// make.
func TestEachVolumeHasAtMostOneKind(t *testing.T) {
	notMade := []string{
		"GCEPersistentDisk", "AWSElasticBlockStore", "GitRepo", "NFS", "ISCSI", "Glusterfs", "RBD", "FlexVolume", "Cinder",
		"CephFS", "Flocker", "FC", "AzureFile", "VsphereVolume", "Quobyte", "AzureDisk", "PhotonPersistentDisk",
		"PortworxVolume", "ScaleIO", "StorageOS", "CSI",
	}
	seen := map[*kind]string{}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[corev1.VolumeSource]()) {
		var source corev1.VolumeSource
		reflect.ValueOf(&source).Elem().FieldByIndex(field.Index).Set(reflect.New(field.Type.Elem()))
		k := kindOf(&source)
		if made := !slices.Contains(notMade, field.Name); made != (k != nil) {
			t.Errorf("%s: a row is there: %t, want %t", field.Name, k != nil, made)
		}
		if k == nil {
			continue
		}
		if other := seen[k]; other != "" {
			t.Errorf("%s and %s have the same row", field.Name, other)
		}
		seen[k] = field.Name
	}
	if len(seen) != len(kinds) {
		t.Errorf("%d rows of %d are of a field of the API", len(seen), len(kinds))
	}
}

func TestEachKindHasOneSourceOfItsFiles(t *testing.T) {
	for i, k := range kinds {
		sources := 0
		for _, there := range []bool{k.content != nil, k.dir != nil, k.image != nil} {
			if there {
				sources++
			}
		}
		if sources != 1 {
			t.Errorf("row %d has %d sources of files, want one", i, sources)
		}
	}
}
