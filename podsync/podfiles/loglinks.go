package podfiles

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// logLinks is a folder with a link to each log. The names of the links tell log shippers which
// container wrote the log: POD_NAMESPACE_CONTAINER-ID.log. The folder may hold links of other
// programs. The zero value has no folder and makes no links.
type logLinks struct{ dir string }

// maxLinkName is the longest name of a file on common file systems.
const maxLinkName = 255

// logLinkName is the name of a link. If it is too long, its end is cut off. Log shippers also
// understand a name with an incomplete ID.
func logLinkName(pod *corev1.Pod, container, id string) string {
	const suffix = ".log"
	name := fmt.Sprintf("%s_%s_%s-%s", pod.Name, pod.Namespace, container, id)
	return name[:min(len(name), maxLinkName-len(suffix))] + suffix
}

// make makes a link to a run's log. The log need not exist yet.
func (l logLinks) make(pod *corev1.Pod, container, id, log string) error {
	if l.dir == "" {
		return nil
	}
	link := filepath.Join(l.dir, logLinkName(pod, container, id))
	err := os.Remove(link) // the shortened name of an earlier run may be the same
	if err == nil || errors.Is(err, os.ErrNotExist) {
		err = os.Symlink(log, link)
	}
	if err != nil {
		return fmt.Errorf("linking the container's log: %w", err)
	}
	return nil
}

// remove removes links to logs below the folder logs. With dangling it removes only the links whose
// log does not exist.
func (l logLinks) remove(logs string, only linkState) error {
	if l.dir == "" {
		return nil
	}
	entries, err := os.ReadDir(l.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("listing the links to logs: %w", err)
	}
	var errs []error
	for _, entry := range entries {
		link := filepath.Join(l.dir, entry.Name())
		log, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(log, logs+string(filepath.Separator)) {
			continue
		}
		if only == dangling {
			if _, err := os.Lstat(log); err == nil {
				continue
			}
		}
		if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("removing a link to a log: %w", err))
		}
	}
	return errors.Join(errs...)
}

// linkState says which links remove removes.
type linkState bool

const (
	anyState linkState = false
	dangling linkState = true // the links whose log does not exist
)

// LinkLog makes the link to a run's log. The log need not exist yet.
func (d Pod) LinkLog(pod *corev1.Pod, container, id, log string) error {
	return d.links.make(pod, container, id, log)
}
