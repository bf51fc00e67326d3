import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

/** Where `npm run dev` finds a running `statecast demo`. */
const SERVER = "http://127.0.0.1:8000";

/** The modules for pages: `statecast/client.js` in the sources, and where they are in this repository. */
const MODULES = "statecast/";
const MODULES_FOLDER = new URL("../transport/statecast/browser/", import.meta.url).pathname;

/** The hook. The page has React in its bundle, so it has the hook there too. */
const HOOK = new URL("../packages/react/src/index.ts", import.meta.url).pathname;

/**
 * The built page imports the modules from the server, as any page would, and not as copies in its bundle, which is one
 * folder below. The development server reads the files.
 */
const modules = (): Plugin => {
  let builds = false;
  return {
    name: "modules",
    enforce: "pre",
    configResolved: ({ command }) => void (builds = command === "build"),
    resolveId: (source) => {
      if (!source.startsWith(MODULES)) return null;
      const file = source.slice(MODULES.length);
      return builds ? { id: `../${file}`, external: true } : `${MODULES_FOLDER}${file}`;
    },
  };
};

/**
 * Nothing from elsewhere runs here, and nothing goes elsewhere; only images may come from the web, they stand in messages.
 *
 * `eval` is left alone, which `default-src` or `script-src` would forbid: the page has none, and tools that drive a
 * browser wait with it.
 */
const POLICY = [
  "script-src-elem 'self'",
  "script-src-attr 'none'",
  "style-src 'self'",
  // Any server that its reader names: `?server=`.
  "connect-src 'self' http: https:",
  "img-src 'self' data: blob: https:",
  ...["font", "media", "object", "child", "worker", "manifest"].map((kind) => `${kind}-src 'none'`),
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

/** The policy of the built page; the development server needs inline scripts. */
const contentSecurityPolicy = (): Plugin => ({
  name: "content-security-policy",
  apply: "build",
  transformIndexHtml: () => [
    { tag: "meta", attrs: { "http-equiv": "Content-Security-Policy", content: POLICY }, injectTo: "head-prepend" },
  ],
});

export default defineConfig({
  base: "./",
  plugins: [react(), modules(), contentSecurityPolicy()],
  resolve: { alias: { "@statecast/react": HOOK }, dedupe: ["react", "@assistant-ui/react"] },
  server: {
    fs: { allow: [".", MODULES_FOLDER, new URL(".", `file://${HOOK}`).pathname] },
    proxy: {
      "^/(assistant|agents|cancel|react\\.js)(\\?|$)|^/(threads|attachments|ag-ui|chat|dev)(/|\\?|$)": { target: SERVER, changeOrigin: true },
    },
  },
  build: {
    outDir: "../transport/statecast/page",
    emptyOutDir: true,
    sourcemap: false,
    target: "es2022",
    // The bundle contains other people's code; their licenses travel with it.
    license: { fileName: "licenses.md" },
    modulePreload: { polyfill: false },
    // One script: the page is small and served from the same machine.
    chunkSizeWarningLimit: 1024,
  },
});
