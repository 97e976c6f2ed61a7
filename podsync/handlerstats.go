package podsync

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// HandlerStats calls yield with what each container that is an HTTP handler has done since its run
// began. It tells each name of a container once, in no order.
func (m *Manager) HandlerStats(ctx context.Context, yield func(namespace, pod, container string, used runtime.HTTPStats)) {
	used := m.Engine.Stats(ctx)
	told := map[[3]string]bool{} // while a pod is being removed, another pod may have its name
	for _, w := range m.loops.all() {
		v := w.view.Load()
		for _, c := range podspec.Containers(v.pod) {
			run, name := v.runs[c.Name], [3]string{v.pod.Namespace, v.pod.Name, c.Name}
			usage := used[run.id]
			if run.process != nil && usage.HTTP != nil && !told[name] {
				told[name] = true
				yield(name[0], name[1], name[2], *usage.HTTP)
			}
		}
	}
}
