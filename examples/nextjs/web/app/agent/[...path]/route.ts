import { cookies } from "next/headers";

const SERVER = process.env.STATECAST_URL ?? "http://127.0.0.1:8000";

/** Headers of the connection with the browser, and its cookies, are not forwarded. */
const OURS = ["accept-encoding", "connection", "content-length", "cookie", "host", "transfer-encoding"];

/** Forward a request to the agents with the user's token, and the response as it arrives. */
async function forward(request: Request, { params }: RouteContext<"/agent/[...path]">): Promise<Response> {
  const { path } = await params;
  const headers = new Headers(request.headers);
  for (const name of OURS) headers.delete(name);
  const token = (await cookies()).get("token")?.value;
  if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
  const { method, signal } = request;
  const body = method === "GET" || method === "HEAD" ? null : await request.arrayBuffer();
  const address = `${SERVER}/${path.map(encodeURIComponent).join("/")}${new URL(request.url).search}`;
  try {
    const answer = await fetch(address, { method, headers, body, signal });
    return new Response(answer.body, answer);
  } catch {
    return new Response(null, { status: 502 }); // the hook tries again
  }
}

export { forward as DELETE, forward as GET, forward as PATCH, forward as POST, forward as PUT };
