package node

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// DefaultPressureTransition is how long a condition stays true after its cause has passed, as in a
// kubelet.
const DefaultPressureTransition = 5 * time.Minute

// Pressure finds out what the machine is short of. The Node's conditions, the admission of pods and
// their eviction depend on it. It is safe for concurrent use.
type Pressure struct {
	root, dataDir string
	thresholds    []Threshold
	transition    time.Duration

	mu   sync.Mutex
	last map[corev1.NodeConditionType]time.Time // when the shortage was last seen
}

// NewPressure makes a Pressure for the machine and the disk of dataDir. A condition stays true for
// the duration of transition after its shortage was last seen.
func NewPressure(dataDir string, thresholds []Threshold, transition time.Duration) *Pressure {
	return &Pressure{root: "/", dataDir: dataDir, thresholds: thresholds, transition: transition, last: map[corev1.NodeConditionType]time.Time{}}
}

// Shortages looks at the machine, and returns what is below its threshold now, the most urgent
// first.
func (p *Pressure) Shortages() ([]Shortage, error) {
	m, err := readMachine(p.root, p.dataDir)
	if err != nil {
		return nil, err
	}
	return p.see(m, time.Now()), nil
}

// Conditions looks at the machine, and returns the pressure conditions that are true, in the
// kubelet's order.
func (p *Pressure) Conditions() ([]corev1.NodeConditionType, error) {
	m, err := readMachine(p.root, p.dataDir)
	if err != nil {
		return nil, err
	}
	return p.conditions(m, time.Now()), nil
}

// see returns the shortages of the machine, and notes when they were seen.
func (p *Pressure) see(m machine, now time.Time) []Shortage {
	short := shortages(p.thresholds, m)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range short {
		p.last[s.condition] = now
	}
	return short
}

func (p *Pressure) conditions(m machine, now time.Time) []corev1.NodeConditionType {
	p.see(m, now)
	p.mu.Lock()
	defer p.mu.Unlock()
	var holding []corev1.NodeConditionType
	for _, c := range []corev1.NodeConditionType{corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure} {
		if last, seen := p.last[c]; seen && (now.Equal(last) || now.Sub(last) < p.transition) {
			holding = append(holding, c)
		}
	}
	return holding
}
