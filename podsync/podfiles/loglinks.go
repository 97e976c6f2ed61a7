package podfiles

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// logLinks is a folder with a link to each log. The names tell log shippers whose log it is:
// POD_NAMESPACE_CONTAINER-ID.log. Others may have links there. The zero value has no folder and
// makes no links.
type logLinks struct{ dir string }

// maxLinkName is the longest name of a file on common file systems.
const maxLinkName = 255

// logLinkName is shortened at its end if it is too long. Log shippers also find a link without all
// of its ID.
func logLinkName(pod *corev1.Pod, container, id string) string {
	const suffix = ".log"
	name := fmt.Sprintf("%s_%s_%s-%s", pod.Name, pod.Namespace, container, id)
	return name[:min(len(name), maxLinkName-len(suffix))] + suffix
}

// make makes a link to a run's log, which may not exist yet.
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

// remove removes the links to logs below the folder; those that lead somewhere stay where only is
// dangling.
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

// linkState says which links are meant.
type linkState bool

const (
	anyState linkState = false
	dangling linkState = true // they lead nowhere
)

// LinkLog makes the link to a run's log, which need not be there yet.
func (d Pod) LinkLog(pod *corev1.Pod, container, id, log string) error {
	return d.links.make(pod, container, id, log)
}
