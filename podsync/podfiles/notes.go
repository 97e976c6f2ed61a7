package podfiles

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
)

// The agent's notes for later agents are not below pods/, because a shared worker can write
// everything there.
func notesDir(dataDir string) string { return filepath.Join(dataDir, "notes") }

func (d Pod) HandlerFile() string { return filepath.Join(d.notes, "handler") }

func (d Pod) addressesFile() string { return filepath.Join(d.notes, "addresses") }

// specFile has the spec of a container's run. This agent or a later one needs it for commands
// beside the run. The file has the values of Secrets, because the run has them.
func (d Pod) specFile(container string) string {
	return filepath.Join(d.notes, "runs", container+".json")
}

// shownFile has the IDs of the images that the volumes of a container's run show, one on each line.
func (d Pod) shownFile(container string) string {
	return filepath.Join(d.notes, "images", container)
}

// spentFile has what the ended runs of a container have used.
func (d Pod) spentFile(container string) string {
	return filepath.Join(d.notes, "spent", container)
}

// clearNotes removes the notes of a container's last run.
func (d Pod) clearNotes(ctx context.Context, container string) error {
	for _, file := range []string{d.specFile(container), d.shownFile(container)} {
		if err := filetree.Remove(ctx, file); err != nil {
			return fmt.Errorf("clearing what was noted of the container's last run: %w", err)
		}
	}
	return nil
}

// AdoptNotes moves the notes of earlier agents to their present folder. Earlier agents had them in
// the pods' folders. Once the new folder exists, AdoptNotes reads nothing from the pods' folders,
// because workers may have written there.
func AdoptNotes(dataDir string) error {
	err := movePodNotes(dataDir)
	if err != nil {
		return fmt.Errorf("moving what an earlier agent noted of its pods to %s: %w", notesDir(dataDir), err)
	}
	return nil
}

func movePodNotes(dataDir string) error {
	if _, err := os.Lstat(notesDir(dataDir)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	part := notesDir(dataDir) + ".part" // an agent that was killed may have moved some notes already
	if err := os.MkdirAll(part, 0o700); err != nil {
		return err
	}
	uids, err := entriesOf(podsDir(dataDir))
	if err != nil {
		return err
	}
	var first error // of one note: the other notes must not be lost because of it
	for _, uid := range uids {
		from := filepath.Join(podsDir(dataDir), uid)
		if !isFolder(from) {
			continue
		}
		to := Pod{notes: filepath.Join(part, uid)}
		moves := map[string]string{
			"handler":   to.HandlerFile(),
			"addresses": to.addressesFile(),
		}
		for _, c := range namesBelow(from, "containers") {
			if !isFolder(filepath.Join(from, "containers", c)) {
				continue // a link may lead to the folder of another pod
			}
			moves[filepath.Join("containers", c, "run.json")] = to.specFile(c)
			moves[filepath.Join("containers", c, "images")] = to.shownFile(c)
		}
		for _, c := range namesBelow(from, "spent") {
			moves[filepath.Join("spent", c)] = to.spentFile(c)
		}
		for name, path := range moves {
			if err := moveNote(filepath.Join(from, name), path); err != nil && first == nil {
				first = err
			}
		}
	}
	return errors.Join(first, os.Rename(part, notesDir(dataDir)))
}

// isFolder reports whether path is a folder. A link to a folder does not count.
func isFolder(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}

// namesBelow are the names in a folder of a pod. There are none if path is not a folder.
func namesBelow(pod, folder string) []string {
	if !isFolder(filepath.Join(pod, folder)) {
		return nil
	}
	// A folder that is unreadable counts as damaged, and its notes are lost.
	names, _ := entriesOf(filepath.Join(pod, folder))
	return names
}

// moveNote moves a note. The note may not exist. Only a regular file is a note.
func moveNote(from, to string) error {
	if info, err := os.Lstat(from); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// removeOrphanNotes removes the notes of a pod if known returns false and the pod's folder is
// removed.
func removeOrphanNotes(ctx context.Context, dataDir string, known func(types.UID) bool) error {
	uids, err := entriesOf(notesDir(dataDir))
	for _, uid := range uids {
		if _, statErr := os.Lstat(filepath.Join(podsDir(dataDir), uid)); known(types.UID(uid)) || statErr == nil {
			continue
		}
		err = errors.Join(err, filetree.Remove(ctx, filepath.Join(notesDir(dataDir), uid)))
	}
	return err
}
