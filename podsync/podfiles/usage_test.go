package podfiles

import (
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

// docs/security.md: "without these, nothing bounds it."
func TestOutgrown(t *testing.T) {
	limited := func(pod *corev1.Pod, i int, limit string) {
		pod.Spec.Containers[i].Resources.Limits = corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse(limit)}
	}
	for name, tt := range map[string]struct {
		limits []string // of the containers a and b; empty for no limit
		where  string   // where 64 KiB were written, below the pod's folders
		want   string
	}{
		"no limit":            {[]string{"", ""}, "pod/containers/a/root/x", ""},
		"within":              {[]string{"1Mi", "1Mi"}, "pod/containers/a/root/x", ""},
		"its root":            {[]string{"32Ki", "1Mi"}, "pod/containers/a/root/x", `Container a exceeded its local ephemeral storage limit "32Ki". `},
		"its log":             {[]string{"1Mi", "32Ki"}, "logs/b/0.log", `Container b exceeded its local ephemeral storage limit "32Ki". `},
		"another's root":      {[]string{"32Ki", "1Mi"}, "pod/containers/b/root/x", ""},
		"a volume, together":  {[]string{"16Ki", "16Ki"}, "pod/volumes/v/x", "Pod ephemeral local storage usage exceeds the total limit of containers 32Ki. "},
		"a volume, with room": {[]string{"16Ki", "1Mi"}, "pod/volumes/v/x", ""},
	} {
		t.Run(name, func(t *testing.T) {
			pod := testpod.New(corev1.RestartPolicyAlways, "a", "b")
			for i, limit := range tt.limits {
				if limit != "" {
					limited(pod, i, limit)
				}
			}
			base := t.TempDir()
			d := Pod{Dir: filepath.Join(base, "pod"), logs: filepath.Join(base, "logs")}
			testfiles.Write(t, filepath.Join(base, tt.where), "")
			if err := os.WriteFile(filepath.Join(base, tt.where), make([]byte, 64<<10), 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := d.Outgrown(t.Context(), pod); got != tt.want || err != nil {
				t.Errorf("%q %v, want %q", got, err, tt.want)
			}
		})
	}
}
