package controlplane

import (
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// adminKubeconfig is the file that the cluster's users get.
const adminKubeconfig = "admin.kubeconfig"

// writeKubeconfig writes a kubeconfig that needs no other file. client names a certificate in the
// pki folder.
func writeKubeconfig(w *workdir, file, client, server string) error {
	config, err := newKubeconfig(w.join("pki"), client, server)
	if err != nil {
		return fmt.Errorf("making the kubeconfig for %s: %w", client, err)
	}
	content, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("making the kubeconfig for %s: %w", client, err)
	}
	if err := w.write(file, content); err != nil {
		return fmt.Errorf("writing the kubeconfig for %s: %w", client, err)
	}
	return nil
}

func newKubeconfig(pki, client, server string) (*clientcmdapi.Config, error) {
	const cluster = "krustlet-wasi"
	config := clientcmdapi.NewConfig()
	user := clientcmdapi.NewAuthInfo()
	target := clientcmdapi.NewCluster()
	target.Server = server
	for name, field := range map[string]*[]byte{
		"ca.crt":        &target.CertificateAuthorityData,
		client + ".crt": &user.ClientCertificateData,
		client + ".key": &user.ClientKeyData,
	} {
		content, err := os.ReadFile(filepath.Join(pki, name))
		if err != nil {
			return nil, err
		}
		*field = content
	}
	context := clientcmdapi.NewContext()
	context.Cluster, context.AuthInfo = cluster, client
	config.Clusters[cluster] = target
	config.AuthInfos[client] = user
	config.Contexts[cluster] = context
	config.CurrentContext = cluster
	return config, nil
}
