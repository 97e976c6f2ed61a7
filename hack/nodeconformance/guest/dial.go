package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// dialPatience is how long /dial waits for an answer, as agnhost's.
const dialPatience = 5 * time.Second

// dial connects to a host for the client, and returns what that answered.
func dial(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	log.Printf("GET /dial?%s", r.URL.RawQuery)
	tries, err := strconv.Atoi(q.Get("tries"))
	if err != nil {
		tries = 1
	}
	request := q.Get("request")
	if request == "" {
		http.Error(w, "request parameter not specified.", http.StatusBadRequest)
		return
	}
	to := net.JoinHostPort(q.Get("host"), q.Get("port"))
	answers := map[string][]string{}
	for range tries {
		text, err := dialOnce(strings.ToLower(q.Get("protocol")), to, request)
		if err != nil {
			answers["errors"] = append(answers["errors"], err.Error())
		} else {
			answers["responses"] = append(answers["responses"], text)
		}
	}
	_ = json.NewEncoder(w).Encode(answers) // fails if the client has closed the connection
}

func dialOnce(protocol, to, request string) (string, error) {
	switch protocol {
	case "", "http":
		client := httpClient(dialPatience)
		client.Timeout = dialPatience
		response, err := client.Get(fmt.Sprintf("http://%s/%s", to, request))
		if err != nil {
			return "", err
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		return string(body), err
	case "udp":
		answer, err := exchange(to, []byte(request), dialPatience)
		return string(answer), err
	}
	return "", errors.New("there is no such protocol in WASI")
}
