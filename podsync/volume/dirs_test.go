package volume

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"kernel.org/pub/linux/libs/security/libcap/cap"

	"github.com/krustlet-go/krustlet-wasi/hack/deeptree"
	"github.com/krustlet-go/krustlet-wasi/hack/ownprocess"
	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
)

// docs/security.md: "A `hostPath` shows the machine"
func TestHostPath(t *testing.T) {
	dir := t.TempDir()
	testfiles.Write(t, filepath.Join(dir, "file"), "x")
	if err := os.Symlink("file", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, test := range []struct {
		kind corev1.HostPathType
		path string
		want string // the real path, or an error
	}{
		{corev1.HostPathUnset, "made/deep", "made/deep"},
		{corev1.HostPathUnset, "file", "file"},
		{corev1.HostPathUnset, "link", "file"},
		{corev1.HostPathDirectory, "", ""},
		{corev1.HostPathDirectory, "file", "hostPath type check failed: %/file is not a directory"},
		{corev1.HostPathDirectory, "none", "no such file"},
		{corev1.HostPathDirectoryOrCreate, "made-dir", "made-dir"},
		{corev1.HostPathDirectoryOrCreate, "file", "%/file is not a directory"},
		{corev1.HostPathFile, "link", "file"},
		{corev1.HostPathFile, "none", "no such file"},
		{corev1.HostPathFile, "socket", "%/socket is not a file"},
		{corev1.HostPathFileOrCreate, "made-file", "made-file"},
		{corev1.HostPathFileOrCreate, "none/file", "no such file"},
		{corev1.HostPathSocket, "socket", "socket"},
		{corev1.HostPathSocket, "file", "%/file is not a socket file"},
		{corev1.HostPathCharDev, "../../../../../../../dev/null", "/dev/null"},
		{corev1.HostPathCharDev, "file", "%/file is not a character device"},
		{corev1.HostPathBlockDev, "file", "%/file is not a block device"},
	} {
		kind := test.kind
		got, err := hostPath(&corev1.HostPathVolumeSource{Path: dir + "/" + test.path, Type: &kind})
		want := strings.ReplaceAll(test.want, "%", dir)
		if err != nil {
			if want == "" || !strings.Contains(err.Error(), want) {
				t.Errorf("%s as %q: error %v, want %q", test.path, kind, err, want)
			}
			continue
		}
		if !filepath.IsAbs(want) {
			want = filepath.Join(dir, want)
		}
		if got != want {
			t.Errorf("%s as %q: %s, want %s", test.path, kind, got, want)
		}
	}
}

func TestClaims(t *testing.T) {
	dir := t.TempDir()
	pvc := func(name string, change func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
		c := &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: "claim"},
			Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: name},
			Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
		}
		if change != nil {
			change(c)
		}
		return c
	}
	pv := func(name string, source corev1.PersistentVolumeSource, owner string) *corev1.PersistentVolume {
		return &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeSource: source, ClaimRef: &corev1.ObjectReference{UID: "claim", Name: owner},
		}}
	}
	local := corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: dir}}
	stolen := pv("stolen", local, "stolen")
	stolen.Spec.ClaimRef.UID = "other"
	in := func(pv *corev1.PersistentVolume, zone string) *corev1.PersistentVolume {
		pv.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{zone}}},
		}}}}
		return pv
	}
	v := newVolumes(t, &cluster{},
		pvc("here", nil), in(pv("here", local, "here"), "here"), pvc("there", nil), in(pv("there", local, "there"), "there"),
		pvc("local", nil), pv("local", local, "local"),
		pvc("host", nil), pv("host", corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir}}, "host"),
		pvc("nfs", nil), pv("nfs", corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{}}, "nfs"),
		pvc("stolen", nil), stolen,
		pvc("pending", func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimPending }),
		pvc("p-e", func(c *corev1.PersistentVolumeClaim) {
			c.Spec.VolumeName = "local"
			c.OwnerReferences = []metav1.OwnerReference{{UID: "uid", Controller: ptr(true)}}
		}),
	)
	pod := podWith(corev1.VolumeSource{})
	for name, want := range map[string]string{
		"here": "", "there": `MountVolume.NodeAffinity check failed for volume "there" : no matching NodeSelectorTerms`,
		"local": "", "host": "", "nfs": "PV nfs is of a type", "stolen": "not bound to PVC ns/stolen", "pending": "PVC is not bound", "none": "failed to fetch PVC",
	} {
		got, err := v.claim(t.Context(), pod, name, false)
		if want == "" && (err != nil || got != dir) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %q %v, want %q", name, got, err, want)
		}
	}
	there := podWith(corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "there"}})
	if failed := v.SetUp(t.Context(), there); len(failed) != 1 || failed[0].Error() != `MountVolume.NodeAffinity check failed for volume "there" : no matching NodeSelectorTerms` {
		t.Errorf("a volume of another node: %v", failed)
	}
	if got, err := v.claim(t.Context(), pod, "p-e", true); err != nil || got != dir {
		t.Errorf("a claim of the pod's own: %q %v", got, err)
	}
	if _, err := v.claim(t.Context(), pod, "local", true); err == nil || !strings.Contains(err.Error(), "pod is not owner") {
		t.Errorf("a claim that is not the pod's: %v", err)
	}
}

func TestSizeLimit(t *testing.T) {
	size := resource.MustParse("64Ki")
	v := newVolumes(t, &cluster{})
	pod := podWith(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &size}})
	if failed := v.SetUp(t.Context(), pod); len(failed) > 0 {
		t.Fatal(failed)
	}
	at := v.made["v"].host
	testfiles.Write(t, filepath.Join(at, "d", "a"), strings.Repeat("x", 32<<10))
	if err := os.Link(filepath.Join(at, "d", "a"), filepath.Join(at, "again")); err != nil {
		t.Fatal(err)
	}
	if got, err := v.Exceeded(t.Context(), pod); got != "" || err != nil {
		t.Errorf("half full: %s %v", got, err)
	}
	testfiles.Write(t, filepath.Join(at, "b"), strings.Repeat("x", 48<<10))
	if got, err := v.Exceeded(t.Context(), pod); err != nil || got != `Usage of EmptyDir volume "v" exceeds the limit "64Ki". ` {
		t.Errorf("overfull: %q %v", got, err)
	}
}

func mayMount(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("x", dir, "tmpfs", 0, ""); err != nil {
		t.Skipf("this process may not mount: %v", err)
	}
	if err := unix.Unmount(dir, 0); err != nil {
		t.Fatal(err)
	}
}

func TestMemory(t *testing.T) {
	mayMount(t)
	size := resource.MustParse("64Ki")
	pod := podWith(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: &size}})
	v := newVolumes(t, &cluster{})
	if failed := v.SetUp(t.Context(), pod); len(failed) > 0 {
		t.Fatal(failed)
	}
	at := v.made["v"].host
	testfiles.Write(t, filepath.Join(at, "small"), "x")
	if err := os.WriteFile(filepath.Join(at, "large"), make([]byte, 128<<10), 0o644); err == nil {
		t.Error("more fits in than the size limit")
	}
	// The next agent finds the mount.
	if failed := New(v.Config).SetUp(t.Context(), pod); len(failed) > 0 {
		t.Fatal(failed)
	}
	if text, err := os.ReadFile(filepath.Join(at, "small")); string(text) != "x" {
		t.Errorf("the next agent's set-up emptied it: %q %v", text, err)
	}
	if err := Remove(t.Context(), filepath.Dir(v.Dir)); err != nil {
		t.Fatal(err)
	}
	if mounts, err := mountsBelow(v.Dir); err != nil || len(mounts) > 0 {
		t.Errorf("left mounted: %v %v", mounts, err)
	}
	if _, err := os.Stat(v.Dir); !os.IsNotExist(err) {
		t.Errorf("left on disk: %v", err)
	}
}

// TestRemoveKeepsWhatIsNotOurs: nothing behind a link or in another mount is removed.
func TestRemoveKeepsWhatIsNotOurs(t *testing.T) {
	precious, pod := t.TempDir(), filepath.Join(t.TempDir(), "pod")
	kept := filepath.Join(precious, "kept")
	testfiles.Write(t, kept, "x")
	testfiles.Write(t, filepath.Join(pod, "volumes", "v", "y"), "y")
	if err := os.Symlink(precious, filepath.Join(pod, "volumes", "link")); err != nil {
		t.Fatal(err)
	}
	if err := Remove(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Fatalf("removed through a link: %v", err)
	}
	if err := Remove(t.Context(), pod); err != nil {
		t.Errorf("a folder that does not exist: %v", err)
	}
	mayMount(t)
	at := filepath.Join(pod, "a b", "m")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(precious, at, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) })
	if err := Remove(t.Context(), pod); err == nil || !strings.Contains(err.Error(), at) {
		t.Errorf("with something mounted in it: %v", err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Fatalf("removed through a mount: %v", err)
	}
}

func TestParseMounts(t *testing.T) {
	const table = `22 27 0:21 / /proc rw - proc proc rw
30 27 0:1 / /data/pods/u rw shared:1 - tmpfs krustlet-wasi rw
31 27 0:1 / /data/pods/u\040x/a\134b rw - tmpfs krustlet-wasi rw
32 27 0:1 / /data/pods/u/v rw - tmpfs other rw
nonsense
`
	got := parseMounts(table, "/data/pods/u")
	if len(got) != 2 || got[0] != (mount{"/data/pods/u", "krustlet-wasi"}) || got[1] != (mount{"/data/pods/u/v", "other"}) {
		t.Errorf("%v", got)
	}
	if got := parseMounts(table, "/data/pods/u x"); len(got) != 1 || got[0].at != `/data/pods/u x/a\b` {
		t.Errorf("%v", got)
	}
}

// TestSizeLimitCountsAll: the limit counts files at any depth, and files in directories that the
// owner cannot read.
// docs/security.md: "What a guest writes to its files is bounded by `sizeLimit` and
// `ephemeral-storage`, within half a minute, at any depth"
func TestSizeLimitCountsAll(t *testing.T) {
	if !ownprocess.Enter(t, 0) {
		return
	}
	size := resource.MustParse("10Mi")
	pod := podWith(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &size}})
	const exceeded = `Usage of EmptyDir volume "v" exceeds the limit "10Mi". `
	for _, test := range []struct {
		name string
		make func(at string)
		want string
	}{
		{"deep, and small", func(at string) { deeptree.Make(t, at, 300, 1<<20) }, ""},
		{"deep", func(at string) { deeptree.Make(t, at, 300, 12<<20) }, exceeded},
		{"hidden", func(at string) {
			testfiles.Write(t, filepath.Join(at, "closed", "file"), "x")
			if err := os.Chmod(filepath.Join(at, "closed"), 0); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(filepath.Join(at, "closed"), 0o700) })
			if err := cap.NewSet().SetProc(); err != nil { // else root could read everything
				t.Fatal(err)
			}
		}, exceeded + Uncounted},
	} {
		v := newVolumes(t, &cluster{})
		if failed := v.SetUp(t.Context(), pod); len(failed) > 0 {
			t.Fatal(failed)
		}
		test.make(v.made["v"].host)
		if got, err := v.Exceeded(t.Context(), pod); got != test.want || err != nil {
			t.Errorf("%s: %q %v, want %q", test.name, got, err, test.want)
		}
	}
}
