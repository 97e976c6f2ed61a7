;; An HTTP handler of WASI 0.3 that does what a test wants a guest to do. The first four letters of the path decide,
;; as in http-kitchen-0.2.wat, and do the same; of what is there, headers, request, copy, forbidden and short are
;; missing. Besides:
;;
;;   /active     waits for N milliseconds, and answers how many tasks of the instance were under way before that
;;
;; `handle` is lifted asynchronously, with a callback, so many tasks can be under way at a time. What a task has to
;; remember is in a record, to which its context points. A task does one thing after another: it sleeps, writes to
;; its body, reads from the request's body, writes the trailers, and writes the result of reading. `run` begins the
;; next thing, `done` is told how it went and says what comes next.
;;
;; As in programs in Rust and C, standard output is that of WASI 0.2.
(component $kitchen
  (import "wasi:io/error@0.2.6" (instance $io-error
    (export "error" (type (sub resource)))))
  (alias export $io-error "error" (type $error-type))
  (import "wasi:io/streams@0.2.6" (instance $streams
    (alias outer $kitchen $error-type (type $outer-error))
    (export "error" (type $error-type (eq $outer-error)))
    (export "output-stream" (type $output-stream (sub resource)))
    (type $stream-error-def (variant (case "last-operation-failed" (own $error-type)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error-def)))
    (export "[method]output-stream.blocking-write-and-flush" (func
      (param "self" (borrow $output-stream)) (param "contents" (list u8))
      (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.6" (instance $stdout
    (alias outer $kitchen $output-stream (type $stream))
    (export "output-stream" (type $output-stream (eq $stream)))
    (export "get-stdout" (func (result (own $output-stream))))))
  (import "wasi:cli/stderr@0.2.6" (instance $stderr
    (alias outer $kitchen $output-stream (type $stream))
    (export "output-stream" (type $output-stream (eq $stream)))
    (export "get-stderr" (func (result (own $output-stream))))))
  (import "wasi:clocks/monotonic-clock@0.3.0" (instance $clock
    (export "wait-for" (func async (param "how-long" u64)))))
  (import "wasi:http/types@0.3.0" (instance $types
    (export "fields" (type $fields (sub resource)))
    (export "request" (type $request (sub resource)))
    (export "response" (type $response (sub resource)))
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
    (type $header-error-def (variant (case "invalid-syntax") (case "forbidden") (case "immutable")
      (case "size-exceeded") (case "other" (option string))))
    (export "header-error" (type $header-error (eq $header-error-def)))
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[method]fields.append" (func (param "self" (borrow $fields)) (param "name" string)
      (param "value" (list u8)) (result (result (error $header-error)))))
    (export "[method]request.get-path-with-query" (func (param "self" (borrow $request)) (result (option string))))
    (export "[static]request.consume-body" (func (param "this" (own $request))
      (param "res" (future (result (error $error-code))))
      (result (tuple (stream u8) (future (result (option (own $fields)) (error $error-code)))))))
    (export "[static]response.new" (func (param "headers" (own $fields)) (param "contents" (option (stream u8)))
      (param "trailers" (future (result (option (own $fields)) (error $error-code))))
      (result (tuple (own $response) (future (result (error $error-code)))))))
    (export "[method]response.set-status-code" (func (param "self" (borrow $response)) (param "status-code" u16)
      (result (result))))))
  (alias export $types "fields" (type $fields))
  (alias export $types "request" (type $request))
  (alias export $types "response" (type $response))
  (alias export $types "error-code" (type $error-code))

  (type $bytes (stream u8))
  (type $trailers (future (result (option (own $fields)) (error $error-code))))
  (type $sent (future (result (error $error-code))))

  ;; The memory: 0 results of functions, 48 digits of a number, 64 texts, 320 a result that is ok, with no trailers,
  ;; 4096 what realloc gives, which each task begins again, 65536 64 KiB of zeros, 131072 records of 64 KiB and 64
  ;; bytes.
  (core module $memory
    (memory (export "memory") 3)
    (global $top (export "top") (mut i32) (i32.const 4096))
    (data (i32.const 64) "hello\ncontent-typetext/plainx-trailerendx-field")
    (data (i32.const 160) "a line on standard output\na line on standard error\n")
    (func (export "realloc") (param $old i32) (param $was i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
      (global.set $top (i32.add (local.get $at) (local.get $size)))
      (if (i32.gt_u (global.get $top) (i32.const 65536)) (then (unreachable)))
      (memory.copy (local.get $at) (local.get $old) (local.get $was))
      (local.get $at)))
  (core instance $memory-instance (instantiate $memory))
  (alias core export $memory-instance "memory" (core memory $memory))
  (alias core export $memory-instance "realloc" (core func $realloc))
  (alias core export $memory-instance "top" (core global $top))

  (alias export $streams "[method]output-stream.blocking-write-and-flush" (func $print))
  (core func $print (canon lower (func $print) (memory $memory)))
  (alias export $stdout "get-stdout" (func $get-stdout))
  (core func $get-stdout (canon lower (func $get-stdout)))
  (alias export $stderr "get-stderr" (func $get-stderr))
  (core func $get-stderr (canon lower (func $get-stderr)))
  (core func $drop-output (canon resource.drop $output-stream))
  (core func $drop-error (canon resource.drop $error-type))
  (alias export $clock "wait-for" (func $wait-for))
  (core func $wait-for (canon lower (func $wait-for) async))
  (alias export $types "[constructor]fields" (func $new-fields))
  (core func $new-fields (canon lower (func $new-fields)))
  (alias export $types "[method]fields.append" (func $append))
  (core func $append (canon lower (func $append) (memory $memory) (realloc $realloc)))
  (alias export $types "[method]request.get-path-with-query" (func $path))
  (core func $path (canon lower (func $path) (memory $memory) (realloc $realloc)))
  (alias export $types "[static]request.consume-body" (func $consume))
  (core func $consume (canon lower (func $consume) (memory $memory)))
  (alias export $types "[static]response.new" (func $new-response))
  (core func $new-response (canon lower (func $new-response) (memory $memory)))
  (alias export $types "[method]response.set-status-code" (func $set-status))
  (core func $set-status (canon lower (func $set-status)))
  (core func $drop-request (canon resource.drop $request))
  (core func $stream.new (canon stream.new $bytes))
  (core func $stream.read (canon stream.read $bytes async (memory $memory)))
  (core func $stream.write (canon stream.write $bytes async (memory $memory)))
  (core func $stream.drop-readable (canon stream.drop-readable $bytes))
  (core func $stream.drop-writable (canon stream.drop-writable $bytes))
  (core func $trailers.new (canon future.new $trailers))
  (core func $trailers.write (canon future.write $trailers async (memory $memory)))
  (core func $trailers.drop-readable (canon future.drop-readable $trailers))
  (core func $trailers.drop-writable (canon future.drop-writable $trailers))
  (core func $sent.new (canon future.new $sent))
  (core func $sent.write (canon future.write $sent async (memory $memory)))
  (core func $sent.drop-readable (canon future.drop-readable $sent))
  (core func $sent.drop-writable (canon future.drop-writable $sent))
  (core func $waitable-set.new (canon waitable-set.new))
  (core func $waitable-set.drop (canon waitable-set.drop))
  (core func $waitable.join (canon waitable.join))
  (core func $subtask.drop (canon subtask.drop))
  (core func $context.get (canon context.get i32 0))
  (core func $context.set (canon context.set i32 0))
  (core func $task.return (canon task.return (result (result (own $response) (error $error-code))) (memory $memory)))

  (core module $main
    (import "host" "print" (func $print (param i32 i32 i32 i32)))
    (import "host" "get-stdout" (func $get-stdout (result i32)))
    (import "host" "get-stderr" (func $get-stderr (result i32)))
    (import "host" "drop-output" (func $drop-output (param i32)))
    (import "host" "drop-error" (func $drop-error (param i32)))
    (import "host" "wait-for" (func $wait-for (param i64) (result i32)))
    (import "host" "new-fields" (func $new-fields (result i32)))
    (import "host" "append" (func $append (param i32 i32 i32 i32 i32 i32)))
    (import "host" "path" (func $path (param i32 i32)))
    (import "host" "consume" (func $consume (param i32 i32 i32)))
    (import "host" "new-response" (func $new-response (param i32 i32 i32 i32 i32)))
    (import "host" "set-status" (func $set-status (param i32 i32) (result i32)))
    (import "host" "drop-request" (func $drop-request (param i32)))
    (import "host" "stream.new" (func $stream.new (result i64)))
    (import "host" "stream.read" (func $stream.read (param i32 i32 i32) (result i32)))
    (import "host" "stream.write" (func $stream.write (param i32 i32 i32) (result i32)))
    (import "host" "stream.drop-readable" (func $stream.drop-readable (param i32)))
    (import "host" "stream.drop-writable" (func $stream.drop-writable (param i32)))
    (import "host" "trailers.new" (func $trailers.new (result i64)))
    (import "host" "trailers.write" (func $trailers.write (param i32 i32) (result i32)))
    (import "host" "trailers.drop-readable" (func $trailers.drop-readable (param i32)))
    (import "host" "trailers.drop-writable" (func $trailers.drop-writable (param i32)))
    (import "host" "sent.new" (func $sent.new (result i64)))
    (import "host" "sent.write" (func $sent.write (param i32 i32) (result i32)))
    (import "host" "sent.drop-readable" (func $sent.drop-readable (param i32)))
    (import "host" "sent.drop-writable" (func $sent.drop-writable (param i32)))
    (import "host" "waitable-set.new" (func $waitable-set.new (result i32)))
    (import "host" "waitable-set.drop" (func $waitable-set.drop (param i32)))
    (import "host" "waitable.join" (func $waitable.join (param i32 i32)))
    (import "host" "subtask.drop" (func $subtask.drop (param i32)))
    (import "host" "context.get" (func $context.get (result i32)))
    (import "host" "context.set" (func $context.set (param i32)))
    (import "host" "task.return" (func $task.return (param i32 i32 i32 i64 i32 i32 i32 i32)))
    (import "host" "memory" (memory 1))
    (import "host" "top" (global $top (mut i32)))

    ;; A record:
    ;;   0 the waitable set; the next free record, if this one is free
    ;;   4 what the task does: 0 sleeps, 1 writes, 2 reads, 3 writes the trailers, 4 writes the result of reading,
    ;;     5 has ended, 6 traps
    ;;   8 the writable end of its body      12 that of its trailers
    ;;  16 the readable end of the request's body, 0 if it does not read or that has ended
    ;;  20 the writable end of the result of reading, 0 if there is none
    ;;  24 where the bytes are that it writes, 28 how many of them are left
    ;;  32 how many times it writes 64 KiB of zeros yet
    ;;  36 what it does after sleeping: 0 answers `hello`, 1 writes, 2 answers a number; 40 the number
    ;;  44 what it waits for
    ;;  48 what it does when all is written: 0 ends the body, 1 sleeps, 6 traps
    ;;  56 its buffer of 64 KiB
    (global $free (mut i32) (i32.const 0))
    (global $next (mut i32) (i32.const 131072)) ;; where the next new record is
    (global $requests (mut i32) (i32.const 0))  ;; how many came to this instance
    (global $active (mut i32) (i32.const 0))    ;; how many tasks are under way
    (global $number (mut i32) (i32.const 0))    ;; the number in the path
    (global $fields (mut i32) (i32.const 0))    ;; of the answer

    (func $take (result i32) (local $r i32)
      (local.set $r (global.get $free))
      (if (local.get $r) (then (global.set $free (i32.load (local.get $r))))
        (else
          (local.set $r (global.get $next))
          (global.set $next (i32.add (local.get $r) (i32.const 65600)))
          (block $fits
            (br_if $fits (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
            (br_if $fits (i32.ne (i32.const -1) (memory.grow (i32.const 2))))
            (unreachable))))
      (memory.fill (local.get $r) (i32.const 0) (i32.const 56))
      (i32.store (local.get $r) (call $waitable-set.new))
      (global.set $active (i32.add (global.get $active) (i32.const 1)))
      (local.get $r))
    (func $give (param $r i32)
      (call $waitable-set.drop (i32.load (local.get $r)))
      (i32.store (local.get $r) (global.get $free))
      (global.set $free (local.get $r))
      (global.set $active (i32.sub (global.get $active) (i32.const 1))))

    (func $field (param $fields i32) (param $name i32) (param $name-length i32) (param $value i32)
      (param $value-length i32)
      (call $append (local.get $fields) (local.get $name) (local.get $name-length) (local.get $value)
        (local.get $value-length) (i32.const 0)))

    ;; respond returns an answer with these bytes. They are written afterwards.
    (func $respond (param $r i32) (param $status i32) (param $from i32) (param $n i32)
      (local $stream i64) (local $trailers i64) (local $response i32)
      (local.set $stream (call $stream.new)) ;; the readable end is in the lower half
      (local.set $trailers (call $trailers.new))
      (call $field (global.get $fields) (i32.const 70) (i32.const 12) (i32.const 82) (i32.const 10))
      (call $new-response (global.get $fields) (i32.const 1) (i32.wrap_i64 (local.get $stream))
        (i32.wrap_i64 (local.get $trailers)) (i32.const 0))
      (local.set $response (i32.load (i32.const 0)))
      (call $sent.drop-readable (i32.load (i32.const 4)))
      (if (call $set-status (local.get $response) (local.get $status)) (then (unreachable)))
      (call $task.return (i32.const 0) (local.get $response)
        (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
      (i32.store offset=8 (local.get $r) (i32.wrap_i64 (i64.shr_u (local.get $stream) (i64.const 32))))
      (i32.store offset=12 (local.get $r) (i32.wrap_i64 (i64.shr_u (local.get $trailers) (i64.const 32))))
      (call $put (local.get $r) (local.get $from) (local.get $n)))
    ;; put says what the task writes next.
    (func $put (param $r i32) (param $from i32) (param $n i32)
      (i32.store offset=24 (local.get $r) (local.get $from))
      (i32.store offset=28 (local.get $r) (local.get $n))
      (if (local.get $n)
        (then (i32.store offset=4 (local.get $r) (i32.const 1)))
        (else (call $written (local.get $r)))))
    (func $hello (param $r i32) (param $status i32)
      (call $respond (local.get $r) (local.get $status) (i32.const 64) (i32.const 6)))
    ;; answer-number answers a number and the end of a line. The digits are in the record's buffer.
    (func $answer-number (param $r i32) (param $n i32) (local $from i32) (local $end i32)
      (local.set $end (i32.add (local.get $r) (i32.const 80)))
      (local.set $from (i32.sub (local.get $end) (i32.const 1)))
      (i32.store8 (local.get $from) (i32.const 10))
      (loop $more
        (local.set $from (i32.sub (local.get $from) (i32.const 1)))
        (i32.store8 (local.get $from) (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
        (br_if $more (local.tee $n (i32.div_u (local.get $n) (i32.const 10)))))
      (call $respond (local.get $r) (i32.const 200) (local.get $from) (i32.sub (local.get $end) (local.get $from))))

    ;; run does what the task does next until it has to wait or ends.
    (func $run (param $r i32) (result i32) (local $status i32)
      (loop $more
        (if (i32.eq (i32.load offset=4 (local.get $r)) (i32.const 5)) (then
          (call $give (local.get $r))
          (return (i32.const 0)))) ;; EXIT
        (local.set $status (call $act (local.get $r)))
        (if (i32.eq (local.get $status) (i32.const -1)) (then ;; blocked
          (call $waitable.join (i32.load offset=44 (local.get $r)) (i32.load (local.get $r)))
          (return (i32.or (i32.const 2) (i32.shl (i32.load (local.get $r)) (i32.const 4)))))) ;; WAIT
        (call $done (local.get $r) (local.get $status))
        (br $more))
      (unreachable))

    ;; act begins what the task does, notes what it waits for, and returns the status: -1 if it is not done.
    (func $act (param $r i32) (result i32) (local $status i32) (local $trailers i32)
      (block $trap (block $result (block $trailing (block $read (block $write (block $sleep
        (br_table $sleep $write $read $trailing $result $trap $trap (i32.load offset=4 (local.get $r))))
        ;; The status of a call has the subtask in its upper bits; 2 is: it has returned, and there is no subtask.
        (local.set $status (call $wait-for
          (i64.mul (i64.extend_i32_u (i32.load offset=40 (local.get $r))) (i64.const 1000000))))
        (if (i32.eq (i32.and (local.get $status) (i32.const 15)) (i32.const 2)) (then
          (i32.store offset=44 (local.get $r) (i32.const 0))
          (return (i32.const 2))))
        (i32.store offset=44 (local.get $r) (i32.shr_u (local.get $status) (i32.const 4)))
        (return (i32.const -1)))
        ;; write
        (i32.store offset=44 (local.get $r) (i32.load offset=8 (local.get $r)))
        (return (call $stream.write (i32.load offset=8 (local.get $r)) (i32.load offset=24 (local.get $r))
          (i32.load offset=28 (local.get $r)))))
        ;; read
        (i32.store offset=44 (local.get $r) (i32.load offset=16 (local.get $r)))
        (return (call $stream.read (i32.load offset=16 (local.get $r)) (i32.add (local.get $r) (i32.const 56))
          (i32.const 65536))))
        ;; trailing. The trailers are in the record's buffer if there are any.
        (i32.store offset=44 (local.get $r) (i32.load offset=12 (local.get $r)))
        (return (call $trailers.write (i32.load offset=12 (local.get $r))
          (select (i32.add (local.get $r) (i32.const 56)) (i32.const 320) (i32.load offset=52 (local.get $r))))))
        ;; result
        (i32.store offset=44 (local.get $r) (i32.load offset=20 (local.get $r)))
        (return (call $sent.write (i32.load offset=20 (local.get $r)) (i32.const 320))))
      (unreachable))

    ;; done is told how it went. The lower four bits of a status are 0 if the other end is there.
    (func $done (param $r i32) (param $status i32) (local $n i32)
      (local.set $n (i32.shr_u (local.get $status) (i32.const 4)))
      (block $result (block $trailing (block $read (block $write (block $sleep
        (br_table $sleep $write $read $trailing $result (i32.load offset=4 (local.get $r))))
        (if (i32.load offset=44 (local.get $r)) (then (call $subtask.drop (i32.load offset=44 (local.get $r)))))
        (call $slept (local.get $r))
        (return))
        ;; write
        (i32.store offset=24 (local.get $r) (i32.add (i32.load offset=24 (local.get $r)) (local.get $n)))
        (i32.store offset=28 (local.get $r) (i32.sub (i32.load offset=28 (local.get $r)) (local.get $n)))
        (if (i32.and (local.get $status) (i32.const 15)) (then (call $end-body (local.get $r)) (return)))
        (if (i32.eqz (i32.load offset=28 (local.get $r))) (then (call $written (local.get $r))))
        (return))
        ;; read. The body's end is dropped at once: there can be bytes with the last status.
        (if (i32.and (local.get $status) (i32.const 15)) (then
          (call $stream.drop-readable (i32.load offset=16 (local.get $r)))
          (i32.store offset=16 (local.get $r) (i32.const 0))))
        (call $has-read (local.get $r) (local.get $n))
        (return))
        ;; trailing
        (call $trailers.drop-writable (i32.load offset=12 (local.get $r)))
        (i32.store offset=4 (local.get $r) (select (i32.const 4) (i32.const 5) (i32.load offset=20 (local.get $r))))
        (return))
      ;; result
      (call $sent.drop-writable (i32.load offset=20 (local.get $r)))
      (i32.store offset=4 (local.get $r) (i32.const 5)))

    (func $slept (param $r i32)
      (if (i32.eq (i32.load offset=36 (local.get $r)) (i32.const 1)) (then
        (call $put (local.get $r) (i32.const 64) (i32.const 6))
        (return)))
      (global.set $fields (call $new-fields))
      (if (i32.eq (i32.load offset=36 (local.get $r)) (i32.const 2)) (then
        (i32.store offset=40 (local.get $r) (i32.load offset=32 (local.get $r)))
        (i32.store offset=32 (local.get $r) (i32.const 0)) ;; no zeros follow
        (call $answer-number (local.get $r) (i32.load offset=40 (local.get $r)))
        (return)))
      (call $hello (local.get $r) (i32.const 200)))
    ;; written says what comes after all bytes are written.
    (func $written (param $r i32) (local $then i32)
      (if (i32.load offset=16 (local.get $r)) (then
        (i32.store offset=4 (local.get $r) (i32.const 2))
        (return)))
      (local.set $then (i32.load offset=48 (local.get $r)))
      (if (i32.eq (local.get $then) (i32.const 6)) (then (unreachable)))
      (if (i32.eq (local.get $then) (i32.const 1)) (then
        (i32.store offset=48 (local.get $r) (i32.const 0))
        (i32.store offset=4 (local.get $r) (i32.const 0))
        (return)))
      (if (i32.load offset=32 (local.get $r)) (then
        (i32.store offset=32 (local.get $r) (i32.sub (i32.load offset=32 (local.get $r)) (i32.const 1)))
        (call $put (local.get $r) (i32.const 65536) (i32.const 65536))
        (return)))
      (call $end-body (local.get $r)))
    (func $end-body (param $r i32)
      (if (i32.load offset=16 (local.get $r)) (then (call $stream.drop-readable (i32.load offset=16 (local.get $r)))))
      (i32.store offset=16 (local.get $r) (i32.const 0))
      (call $stream.drop-writable (i32.load offset=8 (local.get $r)))
      (i32.store offset=4 (local.get $r) (i32.const 3)))
    ;; has-read counts or echoes what was read. A task that counts has no body yet.
    (func $has-read (param $r i32) (param $n i32)
      (if (i32.load offset=8 (local.get $r)) (then
        (if (i32.or (local.get $n) (i32.eqz (i32.load offset=16 (local.get $r)))) (then
          (call $put (local.get $r) (i32.add (local.get $r) (i32.const 56)) (local.get $n))))
        (return)))
      (i32.store offset=40 (local.get $r) (i32.add (i32.load offset=40 (local.get $r)) (local.get $n)))
      (if (i32.eqz (i32.load offset=16 (local.get $r))) (then
        (global.set $fields (call $new-fields))
        (call $answer-number (local.get $r) (i32.load offset=40 (local.get $r))))))

    ;; open opens the request's body.
    (func $open (param $r i32) (param $request i32) (local $result i64)
      (local.set $result (call $sent.new))
      (i32.store offset=20 (local.get $r) (i32.wrap_i64 (i64.shr_u (local.get $result) (i64.const 32))))
      (call $consume (local.get $request) (i32.wrap_i64 (local.get $result)) (i32.const 0))
      (i32.store offset=16 (local.get $r) (i32.load (i32.const 0)))
      (call $trailers.drop-readable (i32.load (i32.const 4))))
    (func $sleep (param $r i32) (param $then i32)
      (i32.store offset=4 (local.get $r) (i32.const 0))
      (i32.store offset=36 (local.get $r) (local.get $then))
      (i32.store offset=40 (local.get $r) (global.get $number)))
    (func $echo (param $r i32)
      (call $respond (local.get $r) (i32.const 200) (i32.const 64) (i32.const 0)))
    (func $late (param $r i32)
      (call $sleep (local.get $r) (i32.const 1))
      (i32.store offset=48 (local.get $r) (i32.const 1))
      (call $respond (local.get $r) (i32.const 200) (i32.const 64) (i32.const 0)))
    (func $zeros (param $r i32)
      (i32.store offset=32 (local.get $r) (i32.shl (global.get $number) (i32.const 4)))
      (call $respond (local.get $r) (i32.const 200) (i32.const 64) (i32.const 0)))
    (func $with-trailers (param $r i32) (local $trailers i32)
      (local.set $trailers (call $new-fields))
      (call $field (local.get $trailers) (i32.const 92) (i32.const 9) (i32.const 101) (i32.const 3))
      (i32.store offset=52 (local.get $r) (i32.const 1))
      ;; A result that is ok, with an option that has a value.
      (i64.store offset=56 (local.get $r) (i64.const 0))
      (i32.store offset=64 (local.get $r) (i32.const 1))
      (i32.store offset=68 (local.get $r) (local.get $trailers))
      (call $hello (local.get $r) (i32.const 200)))
    (func $many-fields (param $r i32) (local $i i32)
      (block $done
        (loop $more
          (br_if $done (i32.ge_u (local.get $i) (global.get $number)))
          (call $field (global.get $fields) (i32.const 104) (i32.const 7) (i32.const 82) (i32.const 10))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $more)))
      (call $hello (local.get $r) (i32.const 200)))
    (func $output (param $r i32)
      (call $print-to (call $get-stdout) (i32.const 160) (i32.const 26))
      (call $print-to (call $get-stderr) (i32.const 186) (i32.const 25))
      (call $hello (local.get $r) (i32.const 200)))
    (func $print-to (param $stream i32) (param $from i32) (param $n i32)
      (call $print (local.get $stream) (local.get $from) (local.get $n) (i32.const 0))
      (if (i32.load8_u (i32.const 0)) (then
        (if (i32.eqz (i32.load8_u (i32.const 4))) (then (call $drop-error (i32.load (i32.const 8)))))))
      (call $drop-output (local.get $stream)))
    (func $half (param $r i32)
      (i32.store offset=48 (local.get $r) (i32.const 6))
      (call $hello (local.get $r) (i32.const 200)))
    (func $memory
      (loop $more (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 16)))))
      (unreachable))
    ;; fail answers with the error internal-error, which has no text.
    (func $fail (param $r i32)
      (call $task.return (i32.const 1) (i32.const 38)
        (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
      (i32.store offset=4 (local.get $r) (i32.const 5)))
    ;; unset ends the task without an answer.
    (func $unset (param $r i32) (i32.store offset=4 (local.get $r) (i32.const 5)))

    ;; read-path returns the four letters after the first one of the path, and sets $number. The bytes behind a short
    ;; path are what they are: no command has fewer letters.
    (func $read-path (param $request i32) (result i32) (local $at i32) (local $end i32) (local $digit i32)
      (global.set $number (i32.const 0))
      (call $path (local.get $request) (i32.const 0))
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

    ;; with-body does what needs the request's body, and reports whether it did.
    (func $with-body (param $r i32) (param $request i32) (param $name i32) (result i32)
      (if (i32.eq (local.get $name) (i32.const 0x6f686365)) (then ;; echo
        (call $open (local.get $r) (local.get $request))
        (global.set $fields (call $new-fields))
        (call $echo (local.get $r))
        (return (i32.const 1))))
      (if (i32.eq (local.get $name) (i32.const 0x657a6973)) (then ;; size
        (call $open (local.get $r) (local.get $request))
        (i32.store offset=4 (local.get $r) (i32.const 2))
        (return (i32.const 1))))
      (i32.const 0))
    ;; later does what makes its header fields later, or none.
    (func $later (param $r i32) (param $name i32) (result i32)
      (if (i32.eq (local.get $name) (i32.const 0x65656c73)) (then (call $sleep (local.get $r) (i32.const 0)) (return (i32.const 1)))) ;; sleep
      (if (i32.eq (local.get $name) (i32.const 0x69746361)) (then ;; active
        (i32.store offset=32 (local.get $r) (i32.sub (global.get $active) (i32.const 1)))
        (call $sleep (local.get $r) (i32.const 2))
        (return (i32.const 1))))
      (if (i32.eq (local.get $name) (i32.const 0x6f727265)) (then (call $fail (local.get $r)) (return (i32.const 1)))) ;; error
      (if (i32.eq (local.get $name) (i32.const 0x65736e75)) (then (call $unset (local.get $r)) (return (i32.const 1)))) ;; unset
      (i32.const 0))
    (func $command (param $r i32) (param $name i32)
      (if (i32.eq (local.get $name) (i32.const 0x74617473)) (then (return (call $hello (local.get $r) (global.get $number))))) ;; status
      (if (i32.eq (local.get $name) (i32.const 0x6e756f63)) (then (return (call $answer-number (local.get $r) (global.get $requests))))) ;; count
      (if (i32.eq (local.get $name) (i32.const 0x6f72657a)) (then (return (call $zeros (local.get $r))))) ;; zero
      (if (i32.eq (local.get $name) (i32.const 0x69617274)) (then (return (call $with-trailers (local.get $r))))) ;; trailers
      (if (i32.eq (local.get $name) (i32.const 0x6c656966)) (then (return (call $many-fields (local.get $r))))) ;; fields
      (if (i32.eq (local.get $name) (i32.const 0x7074756f)) (then (return (call $output (local.get $r))))) ;; output
      (if (i32.eq (local.get $name) (i32.const 0x6574616c)) (then (return (call $late (local.get $r))))) ;; late
      (if (i32.eq (local.get $name) (i32.const 0x666c6168)) (then (return (call $half (local.get $r))))) ;; half
      (if (i32.eq (local.get $name) (i32.const 0x70617274)) (then (unreachable))) ;; trap
      (if (i32.eq (local.get $name) (i32.const 0x706f6f6c)) (then (loop $ever (br $ever)))) ;; loop
      (if (i32.eq (local.get $name) (i32.const 0x6f6d656d)) (then (call $memory))) ;; memory
      (if (i32.eq (local.get $name) (i32.const 0x7065656b)) ;; keep
        (then (return (call $answer-number (local.get $r)
          (i32.eq (i32.const -1) (memory.grow (i32.shl (global.get $number) (i32.const 4))))))))
      (call $hello (local.get $r) (i32.const 200)))

    (func (export "handle") (param $request i32) (result i32) (local $r i32) (local $name i32)
      (global.set $top (i32.const 4096))
      (global.set $requests (i32.add (global.get $requests) (i32.const 1)))
      (local.set $r (call $take))
      (call $context.set (local.get $r))
      (local.set $name (call $read-path (local.get $request)))
      (if (i32.eqz (call $with-body (local.get $r) (local.get $request) (local.get $name))) (then
        (call $drop-request (local.get $request))
        (if (i32.eqz (call $later (local.get $r) (local.get $name))) (then
          (global.set $fields (call $new-fields))
          (call $command (local.get $r) (local.get $name))))))
      (call $run (local.get $r)))
    (func (export "callback") (param $event i32) (param $waitable i32) (param $status i32) (result i32)
      (local $r i32)
      (local.set $r (call $context.get))
      (if (i32.ne (local.get $waitable) (i32.load offset=44 (local.get $r))) (then (unreachable)))
      ;; A subtask has an event when it begins, too: 2 is that it has returned.
      (if (i32.eq (local.get $event) (i32.const 1)) (then
        (if (i32.lt_u (local.get $status) (i32.const 2)) (then
          (return (i32.or (i32.const 2) (i32.shl (i32.load (local.get $r)) (i32.const 4))))))))
      (call $done (local.get $r) (local.get $status))
      (call $run (local.get $r))))
  (core instance $main (instantiate $main (with "host" (instance
    (export "print" (func $print))
    (export "get-stdout" (func $get-stdout))
    (export "get-stderr" (func $get-stderr))
    (export "drop-output" (func $drop-output))
    (export "drop-error" (func $drop-error))
    (export "wait-for" (func $wait-for))
    (export "new-fields" (func $new-fields))
    (export "append" (func $append))
    (export "path" (func $path))
    (export "consume" (func $consume))
    (export "new-response" (func $new-response))
    (export "set-status" (func $set-status))
    (export "drop-request" (func $drop-request))
    (export "stream.new" (func $stream.new))
    (export "stream.read" (func $stream.read))
    (export "stream.write" (func $stream.write))
    (export "stream.drop-readable" (func $stream.drop-readable))
    (export "stream.drop-writable" (func $stream.drop-writable))
    (export "trailers.new" (func $trailers.new))
    (export "trailers.write" (func $trailers.write))
    (export "trailers.drop-readable" (func $trailers.drop-readable))
    (export "trailers.drop-writable" (func $trailers.drop-writable))
    (export "sent.new" (func $sent.new))
    (export "sent.write" (func $sent.write))
    (export "sent.drop-readable" (func $sent.drop-readable))
    (export "sent.drop-writable" (func $sent.drop-writable))
    (export "waitable-set.new" (func $waitable-set.new))
    (export "waitable-set.drop" (func $waitable-set.drop))
    (export "waitable.join" (func $waitable.join))
    (export "subtask.drop" (func $subtask.drop))
    (export "context.get" (func $context.get))
    (export "context.set" (func $context.set))
    (export "task.return" (func $task.return))
    (export "memory" (memory $memory))
    (export "top" (global $top))))))

  (alias core export $main "handle" (core func $handle))
  (alias core export $main "callback" (core func $callback))
  (func $handle async (param "request" (own $request)) (result (result (own $response) (error $error-code)))
    (canon lift (core func $handle) async (memory $memory) (callback $callback)))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/handler@0.3.0" (instance $handler)))
