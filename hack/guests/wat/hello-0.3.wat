;; A command of WASI 0.3. It prints the line `hello from a component of WASI 0.3` and
;; ends well if the host took all of it.
;;
;; `run` is lifted asynchronously, with a callback. It makes a stream, gives the readable end to
;; write-via-stream, and writes the text. If the host has not taken the text yet, it waits for that; then it
;; drops the writable end, and waits for the future that says how the host's writing went.
(component $hello
  (import "wasi:cli/types@0.3.0" (instance $types
    (type $error-code-def (enum "io" "illegal-byte-sequence" "pipe"))
    (export "error-code" (type $error-code (eq $error-code-def)))))
  (alias export $types "error-code" (type $error-code))
  (import "wasi:cli/stdout@0.3.0" (instance $stdout
    (alias outer $hello $error-code (type $outer-code))
    (export "error-code" (type $error-code (eq $outer-code)))
    (type $result (result (error $error-code)))
    (type $future (future $result))
    (type $bytes (stream u8))
    (export "write-via-stream" (func (param "data" $bytes) (result $future)))))

  (type $bytes (stream u8))
  (type $written (future (result (error $error-code))))

  (core module $memory (memory (export "memory") 1)
    (data (i32.const 64) "hello from a component of WASI 0.3\n"))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $memory))

  (alias export $stdout "write-via-stream" (func $write-via-stream))
  (core func $write-via-stream (canon lower (func $write-via-stream)))
  (core func $stream.new (canon stream.new $bytes))
  (core func $stream.write (canon stream.write $bytes async (memory $memory)))
  (core func $stream.drop-writable (canon stream.drop-writable $bytes))
  (core func $future.read (canon future.read $written async (memory $memory)))
  (core func $future.drop-readable (canon future.drop-readable $written))
  (core func $waitable-set.new (canon waitable-set.new))
  (core func $waitable-set.drop (canon waitable-set.drop))
  (core func $waitable.join (canon waitable.join))
  (core func $task.return (canon task.return (result (result))))

  (core module $main
    (import "host" "write-via-stream" (func $write-via-stream (param i32) (result i32)))
    (import "host" "stream.new" (func $stream.new (result i64)))
    (import "host" "stream.write" (func $stream.write (param i32 i32 i32) (result i32)))
    (import "host" "stream.drop-writable" (func $stream.drop-writable (param i32)))
    (import "host" "future.read" (func $future.read (param i32 i32) (result i32)))
    (import "host" "future.drop-readable" (func $future.drop-readable (param i32)))
    (import "host" "waitable-set.new" (func $waitable-set.new (result i32)))
    (import "host" "waitable-set.drop" (func $waitable-set.drop (param i32)))
    (import "host" "waitable.join" (func $waitable.join (param i32 i32)))
    (import "host" "task.return" (func $task.return (param i32)))
    (import "host" "memory" (memory 1))

    (global $stream (mut i32) (i32.const 0)) ;; the writable end
    (global $future (mut i32) (i32.const 0)) ;; the result of write-via-stream
    (global $set (mut i32) (i32.const 0))
    (global $at (mut i32) (i32.const 64))    ;; the text that the host has not taken yet
    (global $left (mut i32) (i32.const 35))

    (func (export "run") (result i32)
      (local $ends i64)
      (global.set $set (call $waitable-set.new))
      (local.set $ends (call $stream.new))
      (global.set $stream (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
      (global.set $future (call $write-via-stream (i32.wrap_i64 (local.get $ends))))
      (call $waitable.join (global.get $stream) (global.get $set))
      (call $waitable.join (global.get $future) (global.get $set))
      (call $write))

    ;; write gives the host the rest of the text, and returns what the task does next.
    (func $write (result i32)
      (local $status i32)
      (loop $again
        (local.set $status (call $stream.write (global.get $stream) (global.get $at) (global.get $left)))
        (if (i32.eq (local.get $status) (i32.const -1)) (then (return (call $wait)))) ;; blocked
        (br_if $again (call $wrote (local.get $status))))
      (call $finish))

    ;; wrote counts what the host took, and reports whether there is more for it. The lower four bits of the
    ;; status are 0 if the host may take more.
    (func $wrote (param $status i32) (result i32)
      (local $took i32)
      (local.set $took (i32.shr_u (local.get $status) (i32.const 4)))
      (global.set $at (i32.add (global.get $at) (local.get $took)))
      (global.set $left (i32.sub (global.get $left) (local.get $took)))
      (i32.and (i32.eqz (i32.and (local.get $status) (i32.const 15))) (i32.ne (global.get $left) (i32.const 0))))

    ;; finish closes the stream and reads the future. The result is at 0.
    (func $finish (result i32)
      (call $stream.drop-writable (global.get $stream))
      (if (i32.eq (call $future.read (global.get $future) (i32.const 0)) (i32.const -1)) (then (return (call $wait))))
      (call $end))

    (func $end (result i32)
      (call $future.drop-readable (global.get $future))
      (call $waitable-set.drop (global.get $set))
      (call $task.return (i32.or (i32.load8_u (i32.const 0)) (i32.ne (global.get $left) (i32.const 0))))
      (i32.const 0)) ;; EXIT

    (func $wait (result i32) ;; WAIT for an event of the set
      (i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4))))

    (func (export "callback") (param $event i32) (param $waitable i32) (param $status i32) (result i32)
      (if (i32.eq (local.get $event) (i32.const 3)) ;; STREAM_WRITE
        (then
          (if (call $wrote (local.get $status)) (then (return (call $write))))
          (return (call $finish))))
      (if (i32.eq (local.get $event) (i32.const 4)) ;; FUTURE_READ
        (then (return (call $end))))
      (unreachable)))
  (core instance $main (instantiate $main (with "host" (instance
    (export "write-via-stream" (func $write-via-stream))
    (export "stream.new" (func $stream.new))
    (export "stream.write" (func $stream.write))
    (export "stream.drop-writable" (func $stream.drop-writable))
    (export "future.read" (func $future.read))
    (export "future.drop-readable" (func $future.drop-readable))
    (export "waitable-set.new" (func $waitable-set.new))
    (export "waitable-set.drop" (func $waitable-set.drop))
    (export "waitable.join" (func $waitable.join))
    (export "task.return" (func $task.return))
    (export "memory" (memory $memory))))))

  (alias core export $main "run" (core func $run))
  (alias core export $main "callback" (core func $callback))
  (func $run async (result (result))
    (canon lift (core func $run) async (callback $callback)))
  (instance $run (export "run" (func $run)))
  (export "wasi:cli/run@0.3.0" (instance $run)))
