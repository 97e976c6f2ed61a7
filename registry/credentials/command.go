package credentials

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	protocol "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
)

// command is a plugin's program. It reads a request from its standard input and writes the answer
// to its standard output.
type command struct {
	program string
	args    []string
	env     []string // in addition to the agent's
}

const (
	pluginTime = time.Minute // how long a plugin may take; the kubelet has the same
	maxAnswer  = 1 << 20     // bytes
	maxPlaint  = 1 << 10     // bytes of standard error that are shown
)

func (c command) run(ctx context.Context, request protocol.CredentialProviderRequest) (*protocol.CredentialProviderResponse, error) {
	request.TypeMeta = metav1.TypeMeta{Kind: "CredentialProviderRequest", APIVersion: protocol.SchemeGroupVersion.String()}
	data, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, pluginTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.program, c.args...)
	cmd.Env = append(os.Environ(), c.env...)
	cmd.WaitDelay = time.Second // a child of the program may hold the pipes open
	answer, plaint := &limited{max: maxAnswer}, &limited{max: maxPlaint}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(data), answer, plaint
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(plaint.kept.Bytes()))
	}
	return parseAnswer(answer.kept.Bytes())
}

// parseAnswer reads a plugin's answer.
func parseAnswer(data []byte) (*protocol.CredentialProviderResponse, error) {
	var response protocol.CredentialProviderResponse
	if err := json.Unmarshal(data, &response); err != nil {
		// The decoder's error may quote a password.
		return nil, errors.New("its answer is not JSON in the form of a CredentialProviderResponse")
	}
	if response.Kind != "CredentialProviderResponse" || response.APIVersion != protocol.SchemeGroupVersion.String() {
		return nil, fmt.Errorf("its answer is a %q of %q, not a CredentialProviderResponse of %s",
			response.Kind, response.APIVersion, protocol.SchemeGroupVersion)
	}
	return &response, nil
}

// limited keeps only the first bytes that are written to it.
type limited struct {
	kept bytes.Buffer
	max  int
}

func (l *limited) Write(p []byte) (int, error) {
	l.kept.Write(p[:min(len(p), l.max-l.kept.Len())])
	return len(p), nil
}
