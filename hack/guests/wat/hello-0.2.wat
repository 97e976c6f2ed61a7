;; A command of WASI 0.2. It prints the line `hello from a component` on standard output and the line
;; `and goodbye` on standard error. It has one core module of its own, and one more that has the memory: the
;; functions of WASI need a memory before the module that calls them is there.
(component $hello
  (import "wasi:io/error@0.2.0" (instance $error
    (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error-type))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer $hello $error-type (type $outer-error))
    (export "error" (type $error-type (eq $outer-error)))
    (export "output-stream" (type $output-stream (sub resource)))
    (type $stream-error-def (variant (case "last-operation-failed" (own $error-type)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error-def)))
    (export "[method]output-stream.blocking-write-and-flush" (func
      (param "self" (borrow $output-stream)) (param "contents" (list u8))
      (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer $hello $output-stream (type $outer-stream))
    (export "output-stream" (type $output-stream (eq $outer-stream)))
    (export "get-stdout" (func (result (own $output-stream))))))
  (import "wasi:cli/stderr@0.2.0" (instance $stderr
    (alias outer $hello $output-stream (type $outer-stream))
    (export "output-stream" (type $output-stream (eq $outer-stream)))
    (export "get-stderr" (func (result (own $output-stream))))))

  (core module $memory (memory (export "memory") 1)
    (data (i32.const 64) "hello from a component\n")
    (data (i32.const 128) "and goodbye\n"))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $memory))

  (alias export $stdout "get-stdout" (func $get-stdout))
  (core func $get-stdout (canon lower (func $get-stdout)))
  (alias export $stderr "get-stderr" (func $get-stderr))
  (core func $get-stderr (canon lower (func $get-stderr)))
  (alias export $streams "[method]output-stream.blocking-write-and-flush" (func $write))
  (core func $write (canon lower (func $write)
    (memory $memory)))
  (core func $drop-stream (canon resource.drop $output-stream))
  (core func $drop-error (canon resource.drop $error-type))

  (core module $main
    (import "host" "get-stdout" (func $get-stdout (result i32)))
    (import "host" "get-stderr" (func $get-stderr (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "host" "drop-stream" (func $drop-stream (param i32)))
    (import "host" "drop-error" (func $drop-error (param i32)))
    (import "host" "memory" (memory 1))
    ;; The result of a write is at 0: the first byte is 1 for an error, the byte at 4 is 0 if the error
    ;; has a handle, which is at 8.
    (func $print (param $stream i32) (param $text i32) (param $length i32) (result i32)
      (call $write (local.get $stream) (local.get $text) (local.get $length) (i32.const 0))
      (call $drop-stream (local.get $stream))
      (if (i32.eqz (i32.load8_u (i32.const 0))) (then (return (i32.const 0))))
      (if (i32.eqz (i32.load8_u (i32.const 4))) (then (call $drop-error (i32.load (i32.const 8)))))
      (i32.const 1))
    (func (export "run") (result i32)
      (if (call $print (call $get-stdout) (i32.const 64) (i32.const 23)) (then (return (i32.const 1))))
      (call $print (call $get-stderr) (i32.const 128) (i32.const 12))))
  (core instance $main (instantiate $main (with "host" (instance
    (export "get-stdout" (func $get-stdout))
    (export "get-stderr" (func $get-stderr))
    (export "write" (func $write))
    (export "drop-stream" (func $drop-stream))
    (export "drop-error" (func $drop-error))
    (export "memory" (memory $memory))))))

  (alias core export $main "run" (core func $run))
  (func $run (result (result)) (canon lift (core func $run)))
  (instance $run (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $run)))
