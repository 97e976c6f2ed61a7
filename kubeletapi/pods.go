package kubeletapi

import (
	"encoding/json"
	"net/http"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Pods tells what the node runs.
type Pods interface {
	// Pods returns the pods of the node with their current status. The slice is
	// the caller's; the pods are shared and are only read.
	Pods() []*corev1.Pod
}

// pods answers with a v1 PodList.
func (s *Server) pods(w http.ResponseWriter, _ *http.Request) {
	list := corev1.PodList{
		TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"},
		Items:    []corev1.Pod{}, // an empty list is [], not null
	}
	for _, pod := range s.config.Pods.Pods() {
		list.Items = append(list.Items, *pod)
	}
	text, err := json.Marshal(list)
	if err != nil {
		s.config.Log.Error("cannot encode the pods", zap.Error(err))
		http.Error(w, "the list of pods cannot be encoded: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}
