package volume

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	corev1 "k8s.io/api/core/v1"
)

// Exceeded says, in the kubelet's words, which emptyDir holds more than its sizeLimit, or nothing. What is in memory has its
// bound from the kernel, and is not looked at.
func (v *Volumes) Exceeded(pod *corev1.Pod) string {
	for i := range pod.Spec.Volumes {
		volume := &pod.Spec.Volumes[i]
		m, ok := v.get(volume.Name)
		if !ok || volume.EmptyDir == nil || volume.EmptyDir.SizeLimit == nil || volume.EmptyDir.SizeLimit.Sign() <= 0 {
			continue
		}
		if on, err := isMount(m.host); err != nil || on {
			continue
		}
		if usage(m.host) > volume.EmptyDir.SizeLimit.Value() {
			return fmt.Sprintf("Usage of EmptyDir volume %q exceeds the limit %q. ", volume.Name, volume.EmptyDir.SizeLimit.String())
		}
	}
	return ""
}

// Spent is what directories take on disk together, in bytes.
func Spent(dirs ...string) int64 {
	var sum int64
	for _, dir := range dirs {
		sum += usage(dir)
	}
	return sum
}

// usage is what a directory takes on disk, in bytes, but for what is mounted in it. What goes while it is counted counts nothing.
func usage(dir string) int64 {
	var sum int64
	var disk syscall.Stat_t
	if syscall.Stat(dir, &disk) != nil {
		return 0
	}
	seen := map[uint64]bool{} // files with several names count once
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return nil
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if ok && st.Dev != disk.Dev && entry.IsDir() {
			return fs.SkipDir
		}
		if ok && !seen[st.Ino] {
			if st.Nlink > 1 && !entry.IsDir() {
				seen[st.Ino] = true
			}
			sum += st.Blocks * 512
		}
		return nil
	})
	return sum
}
