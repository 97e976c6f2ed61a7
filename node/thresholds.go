package node

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Signal is a measure of what the machine has left. It has the kubelet's name.
type Signal string

const (
	MemoryAvailable Signal = "memory.available"
	DiskAvailable   Signal = "nodefs.available"
	InodesFree      Signal = "nodefs.inodesFree"
	PIDAvailable    Signal = "pid.available"
)

// kinds are the signals, the most urgent first.
var kinds = []struct {
	signal    Signal
	resource  string // the kubelet's name of what is short
	condition corev1.NodeConditionType
	format    resource.Format
	read      func(m machine) (left, all int64) // all is 0 if that is not known
}{
	{MemoryAvailable, "memory", corev1.NodeMemoryPressure, resource.BinarySI, func(m machine) (int64, int64) { return m.memoryFree, m.memory }},
	{DiskAvailable, "ephemeral-storage", corev1.NodeDiskPressure, resource.BinarySI, func(m machine) (int64, int64) { return m.diskFree, m.disk }},
	{InodesFree, "inodes", corev1.NodeDiskPressure, resource.DecimalSI, func(m machine) (int64, int64) { return m.inodesFree, m.inodes }},
	{PIDAvailable, "pids", corev1.NodePIDPressure, resource.DecimalSI, func(m machine) (int64, int64) { return m.threadsMax - m.threads, m.threadsMax }},
}

// Threshold is the least that must be left of something. If less is left, the node is under
// pressure. It is an amount, or a share of the whole.
type Threshold struct {
	Signal  Signal
	Amount  int64   // if Percent is 0
	Percent float64 // between 0 and 100
	Most    int64   // bounds the amount of a share; 0: no bound
}

// diskReserveMax bounds the default threshold of the disk. The kubelet wants a tenth of the disk
// free for images and writable layers, but modules are small.
const diskReserveMax = 5 << 30

// DefaultThresholds are those of the kubelet, with that bound for the disk. There is also one for
// threads: each guest is a thread, and a machine can run out of threads.
func DefaultThresholds() []Threshold {
	return []Threshold{
		{Signal: MemoryAvailable, Amount: memoryReserve},
		{Signal: DiskAvailable, Percent: 10, Most: diskReserveMax},
		{Signal: InodesFree, Percent: 5},
		{Signal: PIDAvailable, Percent: 5},
	}
}

// ParseThresholds reads thresholds such as memory.available<100Mi, or memory.available=100Mi as in
// a file. A value of 0% or 100% means no threshold, as in a kubelet. The error joins all errors.
func ParseThresholds(items []string) ([]Threshold, error) {
	thresholds := []Threshold{}
	var errs []error
	for _, item := range items {
		t, err := parseThreshold(item)
		twice := slices.ContainsFunc(thresholds, func(have Threshold) bool { return have.Signal == t.Signal })
		switch {
		case err != nil:
			errs = append(errs, err)
		case twice:
			errs = append(errs, fmt.Errorf("%s is given twice: keep one", t.Signal))
		case t.Amount > 0 || t.Percent > 0:
			thresholds = append(thresholds, t)
		}
	}
	return thresholds, errors.Join(errs...)
}

func parseThreshold(item string) (Threshold, error) {
	at := strings.IndexAny(item, "<=")
	if at < 0 {
		return Threshold{}, fmt.Errorf("%q is no threshold: write a signal, < and a value, as in memory.available<100Mi", item)
	}
	t, value := Threshold{Signal: Signal(strings.TrimSpace(item[:at]))}, strings.TrimSpace(item[at+1:])
	if t.kind() < 0 {
		return t, fmt.Errorf("%q is no signal of this node: it has memory.available, nodefs.available, nodefs.inodesFree and pid.available; images are on nodefs", t.Signal)
	}
	if share, is := strings.CutSuffix(value, "%"); is {
		percent, err := strconv.ParseFloat(share, 64)
		if err != nil || !(percent >= 0 && percent <= 100) {
			return t, fmt.Errorf("%q of %s is not a percentage: write a number from 0%% to 100%%", value, t.Signal)
		}
		if percent < 100 {
			t.Percent = percent
		}
		return t, nil
	}
	amount, err := resource.ParseQuantity(value)
	if err != nil || amount.Sign() <= 0 {
		return t, fmt.Errorf("%q of %s is not an amount above 0 nor a percentage: write 100Mi or 5%%", value, t.Signal)
	}
	t.Amount = amount.Value()
	return t, nil
}

// kind is the index of the threshold's signal in kinds, or -1.
func (t Threshold) kind() int {
	for i, k := range kinds {
		if k.signal == t.Signal {
			return i
		}
	}
	return -1
}

// Value is the amount or the share, as text.
func (t Threshold) Value() string {
	if t.Percent > 0 {
		return strconv.FormatFloat(t.Percent, 'f', -1, 64) + "%"
	}
	return resource.NewQuantity(t.Amount, kinds[t.kind()].format).String()
}

// of is the amount of the threshold on a machine that has the amount all of the resource in total.
func (t Threshold) of(all int64) int64 {
	if t.Percent == 0 {
		return t.Amount
	}
	share := int64(float64(all) * t.Percent / 100)
	if t.Most > 0 {
		share = min(share, t.Most)
	}
	return share
}

// reserve is how much of a resource pods do not get because of its threshold.
func reserve(thresholds []Threshold, signal Signal, all int64) int64 {
	for _, t := range thresholds {
		if t.Signal == signal {
			return t.of(all)
		}
	}
	return 0
}

// Shortage is a signal that is below its threshold.
type Shortage struct {
	Signal    Signal
	Resource  string // the kubelet's name of what is short
	Threshold resource.Quantity
	Available resource.Quantity
	condition corev1.NodeConditionType
}

// shortages are the shortages of a machine, the most urgent first.
func shortages(thresholds []Threshold, m machine) []Shortage {
	var short []Shortage
	for _, k := range kinds {
		left, all := k.read(m)
		if least := reserve(thresholds, k.signal, all); all > 0 && left < least {
			short = append(short, Shortage{k.signal, k.resource, *resource.NewQuantity(least, k.format), *resource.NewQuantity(max(0, left), k.format), k.condition})
		}
	}
	return short
}
