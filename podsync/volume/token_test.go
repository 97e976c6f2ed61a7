package volume

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

func TestTokenIsRenewed(t *testing.T) {
	for name, test := range map[string]struct {
		seconds int64
		stays   time.Duration // how long the volume shows the first token
		renewed time.Duration // when the volume shows the second one
	}{
		"80 % of an hour": {3600, 47 * time.Minute, 49 * time.Minute},
		"a day":           {7 * 24 * 3600, 23 * time.Hour, 25 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testTokenIsRenewed(t, test.seconds, test.stays, test.renewed) })
		})
	}
}

func testTokenIsRenewed(t *testing.T, seconds int64, stays, renewed time.Duration) {
	v := newVolumes(t, &cluster{})
	asked, refused, away := 0, 0, false
	v.Client.(*fake.Clientset).PrependReactor("create", "serviceaccounts", func(action clienttesting.Action) (bool, kruntime.Object, error) {
		if away {
			return true, nil, errors.New("API server away")
		}
		if refused++; refused == 1 {
			return true, nil, apierrors.NewForbidden(corev1.Resource("serviceaccounts"), "default", errors.New("on a different node"))
		}
		asked++
		spec := action.(clienttesting.CreateAction).GetObject().(*authenticationv1.TokenRequest).Spec
		if action.GetSubresource() != "token" || spec.BoundObjectRef.UID != "uid" || *spec.ExpirationSeconds != seconds || len(spec.Audiences) != 1 || spec.Audiences[0] != "vault" {
			t.Errorf("asked for %+v", spec)
		}
		return true, &authenticationv1.TokenRequest{Status: authenticationv1.TokenRequestStatus{
			Token: fmt.Sprint("token-", asked), ExpirationTimestamp: metav1.NewTime(time.Now().Add(time.Duration(seconds) * time.Second)),
		}}, nil
	})
	pod := podWith(corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", Audience: "vault", ExpirationSeconds: &seconds}},
	}}})
	if failed := v.SetUp(t.Context(), pod); len(failed) > 0 {
		t.Fatal(failed)
	}
	at := func(after time.Duration, want string) {
		t.Helper()
		time.Sleep(after)
		if err := v.Refresh(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
		if got := files(t, v.made["v"].host)["token"]; got != "-rw-r--r-- "+want {
			t.Errorf("%q, want %s", got, want)
		}
	}
	at(0, "token-1")
	at(stays, "token-1")
	away = true
	at(renewed-stays, "token-1") // still valid
	away = false
	at(0, "token-2")
	at(time.Minute, "token-2")
	away = true
	time.Sleep(8 * 24 * time.Hour)
	if err := v.Refresh(t.Context(), pod); err == nil {
		t.Error("a token that has expired is shown as if it were good")
	}
}
