package podfiles

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/podsync/address"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

func (d Pod) KeepSpec(container string, spec runtime.Spec) error {
	content, err := json.Marshal(spec)
	if err == nil {
		err = writeWhole(d.specFile(container), string(content)) // a command may read it at any time
	}
	if err != nil {
		return fmt.Errorf("noting what the container runs: %w", err)
	}
	return nil
}

// Spec is the spec that KeepSpec noted last, if that is the spec of the run with this ID.
func (d Pod) Spec(container, id string) (runtime.Spec, error) {
	var spec runtime.Spec
	err := readJSON(d.specFile(container), &spec)
	if err == nil && spec.ID != id {
		err = errors.New("the container has another run by now")
	}
	if damaged := (*damagedError)(nil); errors.As(err, &damaged) {
		return runtime.Spec{}, fmt.Errorf("what the container runs is not known any more, so commands and probes cannot run in it until it is started again; delete the pod for that: %w", err)
	}
	if err != nil {
		return runtime.Spec{}, fmt.Errorf("reading what the container runs: %w", err)
	}
	return spec, nil
}

// KeepShown notes the images that a run shows, before the run begins. They are in use as long as
// the run goes on, even if their references name other images later, or another agent starts.
func (d Pod) KeepShown(container string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	if err := writeWhole(d.shownFile(container), strings.Join(ids, "\n")+"\n"); err != nil {
		return fmt.Errorf("noting which images the container is shown: %w", err)
	}
	return nil
}

// Shown are the IDs of the images that a pod's volumes show. The folder of notes may be a glob
// pattern for the folders of several pods.
func (d Pod) Shown() ([]string, error) {
	files, err := filepath.Glob(d.shownFile("*"))
	if err != nil {
		return nil, err
	}
	var used []string
	for _, file := range files {
		content, err := readState(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed in the meantime
		}
		if err != nil {
			return nil, fmt.Errorf("reading which images containers are shown: %w", err)
		}
		used = append(used, strings.Fields(string(content))...)
	}
	return used, nil
}

// Handler is the handler that KeepHandler noted last. It is empty if there is no note or the note
// is damaged: then the agent reads the pod's RuntimeClass again.
func (d Pod) Handler() (string, error) {
	handler, err := readState(d.HandlerFile())
	if damaged := (*damagedError)(nil); errors.As(err, &damaged) {
		return "", nil
	}
	if err != nil && !os.IsNotExist(err) {
		return "", fmt.Errorf("reading which handler the pod has: %w", err)
	}
	return string(handler), nil
}

// KeepHandler notes the handler of the pod's RuntimeClass for later agents, atomically.
func (d Pod) KeepHandler(handler string) error {
	if err := writeWhole(d.HandlerFile(), handler); err != nil {
		return fmt.Errorf("noting which handler the pod has: %w", err)
	}
	return nil
}

// KeepAddresses notes for later agents which addresses the pod has, or that it has the node's.
func (d Pod) KeepAddresses(p podspec.Addresses) error {
	var lines strings.Builder
	for _, a := range p.Own {
		fmt.Fprintln(&lines, a)
	}
	if err := writeWhole(d.addressesFile(), lines.String()); err != nil {
		return fmt.Errorf("noting the pod's addresses: %w", err)
	}
	return nil
}

// Addresses are those that KeepAddresses noted last. They are unknown if there is no note, or none
// that can be read: then the pod's status has them.
func (d Pod) Addresses() podspec.Addresses {
	content, err := readState(d.addressesFile())
	if err != nil {
		return podspec.Addresses{}
	}
	own, err := address.Parse(strings.Fields(string(content)))
	return podspec.Addresses{Known: err == nil, Own: own}
}
