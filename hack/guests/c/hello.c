// hello [COUNT [SECONDS]]: the demo's guest in C. It prints a numbered greeting COUNT times
// (default 0: for ever), one every SECONDS (default 1). With clang, lld and wasi-libc, build it by
//
//	clang --target=wasm32-wasi --sysroot=/usr -O2 -o hello-c.wasm hack/guests/c/hello.c
//
// (Debian: clang lld wasi-libc libclang-rt-14-dev-wasm32). No test needs it.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
	int count = argc > 1 ? atoi(argv[1]) : 0;
	int seconds = argc > 2 ? atoi(argv[2]) : 1;
	for (int i = 1;; i++) {
		printf("hello from WebAssembly and C, line %d\n", i);
		fflush(stdout); // standard output is not a terminal, so libc would keep the line in its buffer
		if (i == count)
			return 0;
		sleep(seconds);
	}
}
