package node

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// All guests together leave this to the rest of the machine. The default thresholds reserve the
// same.
const (
	memoryReserve = 100 << 20
	threadShare   = 20 // one twentieth
)

// buildStatus returns the wanted status of the Node. It changes only what a kubelet owns in old.
// Other conditions, other resources, attached volumes and so on stay. It does not modify old.
func buildStatus(cfg Config, m machine, notReady error, now time.Time, old *corev1.NodeStatus) corev1.NodeStatus {
	status := *old.DeepCopy()
	setResources(&status, cfg, m)
	status.Addresses = []corev1.NodeAddress{
		{Type: corev1.NodeInternalIP, Address: cfg.IP.String()},
		{Type: corev1.NodeHostName, Address: cfg.Hostname},
	}
	status.DaemonEndpoints.KubeletEndpoint.Port = int32(cfg.Port)
	status.NodeInfo = corev1.NodeSystemInfo{
		MachineID:               m.machineID,
		SystemUUID:              m.systemUUID,
		BootID:                  m.bootID,
		KernelVersion:           m.kernel,
		OSImage:                 m.osImage,
		ContainerRuntimeVersion: cfg.RuntimeVersion,
		KubeletVersion:          KubeletVersion(cfg.Version),
		OperatingSystem:         "linux",
		Architecture:            architecture,
	}
	status.RuntimeHandlers = nil
	for _, name := range cfg.RuntimeHandlers {
		status.RuntimeHandlers = append(status.RuntimeHandlers, corev1.NodeRuntimeHandler{Name: name, Features: handlerFeatures()})
	}
	status.DeclaredFeatures = slices.Clone(cfg.DeclaredFeatures)
	for _, c := range conditions(cfg.Pressure.conditions(m, now), notReady) {
		setCondition(&status, c, now)
	}
	if cfg.Conditions != nil {
		for _, c := range cfg.Conditions() {
			setCondition(&status, c, now)
		}
	}
	if cfg.Images != nil {
		status.Images = reported(cfg.Images())
	}
	return status
}

// These bound the list of images of a Node, as in a kubelet.
const (
	maxImages     = 50
	maxImageNames = 5
)

// reported cuts a list of images to the bounds.
func reported(images []corev1.ContainerImage) []corev1.ContainerImage {
	images = slices.Clone(images[:min(len(images), maxImages)])
	for i := range images {
		images[i].Names = images[i].Names[:min(len(images[i].Names), maxImageNames)]
	}
	return images
}

// handlerFeatures: read-only mounts are read-only at any depth, and there are no user namespaces.
func handlerFeatures() *corev1.NodeRuntimeHandlerFeatures {
	yes, no := true, false
	return &corev1.NodeRuntimeHandlerFeatures{RecursiveReadOnlyMounts: &yes, UserNamespaces: &no}
}

func setResources(status *corev1.NodeStatus, cfg Config, m machine) {
	set := func(list *corev1.ResourceList, memory, disk int64) {
		if *list == nil {
			*list = corev1.ResourceList{}
		}
		(*list)[corev1.ResourceCPU] = *resource.NewQuantity(m.cpus, resource.DecimalSI)
		(*list)[corev1.ResourceMemory] = *resource.NewQuantity(max(0, memory), resource.BinarySI)
		(*list)[corev1.ResourceEphemeralStorage] = *resource.NewQuantity(max(0, disk), resource.BinarySI)
		(*list)[corev1.ResourcePods] = *resource.NewQuantity(int64(cfg.MaxPods), resource.DecimalSI)
	}
	set(&status.Capacity, m.memory, m.disk)
	reserved := func(signal Signal, all int64) int64 { return reserve(cfg.Pressure.thresholds, signal, all) }
	set(&status.Allocatable, m.memory-reserved(MemoryAvailable, m.memory), m.disk-reserved(DiskAvailable, m.disk))
}

// Allocatable is how much of the processors, memory and threads all guests of this machine may use
// together. It is the last limit. It does not depend on the thresholds, at which pods are evicted
// earlier.
func Allocatable(dataDir string) (cpus, memory, threads int64, err error) {
	m, err := readMachine("/", dataDir)
	if err != nil {
		return 0, 0, 0, err
	}
	return m.cpus, max(0, m.memory-memoryReserve), m.threadsMax - m.threadsMax/threadShare, nil
}

// AllocatableResources are the allocatable resources in the status of a Node with such a
// configuration.
func AllocatableResources(maxPods int, pressure *Pressure) (corev1.ResourceList, error) {
	m, err := readMachine("/", pressure.dataDir)
	if err != nil {
		return nil, err
	}
	var status corev1.NodeStatus
	setResources(&status, Config{MaxPods: maxPods, Pressure: pressure}, m)
	return status.Allocatable, nil
}

// conditions returns the conditions that a kubelet reports, in its order and words. under has the
// pressure conditions that are true.
func conditions(under []corev1.NodeConditionType, notReady error) []corev1.NodeCondition {
	pressure := func(t corev1.NodeConditionType, yes, no [2]string) corev1.NodeCondition {
		if slices.Contains(under, t) {
			return corev1.NodeCondition{Type: t, Status: corev1.ConditionTrue, Reason: yes[0], Message: yes[1]}
		}
		return corev1.NodeCondition{Type: t, Status: corev1.ConditionFalse, Reason: no[0], Message: no[1]}
	}
	ready := corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue,
		Reason: "KubeletReady", Message: "kubelet is posting ready status"}
	if notReady != nil {
		ready.Status, ready.Reason, ready.Message = corev1.ConditionFalse, "KubeletNotReady", notReady.Error()
	}
	return []corev1.NodeCondition{
		pressure(corev1.NodeMemoryPressure,
			[2]string{"KubeletHasInsufficientMemory", "kubelet has insufficient memory available"},
			[2]string{"KubeletHasSufficientMemory", "kubelet has sufficient memory available"}),
		pressure(corev1.NodeDiskPressure,
			[2]string{"KubeletHasDiskPressure", "kubelet has disk pressure"},
			[2]string{"KubeletHasNoDiskPressure", "kubelet has no disk pressure"}),
		pressure(corev1.NodePIDPressure,
			[2]string{"KubeletHasInsufficientPID", "kubelet has insufficient PID available"},
			[2]string{"KubeletHasSufficientPID", "kubelet has sufficient PID available"}),
		ready,
	}
}

// setCondition replaces the condition that has the type of c. The transition time changes only if
// the status changes.
func setCondition(status *corev1.NodeStatus, c corev1.NodeCondition, now time.Time) {
	// The API has only whole seconds.
	at := metav1.NewTime(now.Truncate(time.Second))
	c.LastHeartbeatTime, c.LastTransitionTime = at, at
	i := slices.IndexFunc(status.Conditions, func(have corev1.NodeCondition) bool { return have.Type == c.Type })
	if i < 0 {
		status.Conditions = append(status.Conditions, c)
		return
	}
	if have := status.Conditions[i]; have.Status == c.Status {
		c.LastTransitionTime = have.LastTransitionTime
	}
	status.Conditions[i] = c
}

// worthSending reports whether the status must be sent: because it has changed, or because the last
// report is old.
func worthSending(old, new *corev1.NodeStatus, lastSent, now time.Time) bool {
	if now.Sub(lastSent) >= statusMaxAge {
		return true
	}
	return !apiequality.Semantic.DeepEqual(withoutHeartbeat(old), withoutHeartbeat(new))
}

func withoutHeartbeat(status *corev1.NodeStatus) *corev1.NodeStatus {
	status = status.DeepCopy()
	for i := range status.Conditions {
		status.Conditions[i].LastHeartbeatTime = metav1.Time{}
	}
	return status
}

// readyStatus is the status of the Ready condition, or Unknown if there is none.
func readyStatus(status *corev1.NodeStatus) corev1.ConditionStatus {
	for _, c := range status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status
		}
	}
	return corev1.ConditionUnknown
}
