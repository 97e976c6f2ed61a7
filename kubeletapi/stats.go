package kubeletapi

import (
	"encoding/json"
	"net/http"
	"strconv"

	"go.uber.org/zap"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// summary answers with a stats/v1alpha1 Summary.
func (s *Server) summary(w http.ResponseWriter, r *http.Request) {
	disks := true
	if only := r.URL.Query().Get("only_cpu_and_memory"); only != "" {
		cpuAndMemory, err := strconv.ParseBool(only)
		if err != nil {
			http.Error(w, "only_cpu_and_memory must be true or false", http.StatusBadRequest)
			return
		}
		disks = !cpuAndMemory
	}
	node, err := s.config.Stats.NodeStats(r.Context(), disks)
	if err != nil {
		s.config.Log.Error("cannot tell what the node uses", zap.Error(err))
		http.Error(w, "the node's use cannot be told: "+err.Error(), http.StatusInternalServerError)
		return
	}
	summary := stats.Summary{Node: node, Pods: s.config.Stats.PodStats(r.Context(), disks)}
	if summary.Pods == nil {
		summary.Pods = []stats.PodStats{} // an empty list is [], not null
	}
	if !disks {
		for i := range summary.Pods {
			summary.Pods[i].Network = nil
		}
	}
	s.rates.Add(&summary)
	text, err := json.MarshalIndent(summary, "", " ")
	if err != nil {
		s.config.Log.Error("cannot encode the summary", zap.Error(err))
		http.Error(w, "the summary cannot be encoded: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}
