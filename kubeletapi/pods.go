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
	// RunningPods returns the pods that have containers which run now, as the
	// runtime knows them: names, UID, and those containers with their images.
	RunningPods() []*corev1.Pod
}

// pods answers with a v1 PodList.
func (s *Server) pods(w http.ResponseWriter, _ *http.Request) {
	s.writePods(w, s.config.Pods.Pods())
}

// runningPods answers with a v1 PodList of what the runtime has.
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

// writeJSON answers with what is called name in messages.
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
