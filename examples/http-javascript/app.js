// An HTTP service for wasmlet in JavaScript: says hello, and sends back what is posted to `/echo`.
// `build` makes the component; StarlingMonkey gives it the web's own events.

addEventListener("fetch", (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  const { pathname } = new URL(request.url);
  if (pathname === "/") {
    return new Response("hello from JavaScript\n");
  }
  if (pathname === "/echo" && request.method === "POST") {
    return new Response(request.body);
  }
  return new Response("", { status: pathname === "/echo" ? 200 : 404 });
}
