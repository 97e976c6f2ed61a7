package p3_test

import (
	"fmt"
	"strings"
)

// imports are interfaces of WASI 0.3 in text, in full but for sockets and HTTP, of which there are
// some functions. async stands for async, which the assembler does not know.
const imports = `
	(import "wasi:cli/environment@0.3.0" (instance $environment
		(export "get-environment" (func (result (list (tuple string string)))))
		(export "get-arguments" (func (result (list string))))
		(export "get-initial-cwd" (func (result (option string))))))
	(import "wasi:cli/exit@0.3.0" (instance $exit
		(export "exit" (func (param "status" (result))))
		(export "exit-with-code" (func (param "status-code" u8)))))
	(import "wasi:cli/types@0.3.0" (instance $cli
		(type $code (enum "io" "illegal-byte-sequence" "pipe"))
		(export "error-code" (type (eq $code)))))
	(alias export $cli "error-code" (type $cli-code))
	(import "wasi:cli/stdin@0.3.0" (instance $stdin
		(export "error-code" (type $code (eq $cli-code)))
		(export "read-via-stream" (func (result (tuple (stream u8) (future (result (error $code)))))))))
	(import "wasi:cli/stdout@0.3.0" (instance $stdout
		(export "error-code" (type $code (eq $cli-code)))
		(export "write-via-stream" (func (param "data" (stream u8)) (result (future (result (error $code))))))))
	(import "wasi:cli/stderr@0.3.0" (instance $stderr
		(export "error-code" (type $code (eq $cli-code)))
		(export "write-via-stream" (func (param "data" (stream u8)) (result (future (result (error $code))))))))
	(import "wasi:cli/terminal-output@0.3.0" (instance $terminal-output (export "terminal-output" (type (sub resource)))))
	(alias export $terminal-output "terminal-output" (type $terminal))
	(import "wasi:cli/terminal-stdout@0.3.0" (instance $terminal-stdout
		(export "terminal-output" (type $t (eq $terminal)))
		(export "get-terminal-stdout" (func (result (option (own $t)))))))
	(import "wasi:clocks/monotonic-clock@0.3.0" (instance $monotonic
		(export "now" (func (result u64)))
		(export "get-resolution" (func (result u64)))
		(export "wait-until" (func async (param "when" u64)))
		(export "wait-for" (func async (param "how-long" u64)))))
	(import "wasi:clocks/system-clock@0.3.0" (instance $system
		(type $instant' (record (field "seconds" s64) (field "nanoseconds" u32)))
		(export "instant" (type $instant (eq $instant')))
		(export "now" (func (result $instant)))
		(export "get-resolution" (func (result u64)))))
	(alias export $system "instant" (type $instant))
	(import "wasi:clocks/timezone@0.3.0" (instance $timezone
		(export "instant" (type $i (eq $instant)))
		(export "iana-id" (func (result (option string))))
		(export "utc-offset" (func (param "when" $i) (result (option s64))))
		(export "to-debug-string" (func (result string)))))
	(import "wasi:random/random@0.3.0" (instance $random
		(export "get-random-bytes" (func (param "max-len" u64) (result (list u8))))
		(export "get-random-u64" (func (result u64)))))
	(import "wasi:random/insecure@0.3.0" (instance $insecure
		(export "get-insecure-random-bytes" (func (param "max-len" u64) (result (list u8))))
		(export "get-insecure-random-u64" (func (result u64)))))
	(import "wasi:random/insecure-seed@0.3.0" (instance $seed
		(export "get-insecure-seed" (func (result (tuple u64 u64))))))
	(import "wasi:filesystem/types@0.3.0" (instance $files
		(export "descriptor" (type $descriptor (sub resource)))
		(export "instant" (type $i (eq $instant)))
		(type $type' (variant (case "block-device") (case "character-device") (case "directory") (case "fifo")
			(case "symbolic-link") (case "regular-file") (case "socket") (case "other" (option string))))
		(export "descriptor-type" (type $type (eq $type')))
		(type $flags' (flags "read" "write" "file-integrity-sync" "data-integrity-sync" "requested-write-sync" "mutate-directory"))
		(export "descriptor-flags" (type $flags (eq $flags')))
		(type $stat' (record (field "type" $type) (field "link-count" u64) (field "size" u64)
			(field "data-access-timestamp" (option $i)) (field "data-modification-timestamp" (option $i))
			(field "status-change-timestamp" (option $i))))
		(export "descriptor-stat" (type $stat (eq $stat')))
		(type $path-flags' (flags "symlink-follow"))
		(export "path-flags" (type $path-flags (eq $path-flags')))
		(type $open-flags' (flags "create" "directory" "exclusive" "truncate"))
		(export "open-flags" (type $open-flags (eq $open-flags')))
		(type $time' (variant (case "no-change") (case "now") (case "timestamp" $i)))
		(export "new-timestamp" (type $time (eq $time')))
		(type $entry' (record (field "type" $type) (field "name" string)))
		(export "directory-entry" (type $entry (eq $entry')))
		(type $code' (variant (case "access") (case "already") (case "bad-descriptor") (case "busy") (case "deadlock")
			(case "quota") (case "exist") (case "file-too-large") (case "illegal-byte-sequence") (case "in-progress")
			(case "interrupted") (case "invalid") (case "io") (case "is-directory") (case "loop") (case "too-many-links")
			(case "message-size") (case "name-too-long") (case "no-device") (case "no-entry") (case "no-lock")
			(case "insufficient-memory") (case "insufficient-space") (case "not-directory") (case "not-empty")
			(case "not-recoverable") (case "unsupported") (case "no-tty") (case "no-such-device") (case "overflow")
			(case "not-permitted") (case "pipe") (case "read-only") (case "invalid-seek") (case "text-file-busy")
			(case "cross-device") (case "other" (option string))))
		(export "error-code" (type $code (eq $code')))
		(type $advice' (enum "normal" "sequential" "random" "will-need" "dont-need" "no-reuse"))
		(export "advice" (type $advice (eq $advice')))
		(type $hash' (record (field "lower" u64) (field "upper" u64)))
		(export "metadata-hash-value" (type $hash (eq $hash')))
		(type $d (borrow $descriptor))
		(type $nothing (result (error $code)))
		(export "[method]descriptor.read-via-stream" (func (param "self" $d) (param "offset" u64) (result (tuple (stream u8) (future $nothing)))))
		(export "[method]descriptor.write-via-stream" (func (param "self" $d) (param "data" (stream u8)) (param "offset" u64) (result (future $nothing))))
		(export "[method]descriptor.append-via-stream" (func (param "self" $d) (param "data" (stream u8)) (result (future $nothing))))
		(export "[method]descriptor.advise" (func async (param "self" $d) (param "offset" u64) (param "length" u64) (param "advice" $advice) (result $nothing)))
		(export "[method]descriptor.sync-data" (func async (param "self" $d) (result $nothing)))
		(export "[method]descriptor.get-flags" (func async (param "self" $d) (result (result $flags (error $code)))))
		(export "[method]descriptor.get-type" (func async (param "self" $d) (result (result $type (error $code)))))
		(export "[method]descriptor.set-size" (func async (param "self" $d) (param "size" u64) (result $nothing)))
		(export "[method]descriptor.set-times" (func async (param "self" $d) (param "data-access-timestamp" $time) (param "data-modification-timestamp" $time) (result $nothing)))
		(export "[method]descriptor.read-directory" (func (param "self" $d) (result (tuple (stream $entry) (future $nothing)))))
		(export "[method]descriptor.sync" (func async (param "self" $d) (result $nothing)))
		(export "[method]descriptor.create-directory-at" (func async (param "self" $d) (param "path" string) (result $nothing)))
		(export "[method]descriptor.stat" (func async (param "self" $d) (result (result $stat (error $code)))))
		(export "[method]descriptor.stat-at" (func async (param "self" $d) (param "path-flags" $path-flags) (param "path" string) (result (result $stat (error $code)))))
		(export "[method]descriptor.set-times-at" (func async (param "self" $d) (param "path-flags" $path-flags) (param "path" string)
			(param "data-access-timestamp" $time) (param "data-modification-timestamp" $time) (result $nothing)))
		(export "[method]descriptor.link-at" (func async (param "self" $d) (param "old-path-flags" $path-flags) (param "old-path" string)
			(param "new-descriptor" $d) (param "new-path" string) (result $nothing)))
		(export "[method]descriptor.open-at" (func async (param "self" $d) (param "path-flags" $path-flags) (param "path" string)
			(param "open-flags" $open-flags) (param "flags" $flags) (result (result (own $descriptor) (error $code)))))
		(export "[method]descriptor.readlink-at" (func async (param "self" $d) (param "path" string) (result (result string (error $code)))))
		(export "[method]descriptor.remove-directory-at" (func async (param "self" $d) (param "path" string) (result $nothing)))
		(export "[method]descriptor.rename-at" (func async (param "self" $d) (param "old-path" string) (param "new-descriptor" $d) (param "new-path" string) (result $nothing)))
		(export "[method]descriptor.symlink-at" (func async (param "self" $d) (param "old-path" string) (param "new-path" string) (result $nothing)))
		(export "[method]descriptor.unlink-file-at" (func async (param "self" $d) (param "path" string) (result $nothing)))
		(export "[method]descriptor.is-same-object" (func async (param "self" $d) (param "other" $d) (result bool)))
		(export "[method]descriptor.metadata-hash" (func async (param "self" $d) (result (result $hash (error $code)))))
		(export "[method]descriptor.metadata-hash-at" (func async (param "self" $d) (param "path-flags" $path-flags) (param "path" string) (result (result $hash (error $code)))))))
	(alias export $files "descriptor" (type $descriptor))
	(alias export $files "error-code" (type $file-code))
	(alias export $files "directory-entry" (type $entry))
	(import "wasi:filesystem/preopens@0.3.0" (instance $preopens
		(export "descriptor" (type $d (eq $descriptor)))
		(export "get-directories" (func (result (list (tuple (own $d) string)))))))
	(import "wasi:sockets/types@0.3.0" (instance $sockets
		(type $code' (variant (case "access-denied") (case "not-supported") (case "invalid-argument") (case "out-of-memory")
			(case "timeout") (case "invalid-state") (case "address-not-bindable") (case "address-in-use")
			(case "remote-unreachable") (case "connection-refused") (case "connection-broken") (case "connection-reset")
			(case "connection-aborted") (case "datagram-too-large") (case "other" (option string))))
		(export "error-code" (type $code (eq $code')))
		(type $family' (enum "ipv4" "ipv6"))
		(export "ip-address-family" (type $family (eq $family')))
		(type $four (tuple u8 u8 u8 u8))
		(export "ipv4-address" (type $ipv4 (eq $four)))
		(type $eight (tuple u16 u16 u16 u16 u16 u16 u16 u16))
		(export "ipv6-address" (type $ipv6 (eq $eight)))
		(type $ip' (variant (case "ipv4" $ipv4) (case "ipv6" $ipv6)))
		(export "ip-address" (type $ip (eq $ip')))
		(type $socket4' (record (field "port" u16) (field "address" $ipv4)))
		(export "ipv4-socket-address" (type $socket4 (eq $socket4')))
		(type $socket6' (record (field "port" u16) (field "flow-info" u32) (field "address" $ipv6) (field "scope-id" u32)))
		(export "ipv6-socket-address" (type $socket6 (eq $socket6')))
		(type $address' (variant (case "ipv4" $socket4) (case "ipv6" $socket6)))
		(export "ip-socket-address" (type $address (eq $address')))
		(export "tcp-socket" (type $tcp (sub resource)))
		(export "udp-socket" (type $udp (sub resource)))
		(type $data (list u8)) (type $datagram (tuple $data $address)) (type $connection (own $tcp)) (type $connections (stream $connection)) (type $t (borrow $tcp)) (type $u (borrow $udp)) (type $done (result (error $code))) (type $sent (future (result (error $code))))
		(export "[static]tcp-socket.create" (func (param "address-family" $family) (result (result (own $tcp) (error $code)))))
		(export "[method]tcp-socket.bind" (func (param "self" $t) (param "local-address" $address) (result $done)))
		(export "[method]tcp-socket.connect" (func async (param "self" $t) (param "remote-address" $address) (result $done)))
		(export "[method]tcp-socket.listen" (func (param "self" $t) (result (result $connections (error $code)))))
		(export "[method]tcp-socket.send" (func (param "self" $t) (param "data" (stream u8)) (result $sent)))
		(export "[method]tcp-socket.receive" (func (param "self" $t) (result (tuple (stream u8) $sent))))
		(export "[method]tcp-socket.get-local-address" (func (param "self" $t) (result (result $address (error $code)))))
		(export "[method]tcp-socket.get-remote-address" (func (param "self" $t) (result (result $address (error $code)))))
		(export "[method]tcp-socket.set-keep-alive-idle-time" (func (param "self" $t) (param "value" u64) (result $done)))
		(export "[static]udp-socket.create" (func (param "address-family" $family) (result (result (own $udp) (error $code)))))
		(export "[method]udp-socket.bind" (func (param "self" $u) (param "local-address" $address) (result $done)))
		(export "[method]udp-socket.connect" (func (param "self" $u) (param "remote-address" $address) (result $done)))
		(export "[method]udp-socket.disconnect" (func (param "self" $u) (result $done)))
		(export "[method]udp-socket.send" (func async (param "self" $u) (param "data" (list u8)) (param "remote-address" (option $address)) (result $done)))
		(export "[method]udp-socket.receive" (func async (param "self" $u) (result (result $datagram (error $code)))))
		(export "[method]udp-socket.get-local-address" (func (param "self" $u) (result (result $address (error $code)))))))
	(alias export $sockets "tcp-socket" (type $tcp))
	(alias export $sockets "udp-socket" (type $udp))
	(alias export $sockets "error-code" (type $socket-code))
	(alias export $sockets "ip-address" (type $socket-ip))
	(import "wasi:sockets/ip-name-lookup@0.3.0" (instance $lookup
		(export "ip-address" (type $ip (eq $socket-ip)))
		(type $code' (variant (case "access-denied") (case "invalid-argument") (case "name-unresolvable")
			(case "temporary-resolver-failure") (case "permanent-resolver-failure") (case "other" (option string))))
		(export "error-code" (type $code (eq $code')))
		(type $ips (list $ip))
		(export "resolve-addresses" (func async (param "name" string) (result (result $ips (error $code)))))))
	(import "wasi:http/types@0.3.0" (instance $http
		(export "fields" (type $fields (sub resource)))
		(export "request" (type $request (sub resource)))
		(export "response" (type $response (sub resource)))
		(export "request-options" (type $request-options (sub resource)))
		(type $dns' (record (field "rcode" (option string)) (field "info-code" (option u16))))
		(export "DNS-error-payload" (type $dns (eq $dns')))
		(type $alert' (record (field "alert-id" (option u8)) (field "alert-message" (option string))))
		(export "TLS-alert-received-payload" (type $alert (eq $alert')))
		(type $size' (record (field "field-name" (option string)) (field "field-size" (option u32))))
		(export "field-size-payload" (type $size (eq $size')))
		(type $code' (variant (case "DNS-timeout") (case "DNS-error" $dns) (case "destination-not-found")
			(case "destination-unavailable") (case "destination-IP-prohibited") (case "destination-IP-unroutable")
			(case "connection-refused") (case "connection-terminated") (case "connection-timeout")
			(case "connection-read-timeout") (case "connection-write-timeout") (case "connection-limit-reached")
			(case "TLS-protocol-error") (case "TLS-certificate-error") (case "TLS-alert-received" $alert)
			(case "HTTP-request-denied") (case "HTTP-request-length-required") (case "HTTP-request-body-size" (option u64))
			(case "HTTP-request-method-invalid") (case "HTTP-request-URI-invalid") (case "HTTP-request-URI-too-long")
			(case "HTTP-request-header-section-size" (option u32)) (case "HTTP-request-header-size" (option $size))
			(case "HTTP-request-trailer-section-size" (option u32)) (case "HTTP-request-trailer-size" $size)
			(case "HTTP-response-incomplete") (case "HTTP-response-header-section-size" (option u32))
			(case "HTTP-response-header-size" $size) (case "HTTP-response-body-size" (option u64))
			(case "HTTP-response-trailer-section-size" (option u32)) (case "HTTP-response-trailer-size" $size)
			(case "HTTP-response-transfer-coding" (option string)) (case "HTTP-response-content-coding" (option string))
			(case "HTTP-response-timeout") (case "HTTP-upgrade-failed") (case "HTTP-protocol-error") (case "loop-detected")
			(case "configuration-error") (case "internal-error" (option string))))
		(export "error-code" (type $code (eq $code')))
		(type $sent (future (result (error $code))))
		(type $trailers (future (result (option (own $fields)) (error $code))))
		(type $header-error' (variant (case "invalid-syntax") (case "forbidden") (case "immutable") (case "size-exceeded")
			(case "other" (option string))))
		(export "header-error" (type $header-error (eq $header-error')))
		(export "[constructor]fields" (func (result (own $fields))))
		(export "[method]fields.append" (func (param "self" (borrow $fields)) (param "name" string) (param "value" (list u8))
			(result (result (error $header-error)))))
		(export "[method]request.get-headers" (func (param "self" (borrow $request)) (result (own $fields))))
		(export "[method]response.set-status-code" (func (param "self" (borrow $response)) (param "status-code" u16) (result (result))))
		(export "[method]fields.has" (func (param "self" (borrow $fields)) (param "name" string) (result bool)))
		(export "[static]request.new" (func (param "headers" (own $fields)) (param "contents" (option (stream u8)))
			(param "trailers" $trailers) (param "options" (option (own $request-options))) (result (tuple (own $request) $sent))))
		(export "[static]request.consume-body" (func (param "this" (own $request)) (param "res" $sent) (result (tuple (stream u8) $trailers))))
		(export "[static]response.new" (func (param "headers" (own $fields)) (param "contents" (option (stream u8)))
			(param "trailers" $trailers) (result (tuple (own $response) $sent))))
		(export "[static]response.consume-body" (func (param "this" (own $response)) (param "res" $sent) (result (tuple (stream u8) $trailers))))))
	(alias export $http "fields" (type $fields))
	(alias export $http "request" (type $request))
	(alias export $http "response" (type $response))
	(alias export $http "error-code" (type $http-code))
	(import "wasi:http/client@0.3.0" (instance $client
		(export "request" (type $r (eq $request)))
		(export "response" (type $response' (eq $response)))
		(export "error-code" (type $code (eq $http-code)))
		(export "send" (func async (param "request" (own $r)) (result (result (own $response') (error $code)))))))
	(type $sent-future (future (result (error $http-code))))
	(type $trailer-future (future (result (option (own $fields)) (error $http-code))))
	(type $bytes (stream u8)) (type $entries (stream $entry)) (type $connection (own $tcp)) (type $tcps (stream $connection))
	(type $socket-future (future (result (error $socket-code))))
	(type $cli-future (future (result (error $cli-code))))
	(type $file-future (future (result (error $file-code))))
`

// function is a function that the guest calls when the test does.
type function struct {
	name   string // in the guest
	of     string // what is lowered, or a canonical definition
	params string // core types of the parameters: i for 32, l for 64 bits
	result byte   // a core type, or 0
}

const options = `(memory $memory "mem") (realloc (func $memory "realloc"))`

// lowered makes functions of an instance that are lowered.
func lowered(instance, prefix string, rows ...string) (all []function) {
	for _, row := range rows {
		name, core, _ := strings.Cut(row, " ")
		params, result, _ := strings.Cut(core, ":")
		f := function{name: name, params: params, of: fmt.Sprintf(`lower (func $%s "%s%s") %s`, instance, prefix, name, options)}
		if result != "" {
			f.result = result[0]
		}
		all = append(all, f)
	}
	return all
}

func builtin(name, of, core string) function {
	params, result, _ := strings.Cut(core, ":")
	f := function{name: name, params: params, of: of}
	if result != "" {
		f.result = result[0]
	}
	return f
}

func functionsOfWorld() (all []function) {
	add := func(fs ...function) { all = append(all, fs...) }
	add(lowered("environment", "", "get-environment i:", "get-arguments i:", "get-initial-cwd i:")...)
	add(lowered("exit", "", "exit i:", "exit-with-code i:")...)
	add(lowered("stdin", "", "read-via-stream i:")...)
	add(function{"stdout", `lower (func $stdout "write-via-stream")`, "i", 'i'}, function{"stderr", `lower (func $stderr "write-via-stream")`, "i", 'i'})
	add(lowered("terminal-stdout", "", "get-terminal-stdout i:")...)
	add(lowered("monotonic", "", "now :l", "get-resolution :l", "wait-until l:", "wait-for l:")...)
	add(function{"wait-for-async", `lower (func $monotonic "wait-for") async ` + options, "l", 'i'})
	add(function{"system-now", `lower (func $system "now") ` + options, "i", 0})
	add(lowered("timezone", "", "iana-id i:", "utc-offset lii:", "to-debug-string i:")...)
	add(lowered("random", "", "get-random-bytes li:", "get-random-u64 :l")...)
	add(lowered("insecure", "", "get-insecure-random-bytes li:", "get-insecure-random-u64 :l")...)
	add(lowered("seed", "", "get-insecure-seed i:")...)
	add(lowered("preopens", "", "get-directories i:")...)
	const method = "[method]descriptor."
	add(function{"read-file", `lower (func $files "` + method + `read-via-stream") ` + options, "ili", 0})
	add(lowered("files", method, "write-via-stream iil:i", "append-via-stream ii:i", "advise illii:", "sync-data ii:", "get-flags ii:",
		"get-type ii:", "set-size ili:", "set-times iiliili"+"i:", "read-directory ii:", "sync ii:", "create-directory-at iiii:",
		"stat ii:", "stat-at iiiii:", "link-at iiiiiiii:", "open-at iiiiiii:", "readlink-at iiii:", "remove-directory-at iiii:",
		"rename-at iiiiiii:", "symlink-at iiiiii:", "unlink-file-at iiii:", "is-same-object ii:i", "metadata-hash ii:", "metadata-hash-at iiiii:",
		"set-times-at iiiiiliili"+"i:")...)
	add(function{"sync-async", `lower (func $files "` + method + `sync") async ` + options, "ii", 'i'})
	add(socketFunctions()...)
	add(function{"fields", `lower (func $http "[constructor]fields")`, "", 'i'})
	add(lowered("http", "[method]fields.", "has iii:i", "append iiiiii:")...)
	add(lowered("http", "[method]request.", "get-headers i:i")...)
	add(lowered("http", "[method]response.", "set-status-code ii:i")...)
	add(builtin("drop-fields", "resource.drop $fields", "i:"))
	for _, of := range []string{"request", "response"} {
		static := "[static]" + of + "."
		params := map[string]string{"request": "iiiiiii", "response": "iiiii"}[of]
		add(function{of, `lower (func $http "` + static + `new") ` + options, params, 0},
			function{"consume-" + of, `lower (func $http "` + static + `consume-body") ` + options, "iii", 0},
			builtin("drop-"+of, "resource.drop $"+of, "i:"))
	}
	add(lowered("client", "", "send ii:")...)
	for _, s := range []string{"bytes", "entries", "tcps"} {
		add(builtin(s+".new", "stream.new $"+s, ":l"),
			builtin(s+".read", "stream.read $"+s+" "+options, "iii:i"), builtin(s+".read-async", "stream.read $"+s+" async "+options, "iii:i"),
			builtin(s+".cancel-read", "stream.cancel-read $"+s, "i:i"), builtin(s+".drop-readable", "stream.drop-readable $"+s, "i:"))
	}
	add(builtin("bytes.write", "stream.write $bytes "+options, "iii:i"), builtin("bytes.write-async", "stream.write $bytes async "+options, "iii:i"),
		builtin("bytes.cancel-write", "stream.cancel-write $bytes", "i:i"), builtin("bytes.drop-writable", "stream.drop-writable $bytes", "i:"))
	for _, f := range []string{"cli-future", "file-future", "socket-future", "sent-future", "trailer-future"} {
		add(builtin(f+".read", "future.read $"+f+" "+options, "ii:i"), builtin(f+".drop", "future.drop-readable $"+f, "i:"))
	}
	for _, f := range []string{"sent-future", "trailer-future"} {
		add(builtin(f+".new", "future.new $"+f, ":l"), builtin(f+".write-async", "future.write $"+f+" async "+options, "ii:i"))
	}
	add(builtin("drop", "resource.drop $descriptor", "i:"), builtin("set", "waitable-set.new", ":i"), builtin("join", "waitable.join", "ii:"),
		builtin("wait", `waitable-set.wait (memory $memory "mem")`, "ii:i"), builtin("poll", `waitable-set.poll (memory $memory "mem")`, "ii:i"),
		builtin("cancel", "subtask.cancel", "i:i"), builtin("drop-subtask", "subtask.drop", "i:"))
	return all
}

// address is the core types of a socket address.
const address = "iiiiiiiiiiii"

// socketFunctions are those of wasi:sockets. Their names begin with that of their resource.
func socketFunctions() (all []function) {
	for _, kind := range []string{"tcp", "udp"} {
		for _, row := range map[string][]string{
			"tcp": {
				"[static] create ii:", "[method] bind i" + address + "i:", "[method] connect i" + address + "i:", "[method] listen ii:", "[method] receive ii:",
				"[method] get-local-address ii:", "[method] get-remote-address ii:", "[method] set-keep-alive-idle-time ili:",
			},
			"udp": {
				"[static] create ii:", "[method] bind i" + address + "i:", "[method] connect i" + address + "i:", "[method] disconnect ii:",
				"[method] receive ii:", "[method] get-local-address ii:",
			},
		}[kind] {
			prefix, row, _ := strings.Cut(row, " ")
			f := lowered("sockets", prefix+kind+"-socket.", row)[0]
			f.name = kind + "-" + f.name
			all = append(all, f)
		}
		all = append(all, builtin("drop-"+kind, "resource.drop $"+kind, "i:"))
	}
	return append(all,
		function{"tcp-connect-async", `lower (func $sockets "[method]tcp-socket.connect") async ` + options, "ii", 'i'},
		function{"tcp-send", `lower (func $sockets "[method]tcp-socket.send") ` + options, "ii", 'i'},
		function{"udp-send", `lower (func $sockets "[method]udp-socket.send") async ` + options, "ii", 'i'},
		function{"udp-receive-async", `lower (func $sockets "[method]udp-socket.receive") async ` + options, "ii", 'i'},
		function{"resolve", `lower (func $lookup "resolve-addresses") ` + options, "iii", 0},
		function{"resolve-async", `lower (func $lookup "resolve-addresses") async ` + options, "iii", 'i'},
	)
}

var coreTypes = map[byte]string{'i': "i32", 'l': "i64"}

// world is a component that calls what the test tells it to: it exports each function of
// functionsOfWorld with its core values, and gives and takes memory.
func world() string {
	var lower, give, take, wrap, lift strings.Builder
	for _, f := range functionsOfWorld() {
		fmt.Fprintf(&lower, "(core func $%s (canon %s))\n", f.name, f.of)
		fmt.Fprintf(&give, "(export %q (func $%s))\n", f.name, f.name)
		params, args, typed := "", "", ""
		for i, p := range []byte(f.params) {
			params += " " + coreTypes[p]
			args += fmt.Sprintf(" (local.get %d)", i)
			typed += fmt.Sprintf(` (param "p%d" %s)`, i, map[byte]string{'i': "u32", 'l': "u64"}[p])
		}
		result, typedResult := "", ""
		if f.result != 0 {
			result = "(result " + coreTypes[f.result] + ")"
			typedResult = "(result " + map[byte]string{'i': "u32", 'l': "u64"}[f.result] + ")"
		}
		fmt.Fprintf(&take, "(import \"\" %q (func $%s (param%s) %s))\n", f.name, f.name, params, result)
		fmt.Fprintf(&wrap, "(func (export %q) (param%s) %s (call $%s%s))\n", f.name, params, result, f.name, args)
		fmt.Fprintf(&lift, "(func (export %q) async%s %s (canon lift (core func $m %q)))\n", exported(f.name), typed, typedResult, f.name)
	}
	return `(component ` + imports + `
		(core module $Memory (memory (export "mem") 64) (global $at (mut i32) (i32.const 65536))
			(func (export "realloc") (param $old i32) (param $had i32) (param $align i32) (param $size i32) (result i32) (local $new i32)
				(local.set $new (i32.and (i32.add (global.get $at) (i32.const 15)) (i32.const -16)))
				(global.set $at (i32.add (local.get $new) (local.get $size)))
				(memory.copy (local.get $new) (local.get $old) (local.get $had))
				(local.get $new)))
		(core instance $memory (instantiate $Memory))
		` + lower.String() + `
		(core module $M (import "" "mem" (memory 64)) ` + take.String() + wrap.String() + `
			(func (export "put") (param i32 i32) (result i32) (local.get 0))
			(func (export "same") (param i32) (result i32) (local.get 0))
			(func (export "ok") (param i32) (result i32) (i32.store (i32.const 0) (i32.const 0)) (i32.store (i32.const 8) (local.get 0)) (i32.const 0))
			(func (export "get") (param i32 i32) (result i32)
				(i32.store (i32.const 0) (local.get 0)) (i32.store (i32.const 4) (local.get 1)) (i32.const 0))
			(func (export "spin") (loop (br 0))))
		(core instance $m (instantiate $M (with "" (instance (export "mem" (memory $memory "mem")) ` + give.String() + `))))
		` + lift.String() + `
		(func (export "accept") (param "r" (own $request)) (result u32) (canon lift (core func $m "same")))
		(func (export "respond") (param "r" u32) (result (result (own $response) (error $http-code)))
			(canon lift (core func $m "ok") (memory $memory "mem")))
		(func (export "put") (param "b" (list u8)) (result u32) (canon lift (core func $m "put") ` + options + `))
		(func (export "get") (param "at" u32) (param "n" u32) (result (list u8)) (canon lift (core func $m "get") ` + options + `)))`
}

// exported is the name of an export: these have no dots, and their parts begin with letters.
func exported(name string) string { return strings.ReplaceAll(name, ".", "-") }
