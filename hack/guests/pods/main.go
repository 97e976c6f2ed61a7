//go:build wasip1

// Command pods lists the pods of its namespace: it asks the API server, with client-go and the
// token of its pod's ServiceAccount, and prints a name a line. With an argument, it asks at that
// address instead of kubernetes.default.svc.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/krustlet-go/krustlet-wasi/hack/guests/wasinet"
)

const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

func main() {
	if err := list(append(os.Args[1:], "https://kubernetes.default.svc")[0]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func list(server string) error {
	config, err := rest.InClusterConfig()
	if err != nil {
		return fmt.Errorf("reading the configuration of the pod: %w", err)
	}
	config.Host = server
	config.Dial = wasinet.DialContext // Go has no connections of its own here
	namespace, err := os.ReadFile(namespaceFile)
	if err != nil {
		return fmt.Errorf("reading the pod's namespace: %w", err)
	}
	// The typed clients have the types of all API groups: they make a module of 53 MB, this one of 20.
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	pods, err := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).
		Namespace(string(bytes.TrimSpace(namespace))).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing pods: %w", err)
	}
	for _, pod := range pods.Items {
		fmt.Println(pod.GetName())
	}
	return nil
}
