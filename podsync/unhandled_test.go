package podsync

import (
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/life"
)

// TestWhatIsNotHandled: an action that is not carried out, or a result that is not handled, makes a
// test panic. An agent logs it as an error.
func TestWhatIsNotHandled(t *testing.T) {
	type unknown struct{ life.Action }
	for name, do := range map[string]func(w *podLoop){
		"an action": func(w *podLoop) { w.perform(t.Context(), unknown{}) },
		"a result":  func(w *podLoop) { w.takeIn("a result") },
	} {
		t.Run(name, func(t *testing.T) {
			core, logs := observer.New(zap.ErrorLevel)
			w := &podLoop{podActions: &podActions{node: &Manager{}, log: zap.New(core)}, state: untouched(testpod.New(corev1.RestartPolicyAlways, "a"), testpod.Epoch)}
			do(w)
			if logs.Len() != 1 {
				t.Errorf("logged: %v", logs.All())
			}
			w.log = strictLog()
			defer func() {
				if recover() == nil {
					t.Error("a test goes on")
				}
			}()
			do(w)
		})
	}
}
