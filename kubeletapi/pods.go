package kubeletapi

import (
	"encoding/json"
	"net/http"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Pods lists the pods of the node.
type Pods interface {
	// Pods returns the pods of the node with their current status. The caller owns the slice. The
	// pods are shared, and callers must only read them.
	Pods() []*corev1.Pod
	// RunningPods returns the pods that have running containers, as the runtime knows them. Each
	// has its names, its UID, and those containers with their images.
	RunningPods() []*corev1.Pod
}

// pods answers with a v1 PodList.
func (s *Server) pods(w http.ResponseWriter, _ *http.Request) {
	s.writePods(w, s.config.Pods.Pods())
}

// runningPods answers with a v1 PodList of the pods that run.
func (s *Server) runningPods(w http.ResponseWriter, _ *http.Request) {
	s.writePods(w, s.config.Pods.RunningPods())
}

func (s *Server) writePods(w http.ResponseWriter, pods []*corev1.Pod) {
	list := corev1.PodList{
		TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"},
		Items:    []corev1.Pod{}, // an empty list is [], not null
	}
	for _, pod := range pods {
		list.Items = append(list.Items, *pod)
	}
	writeJSON(w, s.config.Log, "list of pods", list)
}

// writeJSON answers with content. Log messages call it name.
func writeJSON(w http.ResponseWriter, log *zap.Logger, name string, content any) {
	text, err := json.Marshal(content)
	if err != nil {
		log.Error("cannot encode the "+name, zap.Error(err))
		http.Error(w, "the "+name+" cannot be encoded: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}
