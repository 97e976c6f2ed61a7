package credentials

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// parseDockerConfig reads the credentials of a docker config.json.
func parseDockerConfig(data []byte) (map[string]Credential, error) {
	var config struct {
		Auths json.RawMessage `json:"auths"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, errNotJSON
	}
	if config.Auths == nil {
		return nil, nil
	}
	return parseDockercfg(config.Auths)
}

// errNotJSON replaces the decoder's error, which may quote a password.
var errNotJSON = errors.New("it is not JSON in the form of a docker config")

// parseDockercfg reads the older form: credentials by registry, without an outer object.
func parseDockercfg(data []byte) (map[string]Credential, error) {
	var entries map[string]struct {
		Username      string `json:"username"`
		Password      string `json:"password"`
		Auth          string `json:"auth"`
		IdentityToken string `json:"identitytoken"`
		RegistryToken string `json:"registrytoken"`
	}
	if err := json.Unmarshal(data, &entries); err != nil {
		return nil, errNotJSON
	}
	auths := make(map[string]Credential, len(entries))
	for pattern, e := range entries {
		c := Credential{Username: e.Username, Password: e.Password, IdentityToken: e.IdentityToken, RegistryToken: e.RegistryToken}
		if e.Auth != "" {
			var err error
			if c.Username, c.Password, err = parseAuth(e.Auth); err != nil {
				return nil, fmt.Errorf("reading the entry %q: %w", pattern, err)
			}
		}
		auths[pattern] = c
	}
	return auths, nil
}

// parseAuth decodes the field auth: a name and a password in base64.
func parseAuth(auth string) (username, password string, err error) {
	// Some tools write the padding, others do not.
	plain, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(auth), "="))
	if err != nil {
		return "", "", errors.New("auth is not base64")
	}
	username, password, ok := strings.Cut(string(plain), ":")
	if !ok {
		return "", "", errors.New("auth is not NAME:PASSWORD in base64")
	}
	return username, password, nil
}
