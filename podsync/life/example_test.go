package life_test

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Example follows a pod of one container from its first sight to its end. The caller carries out
// each action and tells the pod the result.
func Example() {
	now := testpod.Epoch
	pod, _ := life.Restore(testpod.New(corev1.RestartPolicyNever, "main"), life.Remains{}, now)
	told := []life.Input{
		nil, // the pod is new
		life.Prepared{},
		life.Pulled{Container: "main"},
		life.Started{Container: "main", ID: "1", At: now},
		life.RunEnded{Container: "main", Exit: runtime.Exit{Reason: runtime.Completed, FinishedAt: now}},
	}
	for _, input := range told {
		if input != nil {
			pod.Apply(input, now)
		}
		actions, _ := pod.Decide(now)
		for _, action := range actions {
			fmt.Printf("%T\n", action)
		}
		now = now.Add(time.Second)
	}
	fmt.Println(pod.Status(corev1.PodStatus{}, testpod.NodeAddress, now).Phase)
	// Output:
	// life.Prepare
	// life.Pull
	// life.Start
	// Succeeded
}
