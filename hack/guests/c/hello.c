// hello [COUNT [SECONDS]]: the demo's guest in C. It prints a numbered greeting COUNT times (0, the default,
// means for ever), one every SECONDS (1). Built, where clang, lld and wasi-libc are installed, by
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
		fflush(stdout); // standard output is no terminal, and libc would keep the line
		if (i == count)
			return 0;
		sleep(seconds);
	}
}
