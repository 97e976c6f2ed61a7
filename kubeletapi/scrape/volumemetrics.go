package scrape

import (
	"github.com/prometheus/client_golang/prometheus"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// volumeMetric is one figure of the volumes of claims.
type volumeMetric struct {
	desc  *prometheus.Desc
	value func(stats.FsStats) *uint64
}

var volumeMetrics = []volumeMetric{
	newVolumeMetric("capacity_bytes", "Size of the volume, in bytes.", func(fs stats.FsStats) *uint64 { return fs.CapacityBytes }),
	newVolumeMetric("available_bytes", "Bytes that are left in the volume.", func(fs stats.FsStats) *uint64 { return fs.AvailableBytes }),
	newVolumeMetric("used_bytes", "Bytes that are used in the volume.", func(fs stats.FsStats) *uint64 { return fs.UsedBytes }),
	newVolumeMetric("inodes", "Inodes of the volume.", func(fs stats.FsStats) *uint64 { return fs.Inodes }),
	newVolumeMetric("inodes_free", "Inodes that are left in the volume.", func(fs stats.FsStats) *uint64 { return fs.InodesFree }),
	newVolumeMetric("inodes_used", "Inodes that are used in the volume.", func(fs stats.FsStats) *uint64 { return fs.InodesUsed }),
}

func newVolumeMetric(name, help string, value func(stats.FsStats) *uint64) volumeMetric {
	return volumeMetric{prometheus.NewDesc("kubelet_volume_stats_"+name, help, []string{"namespace", "persistentvolumeclaim"}, nil), value}
}

// Volumes are the metrics of volumes that are claims, for the page /metrics. It implements
// prometheus.Collector.
type Volumes struct{ Stats Stats }

// Describe implements prometheus.Collector.
func (Volumes) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range volumeMetrics {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector. A claim that several pods use is sent once.
func (v Volumes) Collect(ch chan<- prometheus.Metric) {
	told := map[stats.PVCReference]bool{}
	for _, volume := range v.Stats.ClaimStats() {
		claim := volume.PVCRef
		if claim == nil || told[*claim] {
			continue
		}
		told[*claim] = true
		for _, m := range volumeMetrics {
			if n := m.value(volume.FsStats); n != nil {
				ch <- prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, float64(*n), claim.Namespace, claim.Name)
			}
		}
	}
}
