package controlplane

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// kubeletClientUser is the API server's user name on the nodes.
const kubeletClientUser = "kube-apiserver-kubelet-client"

// Groups of bootstrap tokens. All tokens are in the first. Tokens that kubeadm and
// hack/bootstrap.sh make are also in the second.
const (
	bootstrappers        = "system:bootstrappers"
	kubeadmBootstrappers = "system:bootstrappers:kubeadm:default-node-token"
	nodes                = "system:nodes"
)

// bootstrapBindings let a node join with a bootstrap token, as in a cluster that kubeadm made: the
// node asks for a client certificate, gets it without a person's approval, and renews it. For
// serving certificates there is no such binding: people approve them.
func bootstrapBindings() []*rbacv1.ClusterRoleBinding {
	return []*rbacv1.ClusterRoleBinding{
		bindingOf("krustlet:node-bootstrapper", "system:node-bootstrapper",
			rbacv1.GroupKind, bootstrappers, kubeadmBootstrappers),
		bindingOf("krustlet:approve-node-client", "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
			rbacv1.GroupKind, bootstrappers, kubeadmBootstrappers),
		bindingOf("krustlet:approve-node-client-renewal", "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
			rbacv1.GroupKind, nodes),
		bindingOf("krustlet:apiserver-kubelet-api", "system:kubelet-api-admin",
			rbacv1.UserKind, kubeletClientUser),
	}
}

func bindingOf(name, role, kind string, subjects ...string) *rbacv1.ClusterRoleBinding {
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
	}
	for _, subject := range subjects {
		binding.Subjects = append(binding.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: kind, Name: subject})
	}
	return binding
}

// bootstrap makes the objects that a cluster needs before its first node and its first pod. It
// waits until the controller manager has made its own objects.
func bootstrap(ctx context.Context, kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("reading the administrator's kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connecting to the new API server: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, binding := range bootstrapBindings() {
		if _, err := client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("making the ClusterRoleBinding %s: %w", binding.Name, err)
		}
	}
	if err := publishClusterInfo(ctx, client, config.Host, config.CAData); err != nil {
		return err
	}
	return waitServiceAccount(ctx, client)
}

// publishClusterInfo makes the ConfigMap for a new node that has only a bootstrap token. It says
// where the API server is, and which authority to trust.
func publishClusterInfo(ctx context.Context, client kubernetes.Interface, server string, ca []byte) error {
	const name = "cluster-info"
	info := clientcmdapi.NewConfig()
	info.Clusters[""] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	kubeconfig, err := clientcmd.Write(*info)
	if err != nil {
		return fmt.Errorf("making the cluster-info ConfigMap: %w", err)
	}
	meta := metav1.ObjectMeta{Namespace: metav1.NamespacePublic, Name: name}
	_, err = client.CoreV1().ConfigMaps(meta.Namespace).Create(ctx,
		&corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"kubeconfig": string(kubeconfig)}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("making the cluster-info ConfigMap: %w", err)
	}
	_, err = client.RbacV1().Roles(meta.Namespace).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{name}, Verbs: []string{"get"}},
	}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("making the cluster-info Role: %w", err)
	}
	_, err = client.RbacV1().RoleBindings(meta.Namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "system:anonymous"}},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("making the cluster-info RoleBinding: %w", err)
	}
	return nil
}

// waitServiceAccount waits for the default service account of the default namespace. Without it,
// clients cannot make pods there.
func waitServiceAccount(ctx context.Context, client kubernetes.Interface) error {
	for {
		_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		if err == nil {
			return nil
		}
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("looking for the default service account: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the default service account, which the controller manager makes: %w", ctx.Err())
		case <-time.After(probeInterval):
		}
	}
}
