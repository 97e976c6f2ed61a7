;; An HTTP handler of WASI 0.2 that does what a test wants a guest to do. The first four letters of the path decide.
;; N is the number that the digits of the path make, and 0 if there are none. All answers are 200 and text/plain, if
;; nothing else is said.
;;
;;   /hello      answers `hello`, and so does every path that is not here
;;   /statusN    answers `hello` with the status N
;;   /count      answers how many requests came to this instance
;;   /headers    answers how many header fields the request has
;;   /request    answers the method's number, authority, and path with query, each in a line
;;   /echo       answers with the body of the request, spliced
;;   /copy       does the same with reads and writes of up to 64 KiB
;;   /size       reads the body and answers how many bytes it has
;;   /zeroN      answers with N MiB of zeros
;;   /trailers   answers `hello` with the trailer field x-trailer: end
;;   /fieldsN    answers `hello` with N header fields x-field: text/plain
;;   /forbidden  answers 1 if the host takes the header field connection of it, else 0
;;   /output     writes a line to standard output and one to standard error, and answers `hello`
;;   /sleepN     waits for N milliseconds before it answers `hello`
;;   /lateN      begins the answer, waits for N milliseconds, and then writes `hello`
;;   /short      says that the body has 10 bytes, and writes 6
;;   /error      answers with an error
;;   /unset      returns without an answer
;;   /half       begins the answer, writes `hello`, and traps; /trap traps without an answer
;;   /loop       computes for ever
;;   /memory     grows its memory until that is refused, and traps then
;;   /keepN      grows its memory by N MiB for ever, and answers 1 if that was refused, else 0
;;
;; The instance can answer again after each that returns.
(component $kitchen
  (import "wasi:io/error@0.2.6" (instance $io-error
    (export "error" (type (sub resource)))))
  (alias export $io-error "error" (type $error-type))
  (import "wasi:io/poll@0.2.6" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:io/streams@0.2.6" (instance $streams
    (alias outer $kitchen $error-type (type $outer-error))
    (export "error" (type $error-type (eq $outer-error)))
    (alias outer $kitchen $pollable (type $outer-pollable))
    (export "pollable" (type $pollable (eq $outer-pollable)))
    (export "input-stream" (type $input-stream (sub resource)))
    (export "output-stream" (type $output-stream (sub resource)))
    (type $stream-error-def (variant (case "last-operation-failed" (own $error-type)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error-def)))
    (export "[method]input-stream.blocking-read" (func (param "self" (borrow $input-stream)) (param "len" u64)
      (result (result (list u8) (error $stream-error)))))
    (export "[method]output-stream.check-write" (func (param "self" (borrow $output-stream))
      (result (result u64 (error $stream-error)))))
    (export "[method]output-stream.write" (func (param "self" (borrow $output-stream)) (param "contents" (list u8))
      (result (result (error $stream-error)))))
    (export "[method]output-stream.blocking-flush" (func (param "self" (borrow $output-stream))
      (result (result (error $stream-error)))))
    (export "[method]output-stream.blocking-splice" (func (param "self" (borrow $output-stream))
      (param "src" (borrow $input-stream)) (param "len" u64) (result (result u64 (error $stream-error)))))
    (export "[method]output-stream.subscribe" (func (param "self" (borrow $output-stream)) (result (own $pollable))))))
  (alias export $streams "input-stream" (type $input-stream))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.6" (instance $stdout
    (alias outer $kitchen $output-stream (type $stream))
    (export "output-stream" (type $output-stream (eq $stream)))
    (export "get-stdout" (func (result (own $output-stream))))))
  (import "wasi:cli/stderr@0.2.6" (instance $stderr
    (alias outer $kitchen $output-stream (type $stream))
    (export "output-stream" (type $output-stream (eq $stream)))
    (export "get-stderr" (func (result (own $output-stream))))))
  (import "wasi:clocks/monotonic-clock@0.2.6" (instance $clock
    (alias outer $kitchen $pollable (type $outer-pollable))
    (export "pollable" (type $pollable (eq $outer-pollable)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
  (import "wasi:http/types@0.2.6" (instance $types
    (alias outer $kitchen $input-stream (type $outer-input))
    (export "input-stream" (type $input-stream (eq $outer-input)))
    (alias outer $kitchen $output-stream (type $outer-output))
    (export "output-stream" (type $output-stream (eq $outer-output)))
    (export "fields" (type $fields (sub resource)))
    (export "incoming-request" (type $incoming-request (sub resource)))
    (export "incoming-body" (type $incoming-body (sub resource)))
    (export "response-outparam" (type $response-outparam (sub resource)))
    (export "outgoing-response" (type $outgoing-response (sub resource)))
    (export "outgoing-body" (type $outgoing-body (sub resource)))
    (type $method-def (variant (case "get") (case "head") (case "post") (case "put") (case "delete") (case "connect")
      (case "options") (case "trace") (case "patch") (case "other" string)))
    (export "method" (type $method (eq $method-def)))
    (type $dns-payload-def (record (field "rcode" (option string)) (field "info-code" (option u16))))
    (export "DNS-error-payload" (type $dns-payload (eq $dns-payload-def)))
    (type $tls-payload-def (record (field "alert-id" (option u8)) (field "alert-message" (option string))))
    (export "TLS-alert-received-payload" (type $tls-payload (eq $tls-payload-def)))
    (type $size-payload-def (record (field "field-name" (option string)) (field "field-size" (option u32))))
    (export "field-size-payload" (type $size-payload (eq $size-payload-def)))
    (type $error-code-def (variant (case "DNS-timeout") (case "DNS-error" $dns-payload)
      (case "destination-not-found") (case "destination-unavailable") (case "destination-IP-prohibited")
      (case "destination-IP-unroutable") (case "connection-refused") (case "connection-terminated")
      (case "connection-timeout") (case "connection-read-timeout") (case "connection-write-timeout")
      (case "connection-limit-reached") (case "TLS-protocol-error") (case "TLS-certificate-error")
      (case "TLS-alert-received" $tls-payload) (case "HTTP-request-denied") (case "HTTP-request-length-required")
      (case "HTTP-request-body-size" (option u64)) (case "HTTP-request-method-invalid")
      (case "HTTP-request-URI-invalid") (case "HTTP-request-URI-too-long")
      (case "HTTP-request-header-section-size" (option u32)) (case "HTTP-request-header-size" (option $size-payload))
      (case "HTTP-request-trailer-section-size" (option u32)) (case "HTTP-request-trailer-size" $size-payload)
      (case "HTTP-response-incomplete") (case "HTTP-response-header-section-size" (option u32))
      (case "HTTP-response-header-size" $size-payload) (case "HTTP-response-body-size" (option u64))
      (case "HTTP-response-trailer-section-size" (option u32)) (case "HTTP-response-trailer-size" $size-payload)
      (case "HTTP-response-transfer-coding" (option string)) (case "HTTP-response-content-coding" (option string))
      (case "HTTP-response-timeout") (case "HTTP-upgrade-failed") (case "HTTP-protocol-error") (case "loop-detected")
      (case "configuration-error") (case "internal-error" (option string))))
    (export "error-code" (type $error-code (eq $error-code-def)))
    (type $header-error-def (variant (case "invalid-syntax") (case "forbidden") (case "immutable")))
    (export "header-error" (type $header-error (eq $header-error-def)))
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[method]fields.append" (func (param "self" (borrow $fields)) (param "name" string)
      (param "value" (list u8)) (result (result (error $header-error)))))
    (export "[method]fields.entries" (func (param "self" (borrow $fields)) (result (list (tuple string (list u8))))))
    (export "[method]incoming-request.method" (func (param "self" (borrow $incoming-request)) (result $method)))
    (export "[method]incoming-request.path-with-query" (func (param "self" (borrow $incoming-request))
      (result (option string))))
    (export "[method]incoming-request.authority" (func (param "self" (borrow $incoming-request))
      (result (option string))))
    (export "[method]incoming-request.headers" (func (param "self" (borrow $incoming-request))
      (result (own $fields))))
    (export "[method]incoming-request.consume" (func (param "self" (borrow $incoming-request))
      (result (result (own $incoming-body)))))
    (export "[method]incoming-body.stream" (func (param "self" (borrow $incoming-body))
      (result (result (own $input-stream)))))
    (export "[constructor]outgoing-response" (func (param "headers" (own $fields)) (result (own $outgoing-response))))
    (export "[method]outgoing-response.set-status-code" (func (param "self" (borrow $outgoing-response))
      (param "status-code" u16) (result (result))))
    (export "[method]outgoing-response.body" (func (param "self" (borrow $outgoing-response))
      (result (result (own $outgoing-body)))))
    (export "[static]response-outparam.set" (func (param "param" (own $response-outparam))
      (param "response" (result (own $outgoing-response) (error $error-code)))))
    (export "[method]outgoing-body.write" (func (param "self" (borrow $outgoing-body))
      (result (result (own $output-stream)))))
    (export "[static]outgoing-body.finish" (func (param "this" (own $outgoing-body))
      (param "trailers" (option (own $fields))) (result (result (error $error-code)))))))
  (alias export $types "fields" (type $fields))
  (alias export $types "incoming-request" (type $incoming-request))
  (alias export $types "incoming-body" (type $incoming-body))
  (alias export $types "response-outparam" (type $response-outparam))

  ;; The memory: 0 results of functions, 48 digits of a number, 64 texts, 65536 64 KiB of zeros, 131072 what realloc
  ;; gives, which each request begins again.
  (core module $memory
    (memory (export "memory") 3)
    (global $top (export "top") (mut i32) (i32.const 131072))
    (data (i32.const 64) "hello\ncontent-typetext/plainx-trailerendx-fieldconnectionclosecontent-length10")
    (data (i32.const 160) "a line on standard output\na line on standard error\n")
    (func (export "realloc") (param $old i32) (param $was i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
      (global.set $top (i32.add (local.get $at) (local.get $size)))
      (block $fits
        (br_if $fits (i32.le_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
        (br_if $fits (i32.ne (i32.const -1)
          (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1)))))
        (unreachable))
      (memory.copy (local.get $at) (local.get $old) (local.get $was))
      (local.get $at)))
  (core instance $memory-instance (instantiate $memory))
  (alias core export $memory-instance "memory" (core memory $memory))
  (alias core export $memory-instance "realloc" (core func $realloc))
  (alias core export $memory-instance "top" (core global $top))

  (alias export $poll "[method]pollable.block" (func $block))
  (core func $block (canon lower (func $block)))
  (alias export $streams "[method]input-stream.blocking-read" (func $read))
  (core func $read (canon lower (func $read) (memory $memory) (realloc $realloc)))
  (alias export $streams "[method]output-stream.check-write" (func $check-write))
  (core func $check-write (canon lower (func $check-write) (memory $memory)))
  (alias export $streams "[method]output-stream.write" (func $write))
  (core func $write (canon lower (func $write) (memory $memory)))
  (alias export $streams "[method]output-stream.blocking-flush" (func $flush))
  (core func $flush (canon lower (func $flush) (memory $memory)))
  (alias export $streams "[method]output-stream.blocking-splice" (func $splice))
  (core func $splice (canon lower (func $splice) (memory $memory)))
  (alias export $streams "[method]output-stream.subscribe" (func $subscribe))
  (core func $subscribe (canon lower (func $subscribe)))
  (alias export $stdout "get-stdout" (func $get-stdout))
  (core func $get-stdout (canon lower (func $get-stdout)))
  (alias export $stderr "get-stderr" (func $get-stderr))
  (core func $get-stderr (canon lower (func $get-stderr)))
  (alias export $clock "subscribe-duration" (func $subscribe-duration))
  (core func $subscribe-duration (canon lower (func $subscribe-duration)))
  (alias export $types "[constructor]fields" (func $new-fields))
  (core func $new-fields (canon lower (func $new-fields)))
  (alias export $types "[method]fields.append" (func $append))
  (core func $append (canon lower (func $append) (memory $memory)))
  (alias export $types "[method]fields.entries" (func $entries))
  (core func $entries (canon lower (func $entries) (memory $memory) (realloc $realloc)))
  (alias export $types "[method]incoming-request.method" (func $method))
  (core func $method (canon lower (func $method) (memory $memory) (realloc $realloc)))
  (alias export $types "[method]incoming-request.path-with-query" (func $path))
  (core func $path (canon lower (func $path) (memory $memory) (realloc $realloc)))
  (alias export $types "[method]incoming-request.authority" (func $authority))
  (core func $authority (canon lower (func $authority) (memory $memory) (realloc $realloc)))
  (alias export $types "[method]incoming-request.headers" (func $headers))
  (core func $headers (canon lower (func $headers)))
  (alias export $types "[method]incoming-request.consume" (func $consume))
  (core func $consume (canon lower (func $consume) (memory $memory)))
  (alias export $types "[method]incoming-body.stream" (func $body-stream))
  (core func $body-stream (canon lower (func $body-stream) (memory $memory)))
  (alias export $types "[constructor]outgoing-response" (func $new-response))
  (core func $new-response (canon lower (func $new-response)))
  (alias export $types "[method]outgoing-response.set-status-code" (func $set-status))
  (core func $set-status (canon lower (func $set-status)))
  (alias export $types "[method]outgoing-response.body" (func $response-body))
  (core func $response-body (canon lower (func $response-body) (memory $memory)))
  (alias export $types "[static]response-outparam.set" (func $set))
  (core func $set (canon lower (func $set) (memory $memory)))
  (alias export $types "[method]outgoing-body.write" (func $open-body))
  (core func $open-body (canon lower (func $open-body) (memory $memory)))
  (alias export $types "[static]outgoing-body.finish" (func $finish))
  (core func $finish (canon lower (func $finish) (memory $memory) (realloc $realloc)))
  (core func $drop-error (canon resource.drop $error-type))
  (core func $drop-pollable (canon resource.drop $pollable))
  (core func $drop-input (canon resource.drop $input-stream))
  (core func $drop-output (canon resource.drop $output-stream))
  (core func $drop-fields (canon resource.drop $fields))
  (core func $drop-request (canon resource.drop $incoming-request))
  (core func $drop-body (canon resource.drop $incoming-body))
  (core func $drop-outparam (canon resource.drop $response-outparam))

  (core module $main
    (import "host" "block" (func $block (param i32)))
    (import "host" "read" (func $read (param i32 i64 i32)))
    (import "host" "check-write" (func $check-write (param i32 i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "host" "flush" (func $flush (param i32 i32)))
    (import "host" "splice" (func $splice (param i32 i32 i64 i32)))
    (import "host" "subscribe" (func $subscribe (param i32) (result i32)))
    (import "host" "get-stdout" (func $get-stdout (result i32)))
    (import "host" "get-stderr" (func $get-stderr (result i32)))
    (import "host" "subscribe-duration" (func $subscribe-duration (param i64) (result i32)))
    (import "host" "new-fields" (func $new-fields (result i32)))
    (import "host" "append" (func $append (param i32 i32 i32 i32 i32 i32)))
    (import "host" "entries" (func $entries (param i32 i32)))
    (import "host" "method" (func $method (param i32 i32)))
    (import "host" "path" (func $path (param i32 i32)))
    (import "host" "authority" (func $authority (param i32 i32)))
    (import "host" "headers" (func $headers (param i32) (result i32)))
    (import "host" "consume" (func $consume (param i32 i32)))
    (import "host" "body-stream" (func $body-stream (param i32 i32)))
    (import "host" "new-response" (func $new-response (param i32) (result i32)))
    (import "host" "set-status" (func $set-status (param i32 i32) (result i32)))
    (import "host" "response-body" (func $response-body (param i32 i32)))
    (import "host" "set" (func $set (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (import "host" "open-body" (func $open-body (param i32 i32)))
    (import "host" "finish" (func $finish (param i32 i32 i32 i32)))
    (import "host" "drop-error" (func $drop-error (param i32)))
    (import "host" "drop-pollable" (func $drop-pollable (param i32)))
    (import "host" "drop-input" (func $drop-input (param i32)))
    (import "host" "drop-output" (func $drop-output (param i32)))
    (import "host" "drop-fields" (func $drop-fields (param i32)))
    (import "host" "drop-request" (func $drop-request (param i32)))
    (import "host" "drop-body" (func $drop-body (param i32)))
    (import "host" "drop-outparam" (func $drop-outparam (param i32)))
    (import "host" "memory" (memory 1))
    (import "host" "top" (global $top (mut i32)))

    (global $requests (mut i32) (i32.const 0)) ;; how many came to this instance
    (global $request (mut i32) (i32.const 0))
    (global $in (mut i32) (i32.const 0))       ;; the stream of the request's body, if it was opened
    (global $in-body (mut i32) (i32.const 0))
    (global $param (mut i32) (i32.const 0))    ;; where the answer is set
    (global $fields (mut i32) (i32.const 0))   ;; of the answer
    (global $out (mut i32) (i32.const 0))      ;; the stream of the answer's body
    (global $out-body (mut i32) (i32.const 0))
    (global $number (mut i32) (i32.const 0))   ;; the number in the path

    ;; broken reports whether the result<_, stream-error> at 0 is an error, whose handle it drops. $at is where
    ;; the error is: 4, or 8 after a number.
    (func $broken (param $at i32) (result i32)
      (if (i32.eqz (i32.load8_u (i32.const 0))) (then (return (i32.const 0))))
      (if (i32.eqz (i32.load8_u (local.get $at))) (then (call $drop-error (i32.load offset=4 (local.get $at)))))
      (i32.const 1))

    ;; send writes all bytes to a stream. It returns 1 if that fails.
    (func $send (param $stream i32) (param $from i32) (param $n i32) (result i32) (local $most i32)
      (loop $more
        (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
        (call $check-write (local.get $stream) (i32.const 0))
        (if (call $broken (i32.const 8)) (then (return (i32.const 1))))
        (local.set $most (select (local.get $n) (i32.load (i32.const 8))
          (i64.lt_u (i64.extend_i32_u (local.get $n)) (i64.load (i32.const 8)))))
        (if (i32.eqz (local.get $most)) (then
          (call $wait (call $subscribe (local.get $stream)))
          (br $more)))
        (call $write (local.get $stream) (local.get $from) (local.get $most) (i32.const 0))
        (if (call $broken (i32.const 4)) (then (return (i32.const 1))))
        (local.set $from (i32.add (local.get $from) (local.get $most)))
        (local.set $n (i32.sub (local.get $n) (local.get $most)))
        (br $more))
      (unreachable))
    (func $wait (param $pollable i32)
      (call $block (local.get $pollable))
      (call $drop-pollable (local.get $pollable)))
    (func $sleep
      (call $wait (call $subscribe-duration (i64.mul (i64.extend_i32_u (global.get $number)) (i64.const 1000000)))))

    ;; print writes a text to one of the standard streams.
    (func $print (param $stream i32) (param $from i32) (param $n i32)
      (drop (call $send (local.get $stream) (local.get $from) (local.get $n)))
      (call $flush (local.get $stream) (i32.const 0))
      (drop (call $broken (i32.const 4)))
      (call $drop-output (local.get $stream)))

    ;; field adds a header field to the answer. It returns 1 if the host does not take it.
    (func $field (param $fields i32) (param $name i32) (param $name-length i32) (param $value i32)
      (param $value-length i32) (result i32)
      (call $append (local.get $fields) (local.get $name) (local.get $name-length) (local.get $value)
        (local.get $value-length) (i32.const 0))
      (i32.load8_u (i32.const 0)))

    ;; begin sets the answer, whose body is open then.
    (func $begin (param $status i32) (local $response i32)
      (drop (call $field (global.get $fields) (i32.const 70) (i32.const 12) (i32.const 82) (i32.const 10)))
      (local.set $response (call $new-response (global.get $fields)))
      (if (call $set-status (local.get $response) (local.get $status)) (then (unreachable)))
      (call $response-body (local.get $response) (i32.const 0)) ;; cannot fail the first time
      (global.set $out-body (i32.load (i32.const 4)))
      (call $set (global.get $param) (i32.const 0) (local.get $response)
        (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
      (call $open-body (global.get $out-body) (i32.const 0))
      (global.set $out (i32.load (i32.const 4))))
    ;; end finishes the body. It ignores errors: then the client is gone.
    (func $end (param $has i32) (param $trailers i32)
      (call $drop-output (global.get $out))
      (call $finish (global.get $out-body) (local.get $has) (local.get $trailers) (i32.const 0)))
    (func $answer (param $status i32) (param $from i32) (param $n i32)
      (call $begin (local.get $status))
      (drop (call $send (global.get $out) (local.get $from) (local.get $n)))
      (call $end (i32.const 0) (i32.const 0)))
    (func $hello (param $status i32) (call $answer (local.get $status) (i32.const 64) (i32.const 6)))

    ;; answer-number answers a number and the end of a line.
    (func $answer-number (param $n i32) (local $from i32)
      (local.set $from (call $digits (local.get $n)))
      (call $answer (i32.const 200) (local.get $from) (i32.sub (i32.const 60) (local.get $from))))
    ;; digits writes a number and the end of a line so that they end at 60, and returns where they begin.
    (func $digits (param $n i32) (result i32) (local $from i32)
      (local.set $from (i32.const 59))
      (i32.store8 (local.get $from) (i32.const 10))
      (loop $more
        (local.set $from (i32.sub (local.get $from) (i32.const 1)))
        (i32.store8 (local.get $from) (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
        (br_if $more (local.tee $n (i32.div_u (local.get $n) (i32.const 10)))))
      (local.get $from))

    ;; open opens the request's body.
    (func $open
      (call $consume (global.get $request) (i32.const 0)) ;; cannot fail the first time
      (global.set $in-body (i32.load (i32.const 4)))
      (call $body-stream (global.get $in-body) (i32.const 0))
      (global.set $in (i32.load (i32.const 4))))
    (func $close
      (call $drop-input (global.get $in))
      (call $drop-body (global.get $in-body)))

    (func $echo
      (call $open)
      (call $begin (i32.const 200))
      (loop $more
        (call $splice (global.get $out) (global.get $in) (i64.const 65536) (i32.const 0))
        (br_if $more (i32.eqz (call $broken (i32.const 8)))))
      (call $close)
      (call $end (i32.const 0) (i32.const 0)))
    ;; next reads the next part of the body. It returns 1 at the end of it. The part's place is at 4, its length at 8.
    (func $next (param $keep i32) (result i32)
      (global.set $top (local.get $keep))
      (call $read (global.get $in) (i64.const 65536) (i32.const 0))
      (call $broken (i32.const 4)))
    (func $copy (local $keep i32)
      (call $open)
      (call $begin (i32.const 200))
      (local.set $keep (global.get $top))
      (block $end
        (loop $more
          (br_if $end (call $next (local.get $keep)))
          (br_if $more (i32.eqz (call $send (global.get $out) (i32.load (i32.const 4)) (i32.load (i32.const 8)))))))
      (call $close)
      (call $end (i32.const 0) (i32.const 0)))
    (func $eat (local $keep i32) (local $n i32)
      (call $open)
      (local.set $keep (global.get $top))
      (block $end
        (loop $more
          (br_if $end (call $next (local.get $keep)))
          (local.set $n (i32.add (local.get $n) (i32.load (i32.const 8))))
          (br $more)))
      (call $close)
      (call $answer-number (local.get $n)))
    (func $zeros (local $left i32)
      (call $begin (i32.const 200))
      (local.set $left (i32.shl (global.get $number) (i32.const 4))) ;; of 64 KiB
      (block $end
        (loop $more
          (br_if $end (i32.eqz (local.get $left)))
          (br_if $end (call $send (global.get $out) (i32.const 65536) (i32.const 65536)))
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          (br $more)))
      (call $end (i32.const 0) (i32.const 0)))

    (func $count-headers (local $fields i32)
      (local.set $fields (call $headers (global.get $request)))
      (call $entries (local.get $fields) (i32.const 0))
      (call $drop-fields (local.get $fields))
      (call $answer-number (i32.load (i32.const 4))))
    ;; line writes the option<string> at 0 and the end of a line.
    (func $line
      (if (i32.load8_u (i32.const 0)) (then
        (drop (call $send (global.get $out) (i32.load (i32.const 4)) (i32.load (i32.const 8))))))
      (drop (call $send (global.get $out) (i32.const 69) (i32.const 1))))
    (func $describe (local $from i32)
      (call $method (global.get $request) (i32.const 0))
      (local.set $from (call $digits (i32.load8_u (i32.const 0))))
      (call $begin (i32.const 200))
      (drop (call $send (global.get $out) (local.get $from) (i32.sub (i32.const 60) (local.get $from))))
      (call $authority (global.get $request) (i32.const 0))
      (call $line)
      (call $path (global.get $request) (i32.const 0))
      (call $line)
      (call $end (i32.const 0) (i32.const 0)))

    (func $with-trailers (local $trailers i32)
      (call $begin (i32.const 200))
      (drop (call $send (global.get $out) (i32.const 64) (i32.const 6)))
      (local.set $trailers (call $new-fields))
      (drop (call $field (local.get $trailers) (i32.const 92) (i32.const 9) (i32.const 101) (i32.const 3)))
      (call $end (i32.const 1) (local.get $trailers)))
    (func $many-fields (local $i i32)
      (block $done
        (loop $more
          (br_if $done (i32.ge_u (local.get $i) (global.get $number)))
          (drop (call $field (global.get $fields) (i32.const 104) (i32.const 7) (i32.const 82) (i32.const 10)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $more)))
      (call $hello (i32.const 200)))
    (func $forbidden
      (call $answer-number (i32.eqz
        (call $field (global.get $fields) (i32.const 111) (i32.const 10) (i32.const 121) (i32.const 5)))))
    (func $too-short
      (drop (call $field (global.get $fields) (i32.const 126) (i32.const 14) (i32.const 140) (i32.const 2)))
      (call $hello (i32.const 200)))
    (func $output
      (call $print (call $get-stdout) (i32.const 160) (i32.const 26))
      (call $print (call $get-stderr) (i32.const 186) (i32.const 25))
      (call $hello (i32.const 200)))
    (func $late
      (call $begin (i32.const 200))
      (call $flush (global.get $out) (i32.const 0))
      (drop (call $broken (i32.const 4)))
      (call $sleep)
      (drop (call $send (global.get $out) (i32.const 64) (i32.const 6)))
      (call $end (i32.const 0) (i32.const 0)))
    (func $half
      (call $begin (i32.const 200))
      (drop (call $send (global.get $out) (i32.const 64) (i32.const 6)))
      (call $flush (global.get $out) (i32.const 0))
      (unreachable))
    (func $memory
      (loop $more (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 16)))))
      (unreachable))
    (func $keep
      (call $answer-number (i32.eq (i32.const -1) (memory.grow (i32.shl (global.get $number) (i32.const 4))))))
    ;; fail answers with the error internal-error, which has no text.
    (func $fail
      (call $drop-fields (global.get $fields))
      (call $set (global.get $param) (i32.const 1) (i32.const 38)
        (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
    (func $unset
      (call $drop-fields (global.get $fields))
      (call $drop-outparam (global.get $param)))

    ;; read-path returns the four letters after the first one of the path, and sets $number. The bytes behind a short
    ;; path are what they are: no command has fewer letters.
    (func $read-path (result i32) (local $at i32) (local $end i32) (local $digit i32)
      (global.set $number (i32.const 0))
      (call $path (global.get $request) (i32.const 0))
      (if (i32.eqz (i32.load8_u (i32.const 0))) (then (return (i32.const 0))))
      (if (i32.lt_u (i32.load (i32.const 8)) (i32.const 4)) (then (return (i32.const 0))))
      (local.set $at (i32.load (i32.const 4)))
      (local.set $end (i32.add (local.get $at) (i32.load (i32.const 8))))
      (block $done
        (loop $more
          (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
          (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
          (if (i32.lt_u (local.get $digit) (i32.const 10)) (then
            (global.set $number (i32.add (i32.mul (global.get $number) (i32.const 10)) (local.get $digit)))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $more)))
      (i32.load offset=1 (i32.load (i32.const 4))))

    (func $command (param $name i32)
      (if (i32.eq (local.get $name) (i32.const 0x74617473)) (then (return (call $hello (global.get $number))))) ;; status
      (if (i32.eq (local.get $name) (i32.const 0x6e756f63)) (then (return (call $answer-number (global.get $requests))))) ;; count
      (if (i32.eq (local.get $name) (i32.const 0x64616568)) (then (return (call $count-headers)))) ;; headers
      (if (i32.eq (local.get $name) (i32.const 0x75716572)) (then (return (call $describe)))) ;; request
      (if (i32.eq (local.get $name) (i32.const 0x6f686365)) (then (return (call $echo)))) ;; echo
      (if (i32.eq (local.get $name) (i32.const 0x79706f63)) (then (return (call $copy)))) ;; copy
      (if (i32.eq (local.get $name) (i32.const 0x657a6973)) (then (return (call $eat)))) ;; size
      (if (i32.eq (local.get $name) (i32.const 0x6f72657a)) (then (return (call $zeros)))) ;; zero
      (if (i32.eq (local.get $name) (i32.const 0x69617274)) (then (return (call $with-trailers)))) ;; trailers
      (if (i32.eq (local.get $name) (i32.const 0x6c656966)) (then (return (call $many-fields)))) ;; fields
      (if (i32.eq (local.get $name) (i32.const 0x62726f66)) (then (return (call $forbidden)))) ;; forbidden
      (if (i32.eq (local.get $name) (i32.const 0x7074756f)) (then (return (call $output)))) ;; output
      (if (i32.eq (local.get $name) (i32.const 0x65656c73)) (then (call $sleep) (return (call $hello (i32.const 200))))) ;; sleep
      (if (i32.eq (local.get $name) (i32.const 0x6574616c)) (then (return (call $late)))) ;; late
      (if (i32.eq (local.get $name) (i32.const 0x726f6873)) (then (return (call $too-short)))) ;; short
      (if (i32.eq (local.get $name) (i32.const 0x6f727265)) (then (return (call $fail)))) ;; error
      (if (i32.eq (local.get $name) (i32.const 0x65736e75)) (then (return (call $unset)))) ;; unset
      (if (i32.eq (local.get $name) (i32.const 0x666c6168)) (then (return (call $half)))) ;; half
      (if (i32.eq (local.get $name) (i32.const 0x70617274)) (then (unreachable))) ;; trap
      (if (i32.eq (local.get $name) (i32.const 0x706f6f6c)) (then (loop $ever (br $ever)))) ;; loop
      (if (i32.eq (local.get $name) (i32.const 0x6f6d656d)) (then (return (call $memory)))) ;; memory
      (if (i32.eq (local.get $name) (i32.const 0x7065656b)) (then (return (call $keep)))) ;; keep
      (call $hello (i32.const 200)))
    (func (export "handle") (param $request i32) (param $param i32)
      (global.set $top (i32.const 131072))
      (global.set $requests (i32.add (global.get $requests) (i32.const 1)))
      (global.set $request (local.get $request))
      (global.set $param (local.get $param))
      (global.set $fields (call $new-fields))
      (call $command (call $read-path))
      (call $drop-request (local.get $request))))
  (core instance $main (instantiate $main (with "host" (instance
    (export "block" (func $block))
    (export "read" (func $read))
    (export "check-write" (func $check-write))
    (export "write" (func $write))
    (export "flush" (func $flush))
    (export "splice" (func $splice))
    (export "subscribe" (func $subscribe))
    (export "get-stdout" (func $get-stdout))
    (export "get-stderr" (func $get-stderr))
    (export "subscribe-duration" (func $subscribe-duration))
    (export "new-fields" (func $new-fields))
    (export "append" (func $append))
    (export "entries" (func $entries))
    (export "method" (func $method))
    (export "path" (func $path))
    (export "authority" (func $authority))
    (export "headers" (func $headers))
    (export "consume" (func $consume))
    (export "body-stream" (func $body-stream))
    (export "new-response" (func $new-response))
    (export "set-status" (func $set-status))
    (export "response-body" (func $response-body))
    (export "set" (func $set))
    (export "open-body" (func $open-body))
    (export "finish" (func $finish))
    (export "drop-error" (func $drop-error))
    (export "drop-pollable" (func $drop-pollable))
    (export "drop-input" (func $drop-input))
    (export "drop-output" (func $drop-output))
    (export "drop-fields" (func $drop-fields))
    (export "drop-request" (func $drop-request))
    (export "drop-body" (func $drop-body))
    (export "drop-outparam" (func $drop-outparam))
    (export "memory" (memory $memory))
    (export "top" (global $top))))))

  (alias core export $main "handle" (core func $handle))
  (func $handle (param "request" (own $incoming-request)) (param "response-out" (own $response-outparam))
    (canon lift (core func $handle)))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.6" (instance $handler)))
