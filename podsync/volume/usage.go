package volume

import (
	"errors"
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
		if usage(m.host, 0).Bytes > volume.EmptyDir.SizeLimit.Value() {
			return fmt.Sprintf("Usage of EmptyDir volume %q exceeds the limit %q. ", volume.Name, volume.EmptyDir.SizeLimit.String())
		}
	}
	return ""
}

// Usage is what a directory takes on disk.
type Usage struct {
	Bytes  int64
	Inodes int64
}

// Spent is what directories take on disk together, in bytes.
func Spent(dirs ...string) int64 { return Taken(dirs...).Bytes }

// Taken is what directories take on disk together.
func Taken(dirs ...string) Usage {
	var sum Usage
	for _, dir := range dirs {
		u := usage(dir, 0)
		sum.Bytes, sum.Inodes = sum.Bytes+u.Bytes, sum.Inodes+u.Inodes
	}
	return sum
}

// errEnough ends a count.
var errEnough = errors.New("enough was counted")

// usage is what a directory takes, but for what is mounted in it. What goes while it is counted counts nothing. With a limit, no
// more files are counted than that, and it is a lower bound.
func usage(dir string, limit int64) Usage {
	var sum Usage
	var disk syscall.Stat_t
	if syscall.Stat(dir, &disk) != nil {
		return sum
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
			sum.Bytes += st.Blocks * 512
			if sum.Inodes++; sum.Inodes == limit {
				return errEnough
			}
		}
		return nil
	})
	return sum
}
