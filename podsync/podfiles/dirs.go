package podfiles

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/podsync/volume"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
	"github.com/krustlet-go/krustlet-wasi/runtime/logfile"
)

// Pod has the paths of a pod's folders. It has many methods: each file of a pod has one method for
// its path, one that writes it, and one that reads it.
type Pod struct {
	Dir   string // pods/UID: only the agent's user may read it
	notes string // notes/UID: the same, and workers cannot see it
	logs  string // logs/NAMESPACE_NAME_UID
	links logLinks
}

// Layout is where an agent keeps the files of its pods. All paths are absolute.
type Layout struct {
	Data  string // holds pods/ and notes/
	Logs  string // holds a folder of logs for each pod, and may hold other files
	Links string // links to logs; empty for no links
}

// Of are the paths of the folders of a pod.
func (l Layout) Of(pod *corev1.Pod) Pod {
	return Pod{
		Dir:   filepath.Join(podsDir(l.Data), string(pod.UID)),
		notes: filepath.Join(notesDir(l.Data), string(pod.UID)),
		logs:  filepath.Join(l.Logs, fmt.Sprintf("%s_%s_%s", pod.Namespace, pod.Name, pod.UID)),
		links: logLinks{l.Links},
	}
}

func podsDir(dataDir string) string { return filepath.Join(dataDir, "pods") }

func (d Pod) Make() error {
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return fmt.Errorf("making the pod's folder: %w", err)
	}
	if err := os.MkdirAll(d.logs, 0o755); err != nil {
		return fmt.Errorf("making the folder of the pod's logs: %w", err)
	}
	return nil
}

// Remove removes the logs first. So if the pod's folder is removed, its logs are removed too.
func (d Pod) Remove(ctx context.Context) error {
	if d.logs != "" {
		if err := d.RemoveLogs(ctx); err != nil {
			return err
		}
	}
	if err := volume.Remove(ctx, d.Dir); err != nil {
		return fmt.Errorf("removing the pod's folder: %w", err)
	}
	if err := filetree.Remove(ctx, d.notes); err != nil {
		return fmt.Errorf("removing what was noted of the pod: %w", err)
	}
	return nil
}

func (d Pod) RemoveLogs(ctx context.Context) error {
	if err := d.links.remove(d.logs, anyState); err != nil {
		return err
	}
	if err := filetree.Remove(ctx, d.logs); err != nil {
		return fmt.Errorf("removing the pod's logs: %w", err)
	}
	return nil
}

// Container is the folder for the runs of a container.
func (d Pod) Container(name string) string { return filepath.Join(d.Dir, "containers", name) }

func (d Pod) Log(container string, attempt int32) string {
	return filepath.Join(d.logs, container, strconv.Itoa(int(attempt))+".log")
}

// logsKept is how many runs of a container keep their log: the last run, and the run before it for
// `kubectl logs --previous`.
const logsKept = 2

// MakeRun makes the files that one run of a container needs: a root directory of its own, and the
// folder of its log. It removes the files of earlier runs.
func (d Pod) MakeRun(ctx context.Context, c *corev1.Container, attempt int32, image string) (log string, mounts []runtime.Mount, err error) {
	dir := d.Container(c.Name)
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
	log = d.Log(c.Name, attempt)
	if err := os.MkdirAll(filepath.Dir(log), 0o755); err != nil {
		return "", nil, fmt.Errorf("making the folder of the container's logs: %w", err)
	}
	if err := d.pruneLogs(c.Name, attempt); err != nil {
		return "", nil, err
	}
	return log, []runtime.Mount{root}, nil
}

// pruneLogs removes the logs of old runs when the run attempt begins.
func (d Pod) pruneLogs(container string, attempt int32) error {
	found, err := attempts(filepath.Dir(d.Log(container, attempt)))
	if err != nil {
		return err
	}
	for _, a := range found {
		if a > attempt-logsKept {
			continue
		}
		if err := logfile.Remove(d.Log(container, a)); err != nil {
			return err
		}
	}
	return d.links.remove(filepath.Dir(d.Log(container, attempt)), dangling)
}

// LastAttempt is the attempt with the newest log on disk, or -1.
func (d Pod) LastAttempt(container string) int32 {
	found, err := attempts(filepath.Dir(d.Log(container, 0)))
	if err != nil || len(found) == 0 {
		return -1
	}
	return slices.Max(found)
}

// attempts are the attempts that have a log in dir. dir may not exist. If an attempt's log was
// rotated, the attempt is listed several times.
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

// RemoveOrphans removes the folders of pods for which known returns false: they were deleted while
// no agent ran. The folder of logs may hold logs of other programs, so logs are removed only
// together with a pod's folder. It continues after an error, and returns the first one.
func (l Layout) RemoveOrphans(ctx context.Context, known func(types.UID) bool) error {
	pods, first := entriesOf(podsDir(l.Data))
	logs, err := entriesOf(l.Logs)
	if first == nil {
		first = err
	}
	for _, uid := range pods {
		if known(types.UID(uid)) {
			continue
		}
		d := Pod{Dir: filepath.Join(podsDir(l.Data), uid), notes: filepath.Join(notesDir(l.Data), uid), links: logLinks{l.Links}}
		for _, name := range logs {
			if parts := strings.Split(name, "_"); len(parts) == 3 && parts[2] == uid {
				d.logs = filepath.Join(l.Logs, name)
			}
		}
		if err := d.Remove(ctx); err != nil && first == nil {
			first = err
		}
	}
	if err := removeOrphanNotes(ctx, l.Data, known); err != nil && first == nil {
		first = err
	}
	return first
}

// entriesOf are the names in a folder. The folder may not exist.
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
