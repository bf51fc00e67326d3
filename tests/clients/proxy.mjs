// A reverse proxy that compresses as Express and Next.js do, with the middleware that both use: node proxy.mjs URL
// It prints the port on which it listens, and ends with its standard input.
import http from "node:http";
import process from "node:process";
import compression from "compression";

const upstream = new URL(process.argv[2]);
const compress = compression();

const server = http.createServer((request, response) => {
  compress(request, response, () => {
    const { url, method, headers } = request;
    const asked = http.request(
      { host: upstream.hostname, port: upstream.port, path: url, method, headers },
      (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      },
    );
    asked.on("error", () => response.destroy());
    response.on("close", () => asked.destroy());
    request.pipe(asked);
  });
});

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit()).resume();
