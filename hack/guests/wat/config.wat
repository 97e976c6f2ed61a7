;; A command of WASI 0.2 that shows its configuration by its log, on standard error:
;;
;;   INFO color: VALUE       the value of the key `color`; WARN color: none without it
;;   WARN absent: none       the same of the key `absent`, which is asked for with another version
;;   DEBUG KEY: VALUE        for each key, by the logging interface without a version
;;   ERROR upstream: TEXT    instead of one of these if there is an error; or ERROR io: TEXT
(component
  (import "wasi:config/store@0.2.0-rc.1" (instance $store
    (type $error-def (variant (case "upstream" string) (case "io" string)))
    (export "error" (type $error (eq $error-def)))
    (export "get" (func (param "key" string) (result (result (option string) (error $error)))))
    (export "get-all" (func (result (result (list (tuple string string)) (error $error)))))))
  (import "wasi:config/store@0.2.0-draft" (instance $draft
    (type $error-def (variant (case "upstream" string) (case "io" string)))
    (export "error" (type $error (eq $error-def)))
    (export "get" (func (param "key" string) (result (result (option string) (error $error)))))))
  (import "wasi:logging/logging@0.1.0-draft" (instance $logging
    (type $level-def (enum "trace" "debug" "info" "warn" "error" "critical"))
    (export "level" (type $level (eq $level-def)))
    (export "log" (func (param "level" $level) (param "context" string) (param "message" string)))))
  (import "wasi:logging/logging" (instance $plain
    (type $level-def (enum "trace" "debug" "info" "warn" "error" "critical"))
    (export "level" (type $level (eq $level-def)))
    (export "log" (func (param "level" $level) (param "context" string) (param "message" string)))))

  ;; realloc gives memory from 4096 on, and takes none back.
  (core module $memory
    (memory (export "memory") 1)
    (data (i32.const 64) "color")
    (data (i32.const 80) "absent")
    (data (i32.const 96) "none")
    (data (i32.const 112) "upstream")
    (data (i32.const 128) "io")
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (block $room
        (loop $more
          (br_if $room (i32.le_u (global.get $next) (i32.shl (memory.size) (i32.const 16))))
          (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
          (br $more)))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))

  (alias export $store "get" (func $get))
  (core func $get (canon lower (func $get) (memory $mem) (realloc $realloc)))
  (alias export $draft "get" (func $get-draft))
  (core func $get-draft (canon lower (func $get-draft) (memory $mem) (realloc $realloc)))
  (alias export $store "get-all" (func $get-all))
  (core func $get-all (canon lower (func $get-all) (memory $mem) (realloc $realloc)))
  (alias export $logging "log" (func $log))
  (core func $log (canon lower (func $log) (memory $mem)))
  (alias export $plain "log" (func $log-plain))
  (core func $log-plain (canon lower (func $log-plain) (memory $mem)))

  (core module $main
    (import "host" "memory" (memory 1))
    (import "host" "get" (func $get (param i32 i32 i32)))
    (import "host" "get-draft" (func $get-draft (param i32 i32 i32)))
    (import "host" "get-all" (func $get-all (param i32)))
    (import "host" "log" (func $log (param i32 i32 i32 i32 i32)))
    (import "host" "log-plain" (func $log-plain (param i32 i32 i32 i32 i32)))
    ;; The result of a call is at 0. An error is 1 at 0, its case at 4, and its text at 8.
    (func $failed (result i32)
      (if (i32.eqz (i32.load8_u (i32.const 0))) (then (return (i32.const 0))))
      (if (i32.load8_u (i32.const 4))
        (then (call $log (i32.const 4) (i32.const 128) (i32.const 2) (i32.load (i32.const 8)) (i32.load (i32.const 12))))
        (else (call $log (i32.const 4) (i32.const 112) (i32.const 8) (i32.load (i32.const 8)) (i32.load (i32.const 12)))))
      (i32.const 1))
    ;; A value is 1 at 4, and its text at 8.
    (func $show (param $key i32) (param $length i32)
      (if (call $failed) (then (return)))
      (if (i32.load8_u (i32.const 4))
        (then (call $log (i32.const 2) (local.get $key) (local.get $length) (i32.load (i32.const 8)) (i32.load (i32.const 12))))
        (else (call $log (i32.const 3) (local.get $key) (local.get $length) (i32.const 96) (i32.const 4)))))
    ;; The list is at 4, with 16 bytes for each pair.
    (func $show-all (local $at i32) (local $end i32)
      (if (call $failed) (then (return)))
      (local.set $at (i32.load (i32.const 4)))
      (local.set $end (i32.add (local.get $at) (i32.shl (i32.load (i32.const 8)) (i32.const 4))))
      (block $done
        (loop $next
          (br_if $done (i32.eq (local.get $at) (local.get $end)))
          (call $log-plain (i32.const 1) (i32.load (local.get $at)) (i32.load offset=4 (local.get $at))
            (i32.load offset=8 (local.get $at)) (i32.load offset=12 (local.get $at)))
          (local.set $at (i32.add (local.get $at) (i32.const 16)))
          (br $next))))
    (func (export "run") (result i32)
      (call $get (i32.const 64) (i32.const 5) (i32.const 0))
      (call $show (i32.const 64) (i32.const 5))
      (call $get-draft (i32.const 80) (i32.const 6) (i32.const 0))
      (call $show (i32.const 80) (i32.const 6))
      (call $get-all (i32.const 0))
      (call $show-all)
      (i32.const 0)))
  (core instance $main (instantiate $main (with "host" (instance
    (export "memory" (memory $mem))
    (export "get" (func $get))
    (export "get-draft" (func $get-draft))
    (export "get-all" (func $get-all))
    (export "log" (func $log))
    (export "log-plain" (func $log-plain))))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $cli (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $cli)))
