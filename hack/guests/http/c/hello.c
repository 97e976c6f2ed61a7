// Answers each request with the line `hello`, in C without a library: it calls WASI by the canonical ABI itself, as it
// needs ten functions of it. A larger program has its bindings made by wit-bindgen.
#include <stdint.h>

#define WASI(module, name) __attribute__((import_module("wasi:" module "@0.2.12"), import_name(name)))

// Handles of resources. A function that returns more than a number writes it to the place that it gets last.
typedef int32_t handle;
struct result {
	uint8_t failed;
	uint8_t pad[3];
	union {
		handle value;
		uint8_t closed; // the case of a stream-error
	};
	handle error;
	uint64_t rest[4]; // an error code can be so long
};

WASI("http/types", "[constructor]fields") handle new_fields(void);
WASI("http/types", "[method]fields.append")
void append(handle fields, const char *name, uint32_t name_length, const char *value, uint32_t value_length, struct result *);
WASI("http/types", "[constructor]outgoing-response") handle new_response(handle fields);
WASI("http/types", "[method]outgoing-response.body") void response_body(handle response, struct result *);
WASI("http/types", "[static]response-outparam.set")
void set_response(handle out, int32_t failed, handle response, int32_t, int64_t, int32_t, int32_t, int32_t, int32_t);
WASI("http/types", "[method]outgoing-body.write") void open_body(handle body, struct result *);
WASI("http/types", "[static]outgoing-body.finish")
void finish_body(handle body, int32_t has_trailers, handle trailers, struct result *);
WASI("io/streams", "[method]output-stream.blocking-write-and-flush")
void write_stream(handle stream, const char *bytes, uint32_t length, struct result *);
WASI("http/types", "[resource-drop]incoming-request") void drop_request(handle);
WASI("io/streams", "[resource-drop]output-stream") void drop_stream(handle);
WASI("io/error", "[resource-drop]error") void drop_error(handle);

// The texts of errors come here. Nothing reads them.
static uint64_t texts[1024];
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, uint32_t was, uint32_t align, uint32_t size) {
	if (size > sizeof texts) __builtin_trap();
	return texts;
}

__attribute__((export_name("wasi:http/incoming-handler@0.2.12#handle"))) void handle_request(handle request, handle out) {
	struct result result;
	drop_request(request);
	handle fields = new_fields();
	append(fields, "content-type", 12, "text/plain", 10, &result);
	handle response = new_response(fields);
	response_body(response, &result); // cannot fail the first time
	handle body = result.value;
	set_response(out, 0, response, 0, 0, 0, 0, 0, 0);
	open_body(body, &result);
	handle stream = result.value;
	write_stream(stream, "hello\n", 6, &result);
	if (result.failed && !result.closed) drop_error(result.error); // the client is gone
	drop_stream(stream);
	finish_body(body, 0, 0, &result);
}
