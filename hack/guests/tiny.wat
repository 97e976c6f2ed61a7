;; The cheapest container. It prints `tiny`. Without arguments it then sleeps for ever. With arguments it
;; exits with the code (number of arguments - 1).
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  ;; 0: one iovec {16, 5}
  (data (i32.const 0) "\10\00\00\00\05\00\00\00")
  (data (i32.const 16) "tiny\n")
  ;; 64: one subscription of 48 bytes: tag 0 (clock), clock id 1 (monotonic), a relative timeout of an hour
  (data (i32.const 80) "\01\00\00\00")
  (data (i32.const 88) "\00\a0\b8\30\46\03\00\00")
  (func (export "_start")
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
    (drop (call $args_sizes_get (i32.const 32) (i32.const 36)))
    (if (i32.gt_u (i32.load (i32.const 32)) (i32.const 1))
      (then (call $proc_exit (i32.sub (i32.load (i32.const 32)) (i32.const 2)))))
    (loop $again
      (drop (call $poll_oneoff (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 160)))
      (br $again))))
