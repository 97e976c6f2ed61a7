// The API of ../README.md: it says what count, sum and mean some numbers have.
addEventListener("fetch", (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  const url = new URL(request.url);
  if (url.pathname !== "/numbers") return json(404, { error: "there is only /numbers" });
  switch (request.method) {
    case "GET":
      return describe(url.searchParams.getAll("n").map((n) => (n.trim() === "" ? NaN : Number(n))));
    case "POST":
      try {
        return describe(JSON.parse(await request.text()));
      } catch {
        return describe(undefined);
      }
    default:
      return json(405, { error: "use GET or POST" }, { allow: "GET, POST" });
  }
}

function describe(numbers) {
  if (!Array.isArray(numbers) || numbers.length === 0 || !numbers.every(Number.isFinite)) {
    return json(400, { error: "give one number or more" });
  }
  const sum = numbers.reduce((a, b) => a + b);
  return json(200, { count: numbers.length, sum, mean: sum / numbers.length });
}

function json(status, value, headers = {}) {
  return new Response(JSON.stringify(value) + "\n", {
    status,
    headers: { "content-type": "application/json", ...headers },
  });
}
