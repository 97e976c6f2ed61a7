package podsync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/podsync/volume"
	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
	"github.com/krustlet-go/krustlet-wasi/runtime/logfile"
)

// podDirs are a pod's folders below the data directory.
type podDirs struct {
	pod   string // pods/UID: for the agent's user only
	notes string // notes/UID: as above, and hidden from workers
	logs  string // logs/NAMESPACE_NAME_UID
	links logLinks
}

// dirs are a pod's folders where the settings have them.
func (m *Manager) dirs(pod *corev1.Pod) podDirs {
	return podDirs{
		pod:   filepath.Join(podsDir(m.DataDir), string(pod.UID)),
		notes: filepath.Join(notesDir(m.DataDir), string(pod.UID)),
		logs:  filepath.Join(m.logsDir(), fmt.Sprintf("%s_%s_%s", pod.Namespace, pod.Name, pod.UID)),
		links: logLinks{m.LogLinksDir},
	}
}

func (m *Manager) logsDir() string {
	if m.LogsDir != "" {
		return m.LogsDir
	}
	return filepath.Join(m.DataDir, "logs")
}

func podsDir(dataDir string) string { return filepath.Join(dataDir, "pods") }

func (d podDirs) make() error {
	if err := os.MkdirAll(d.pod, 0o700); err != nil {
		return fmt.Errorf("making the pod's folder: %w", err)
	}
	if err := os.MkdirAll(d.logs, 0o755); err != nil {
		return fmt.Errorf("making the folder of the pod's logs: %w", err)
	}
	return nil
}

// remove removes the logs first: where the pod's folder is gone, they are.
func (d podDirs) remove(ctx context.Context) error {
	if d.logs != "" {
		if err := d.removeLogs(ctx); err != nil {
			return err
		}
	}
	if err := volume.Remove(ctx, d.pod); err != nil {
		return fmt.Errorf("removing the pod's folder: %w", err)
	}
	if err := filetree.Remove(ctx, d.notes); err != nil {
		return fmt.Errorf("removing what was noted of the pod: %w", err)
	}
	return nil
}

func (d podDirs) removeLogs(ctx context.Context) error {
	if err := d.links.remove(d.logs, anyState); err != nil {
		return err
	}
	if err := filetree.Remove(ctx, d.logs); err != nil {
		return fmt.Errorf("removing the pod's logs: %w", err)
	}
	return nil
}

// handler is what keepHandler was given last, or empty, also where that is damaged: the pod's RuntimeClass says it again.
func (d podDirs) handler() (string, error) {
	handler, err := readState(d.handlerFile())
	if damaged := (*damagedError)(nil); errors.As(err, &damaged) {
		return "", nil
	}
	if err != nil && !os.IsNotExist(err) {
		return "", fmt.Errorf("reading which handler the pod has: %w", err)
	}
	return string(handler), nil
}

// keepHandler notes the handler of the pod's RuntimeClass, for agents to come. They see all of it or nothing.
func (d podDirs) keepHandler(handler string) error {
	if err := writeWhole(d.handlerFile(), handler); err != nil {
		return fmt.Errorf("noting which handler the pod has: %w", err)
	}
	return nil
}

// writeWhole writes a file for the agent's user, of which others see all or nothing.
func writeWhole(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // never what somebody else has put there
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// container is where a container's runs keep what is theirs.
func (d podDirs) container(name string) string { return filepath.Join(d.pod, "containers", name) }

func (d podDirs) log(container string, attempt int32) string {
	return filepath.Join(d.logs, container, strconv.Itoa(int(attempt))+".log")
}

// logsKept is how many runs of a container keep their log: the last one and, for `kubectl logs --previous`, the
// one before.
const logsKept = 2

// makeRun makes what one run of a container needs: a root directory of its own, and the folder of its log. What earlier
// runs left is cleared away.
func (d podDirs) makeRun(ctx context.Context, c *corev1.Container, attempt int32, image *registry.Root) (log string, mounts []runtime.Mount, err error) {
	dir := d.container(c.Name)
	if err := volume.Remove(ctx, dir); err != nil {
		return "", nil, fmt.Errorf("clearing what the container's last run left: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, fmt.Errorf("making the container's folder: %w", err)
	}
	if err := d.clearNotes(ctx, c.Name); err != nil {
		return "", nil, err
	}
	root, err := d.makeRoot(ctx, c, image)
	if err != nil {
		return "", nil, err
	}
	log = d.log(c.Name, attempt)
	if err := os.MkdirAll(filepath.Dir(log), 0o755); err != nil {
		return "", nil, fmt.Errorf("making the folder of the container's logs: %w", err)
	}
	if err := d.pruneLogs(c.Name, attempt); err != nil {
		return "", nil, err
	}
	return log, []runtime.Mount{root}, nil
}

// pruneLogs removes the logs of runs that are too old to be asked for, once attempt runs.
func (d podDirs) pruneLogs(container string, attempt int32) error {
	found, err := attempts(filepath.Dir(d.log(container, attempt)))
	if err != nil {
		return err
	}
	for _, a := range found {
		if a > attempt-logsKept {
			continue
		}
		if err := logfile.Remove(d.log(container, a)); err != nil {
			return err
		}
	}
	return d.links.remove(filepath.Dir(d.log(container, attempt)), dangling)
}

// lastAttempt is the attempt whose log is the newest on disk, or -1.
func (d podDirs) lastAttempt(container string) int32 {
	found, err := attempts(filepath.Dir(d.log(container, 0)))
	if err != nil || len(found) == 0 {
		return -1
	}
	return slices.Max(found)
}

// attempts are the runs that have a log in dir, which may not exist. One whose log was rotated may be there several times.
func attempts(dir string) ([]int32, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("listing a container's logs: %w", err)
	}
	var found []int32
	for _, entry := range entries {
		number, ok := strings.CutSuffix(logfile.Of(entry.Name()), ".log")
		if a, err := strconv.ParseInt(number, 10, 32); ok && err == nil {
			found = append(found, int32(a))
		}
	}
	return found, nil
}

// removeOrphans removes the folders of pods that known does not know: pods that were deleted while no
// agent ran. Others may have logs where ours are, so those go by the pods' folders. It goes on past what it cannot
// remove, and returns the first error.
func removeOrphans(ctx context.Context, dataDir, logsDir string, links logLinks, known func(types.UID) bool) error {
	pods, first := entriesOf(podsDir(dataDir))
	logs, err := entriesOf(logsDir)
	if first == nil {
		first = err
	}
	for _, uid := range pods {
		if known(types.UID(uid)) {
			continue
		}
		d := podDirs{pod: filepath.Join(podsDir(dataDir), uid), notes: filepath.Join(notesDir(dataDir), uid), links: links}
		for _, name := range logs {
			if parts := strings.Split(name, "_"); len(parts) == 3 && parts[2] == uid {
				d.logs = filepath.Join(logsDir, name)
			}
		}
		if err := d.remove(ctx); err != nil && first == nil {
			first = err
		}
	}
	if err := removeOrphanNotes(ctx, dataDir, known); err != nil && first == nil {
		first = err
	}
	return first
}

// entriesOf are the names in a folder, which need not be there.
func entriesOf(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, nil
}
