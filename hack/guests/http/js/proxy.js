// Sends each request on to where the query says: /?to=http://host/path. The bodies are streamed.
addEventListener("fetch", (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  const to = new URL(request.url).searchParams.get("to");
  try {
    const response = await fetch(to, { method: request.method, body: request.body, duplex: "half" });
    const type = response.headers.get("content-type") ?? "application/octet-stream";
    return new Response(response.body, { status: response.status, headers: { "content-type": type } });
  } catch (e) {
    return new Response(`${e}\n`, { status: 502 });
  }
}
